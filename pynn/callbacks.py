"""What is called during training: early stopping, checkpoints, logs, and yours."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .arguments import choice, count
from .files import write_atomically

if TYPE_CHECKING:
    from .trainer import Trainer

Mode = Literal["auto", "min", "max"]


class Callback:
    """Base of all callbacks, and of yours; define what you need.

    The trainer shows where training stands: `trainer.epoch`, `steps`, `last_loss`, `lr`, `history`, `model`;
    `trainer.stop()` ends it.

    Examples
    --------
    >>> import pynn
    >>> class Print(pynn.Callback):
    ...     def on_epoch_end(self, trainer):
    ...         print("epoch", trainer.epoch)
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> history = trainer.fit(x, y, epochs=2, callbacks=[Print()])
    epoch 1
    epoch 2
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first epoch of a `fit`."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Before the first step of an epoch, or of what is left of an interrupted one."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After every step, also one whose loss is not finite."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After an epoch has been added to the history."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last epoch, however it ended."""


class CallbackList:
    """Several callbacks as one, called in order."""

    def __init__(self, callbacks: Iterable[Callback], *, progress: bool) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be instances of pynn.Callback; got {callback!r}")
        if progress:
            from .progress import ProgressBar

            self.callbacks.append(ProgressBar())

    @contextlib.contextmanager
    def training(self, trainer: Trainer) -> Iterator[None]:
        """Call on_train_begin, and on_train_end whatever happens."""
        begun: list[Callback] = []
        try:
            for callback in self.callbacks:
                callback.on_train_begin(trainer)
                begun.append(callback)
            yield
        finally:
            for callback in begun:
                callback.on_train_end(trainer)

    def on_epoch_begin(self, trainer: Trainer) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        for callback in self.callbacks:
            callback.on_step_end(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(trainer)


class _Monitored:
    """A column of the history, and what counts as better in it."""

    def __init__(self, monitor: str, mode: Mode, min_delta: float) -> None:
        choice(mode, "mode", ("auto", "min", "max"))
        self.name = monitor
        self.larger_is_better = mode == "max" or (mode == "auto" and monitor.endswith("accuracy"))
        self.min_delta = abs(min_delta)

    def column(self, trainer: Trainer) -> list[float]:
        if self.name not in trainer.history:
            known = ", ".join(trainer.history.history)
            hint = "; pass validation= to fit" if self.name.startswith("val_") else ""
            raise ValueError(f"there is no {self.name!r} to monitor among {known}{hint}")
        return trainer.history[self.name]

    def best(self, column: list[float]) -> int:
        """Return the index of the last row that was better than all before by more than min_delta, or -1."""
        best_index, best = -1, math.nan
        for index, value in enumerate(column):
            gain = value - best if self.larger_is_better else best - value
            if not math.isnan(value) and (best_index < 0 or gain > self.min_delta):
                best_index, best = index, value
        return best_index


class EarlyStopping(Callback):
    """Stop when a figure has not improved for some epochs, and go back to the best weights.

    It judges by the trainer's history alone, so a resumed run stops where an uninterrupted one would.

    Parameters
    ----------
    monitor : str
        A column of the history.
    patience : int
        Epochs without improvement before training stops.
    min_delta : float
        What counts as an improvement.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better; "auto" takes larger for accuracies.
    restore_best_weights : bool
        Whether the model ends with the weights of the best epoch that this callback saw.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Mode = "auto",
        restore_best_weights: bool = True,
    ) -> None:
        self._monitored = _Monitored(monitor, mode, min_delta)
        self.patience = count(patience, "patience")
        self.restore_best_weights = restore_best_weights
        self._begin = 0
        self._best_state: dict | None = None
        self.stopped_epoch: int | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        self.stopped_epoch = None
        self._best_state = None

    def on_epoch_end(self, trainer: Trainer) -> None:
        column = self._monitored.column(trainer)
        best = self._monitored.best(column)
        if best == len(column) - 1 and self.restore_best_weights:
            self._best_state = trainer.model.state_dict()
        if len(column) - 1 - best >= self.patience:
            self.stopped_epoch = trainer.epoch
            trainer.stop()

    def on_train_end(self, trainer: Trainer) -> None:
        # An interrupted run goes on from where it stands.
        if self._best_state is not None and not trainer.history.interrupted:
            trainer.model.load_state_dict(self._best_state)


class ModelCheckpoint(Callback):
    """Save after each epoch: the model if the figure is the best so far, or the whole training state.

    Parameters
    ----------
    path : path-like
        Replaced as a whole or not at all.
    monitor, mode
        As in `EarlyStopping`. With ``monitor=None`` every epoch is saved.
    whole : bool
        Save a checkpoint that `Trainer.resume` continues, instead of the model alone.
    """

    def __init__(
        self, path: str | Path, monitor: str | None = "val_loss", mode: Mode = "auto", *, whole: bool = False
    ) -> None:
        self.path = Path(path)
        self.whole = whole
        self._monitored = None if monitor is None else _Monitored(monitor, mode, 0.0)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self._monitored is not None:
            column = self._monitored.column(trainer)
            if self._monitored.best(column) != len(column) - 1:
                return
        if self.whole:
            trainer.save(self.path)
        else:
            trainer.model.save(self.path)


class CSVLogger(Callback):
    """Write the history to a CSV file after every epoch, one row per epoch, resumed ones included.

    Parameters
    ----------
    path : path-like
        Replaced as a whole at every epoch, so that it is never half written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_epoch_end(self, trainer: Trainer) -> None:
        history = trainer.history
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history.history])
        for index, epoch in enumerate(history.epoch):
            writer.writerow([epoch, *(repr(column[index]) for column in history.history.values())])
        write_atomically(self.path, text.getvalue().encode())
