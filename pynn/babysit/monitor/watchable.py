"""What a monitor reads of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ...nn.observer import Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...nn.observer import Observer
    from ...training.examples import Examples
    from ...training.history import History


@runtime_checkable
class Watchable(Training, Protocol):
    """A training run as a monitor reads it: a `pynn.Trainer`, or what stands for the loop of another library.

    Attributes
    ----------
    observer : Observer or None
        Set by the monitor.
    examples, held_out : Examples or None
        Training and validation data; None while unknown, as in a custom loop.
    keeps_best : bool
        Whether a callback will restore the weights of the best epoch.
    """

    observer: Observer | None
    epoch: int
    batches_per_epoch: int
    examples: Examples | None
    held_out: Examples | None
    keeps_best: bool

    @property
    def loss(self) -> Any:
        """The loss, as a `pynn.Loss`."""

    @property
    def optimizer(self) -> Any:
        """The optimiser, as a `pynn.Optimizer`."""

    @property
    def regularizers(self) -> Sequence[Any]:
        """The penalties."""

    @property
    def averaging(self) -> Any:
        """What averages the weights, or None."""

    @property
    def history(self) -> History:
        """The figures of the finished epochs."""

    @property
    def target_epoch(self) -> int:
        """The epoch at which the run ends; 0 if unknown."""

    @property
    def batches_done(self) -> int:
        """The number of finished minibatches of the current epoch."""

    @property
    def rank(self) -> int:
        """The number of this process among those that train together."""

    @property
    def in_another_thread(self) -> bool:
        """Whether another thread is in a step."""

    def stop(self) -> None:
        """End the run after the current step."""
