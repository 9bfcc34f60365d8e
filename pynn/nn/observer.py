"""The interface through which a training step reports to an observer, implemented in `pynn.babysit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from .share import Share


class Training(Protocol):
    """The part of the training state that an observer may read; a `pynn.Trainer` implements it."""

    steps: int

    @property
    def model(self) -> Any:
        """The network."""

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""

    @property
    def prediction(self) -> np.ndarray:
        """The network's output for the last minibatch."""

    @property
    def minibatch(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the last minibatch."""


class Observer(Protocol):
    """Sees the results of layers and loss in the steps that it requests, and must not change them.

    In a requested step, the calls come in this order: `inputs`, `output` for each layer, `scores`, `gradient` for each
    layer from last to first, `weight_gradients`, `end`. They may be recorded and replayed without Python, so they may
    only call ops on their arguments and on the arrays that `arrays` returns.

    Attributes
    ----------
    updates : ndarray, shape (parameters, 3)
        Receives, for each unfrozen parameter, the sums of squares of its values, its gradient and its update.
    """

    updates: np.ndarray

    def wants(self, training: Training) -> bool:
        """Return whether to observe the next step; called before every step."""

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays in which steps accumulate; they stay in place from step to step."""

    def inputs(self, x: np.ndarray) -> None:
        """See the inputs of a minibatch."""

    def output(self, layer: Any, y: np.ndarray) -> None:
        """See the output of a layer, including a fused activation."""

    def scores(self, loss: Any, prediction: np.ndarray, target: np.ndarray) -> None:
        """See the network's output and the targets."""

    def gradient(self, layer: Any, dy: np.ndarray) -> None:
        """See the gradient with respect to a layer's output."""

    def weight_gradients(self) -> None:
        """See the gradients of the parameters, once all are written."""

    def merge(self, share: Share) -> None:
        """Merge what the ranks saw of their shares of the minibatch; all ranks call it, just before `end`."""

    def end(self, training: Training, x: np.ndarray, target: np.ndarray, loss: float, scale: float) -> None:
        """See a finished step: its data, its loss without penalties, and the scale factor of gradient clipping."""

    def failed(self, training: Training, x: np.ndarray, target: np.ndarray, loss: float) -> None:
        """See a step that was not taken because its loss or gradient was not finite, even if not requested."""
