"""A learning rate that is lowered when a figure no longer improves."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING

from ..utils.validation import choice, count, fraction, number
from .callbacks import ComparesEpochs, Mode

if TYPE_CHECKING:
    from .state import TrainingState


class ReduceLROnPlateau(ComparesEpochs):
    """Multiply the learning rate by a factor when a figure has not improved for more than `patience` epochs.

    As PyTorch's scheduler, but a callback that reads the history, as `EarlyStopping` does. It sets
    ``trainer.optimizer.lr`` before an epoch's first step, so it combines with a `schedule`, which scales that rate.
    It has no state but the history of the current run: a run that is resumed from a checkpoint, with the same callback,
    takes the same rates as an uninterrupted one.

    Parameters
    ----------
    monitor : str
        A column of the history.
    mode : {"auto", "min", "max"}
        As in `EarlyStopping`.
    factor : float
        Above 0 and below 1.
    patience : int
        Epochs without improvement that are tolerated.
    threshold : float
        How much better than the best a figure must be.
    threshold_mode : {"rel", "abs"}
        Whether the threshold is a share of the best figure, or a difference.
    cooldown : int
        Epochs after a reduction in which none counts as bad.
    min_lr : float
        The rate never falls below this.
    eps : float
        A smaller reduction than this is not made.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(1e-3))
    >>> plateau = pynn.ReduceLROnPlateau("loss", patience=0, threshold=0.5)
    >>> [round(lr, 6) for lr in trainer.fit(x, y, epochs=4, callbacks=[plateau])["lr"]]
    [0.001, 0.001, 0.0001, 1e-05]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: Mode = "auto",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(monitor, mode)
        self.factor = number(fraction(factor, "factor", one=False), "factor", above=0)
        self.patience = count(patience, "patience", minimum=0)
        self.threshold = number(threshold, "threshold", minimum=0)
        self.threshold_mode = choice(threshold_mode, "threshold_mode", ("rel", "abs"))
        self.cooldown = count(cooldown, "cooldown", minimum=0)
        self.min_lr = number(min_lr, "min_lr", minimum=0)
        self.eps = number(eps, "eps", minimum=0)
        #: The trainer and its epochs when the rate was last set: an epoch that fails before a step begins twice.
        self._set_for: tuple[weakref.ref[TrainingState] | None, int] = (None, 0)

    def on_epoch_begin(self, trainer: TrainingState) -> None:
        begun = trainer.batches_done > 0  # the rest of an interrupted epoch, whose rate has been set
        this = weakref.ref(trainer), trainer.epoch
        if begun or len(trainer.history) == trainer.history_start or this == self._set_for:
            return
        self._set_for = this
        old = trainer.optimizer.lr
        new = max(old * self.factor, self.min_lr)
        if self.reduces_after(self._column(trainer)) and old - new > self.eps:
            trainer.optimizer.lr = new

    def reduces_after(self, figures: list[float]) -> bool:
        """Return whether the rate is reduced after the last of these figures, one per epoch."""
        larger = self._larger_is_better
        best, bad, cooling, reduces = -math.inf if larger else math.inf, 0, 0, False
        for figure in figures:
            margin = self.threshold * (best if self.threshold_mode == "rel" and math.isfinite(best) else 1.0)
            if figure > best + margin if larger else figure < best - margin:
                best, bad = figure, 0
            else:
                bad += 1
            if cooling > 0:
                cooling, bad = cooling - 1, 0
            reduces = bad > self.patience
            if reduces:
                cooling, bad = self.cooldown, 0
        return reduces
