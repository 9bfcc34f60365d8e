"""Training callbacks: early stopping, checkpoints, logs, and the base class for your own."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..nn.state import arrays_in_place
from ..utils.config import Configurable
from ..utils.files import check_target, write_atomically
from ..utils.validation import choice, count, flag, number, several
from ..utils.warning import warn_user
from .metrics import knows_better, larger_is_better
from .settings import TrainingWarning

if TYPE_CHECKING:
    import numpy as np

    from .state import TrainingState

Mode = Literal["auto", "min", "max"]


class Callback:
    """Base class of callbacks; override the methods you need.

    Read the progress from `trainer.epoch`, `steps`, `last_loss`, `lr`, `history` and `model`; `trainer.stop()` ends
    training. `trainer` is a `pynn.Trainer`; it is annotated as Any so that an override may name a subclass.

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

    def on_train_begin(self, trainer: Any) -> None:
        """Run before the first epoch of a `fit`; an error raised here ends it before anything has changed."""

    def on_epoch_begin(self, trainer: Any) -> None:
        """Run before the first step of an epoch, or of the rest of an interrupted one."""

    def on_step_end(self, trainer: Any) -> None:
        """Run after every step, including one whose loss is not finite."""

    def on_epoch_end(self, trainer: Any) -> None:
        """Run after an epoch has been added to the history."""

    def on_train_end(self, trainer: Any) -> None:
        """Run after the last epoch, however it ended."""


class CallbackList:
    """Several callbacks combined, called in order."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = list(several(callbacks, "callbacks"))
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be instances of pynn.Callback; got {callback!r}")
        self._begun: list[Callback] = []
        self._of_steps: list[Callback] = []  # those that look at steps

    def on_train_begin(self, trainer: TrainingState) -> None:
        """Call `on_train_begin` of all; if one raises, call `on_train_end` of those already begun."""
        try:
            for callback in self.callbacks:
                callback.on_train_begin(trainer)
                self._begun.append(callback)
                if getattr(callback.on_step_end, "__func__", None) is not Callback.on_step_end:
                    self._of_steps.append(callback)
        except BaseException:
            self.on_train_end(trainer)
            raise

    def on_train_end(self, trainer: TrainingState) -> None:
        """Call `on_train_end` of every callback that has begun, even if others raise."""
        with contextlib.ExitStack() as stack:
            for callback in reversed(self._begun):
                stack.callback(callback.on_train_end, trainer)

    def on_epoch_begin(self, trainer: TrainingState) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(trainer)

    def on_step_end(self, trainer: TrainingState) -> None:
        for callback in self._of_steps:
            callback.on_step_end(trainer)

    def on_epoch_end(self, trainer: TrainingState) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(trainer)


class ComparesEpochs(Configurable, Callback):
    """Base class of callbacks that compare a column of the history from epoch to epoch."""

    monitor: str | None
    mode: Mode
    min_delta = 0.0
    _compares_all = False  # whether the monitor may be None: every epoch counts as better

    def __init__(self, monitor: str | None, mode: Mode) -> None:
        if not isinstance(monitor, str) and not (monitor is None and self._compares_all):
            raise TypeError(f"monitor is {monitor!r}; expected the name of a column of the history")
        self.monitor = monitor
        self.mode = choice(mode, "mode", ("auto", "min", "max"))
        self._compared = (0, -1)  # the number of rows of the run that were compared, and the best of them
        self._compared_by: tuple[str | None, Mode, float] | None = None

    @property
    def _larger_is_better(self) -> bool:
        return self.mode == "max" or (self.mode == "auto" and larger_is_better(str(self.monitor)))

    def on_train_begin(self, trainer: TrainingState) -> None:
        """Raise ValueError if the history will not contain the column."""
        self._compared = (0, -1)
        known = trainer.columns
        if self.monitor is not None and self.monitor not in known and self.monitor not in trainer.history:
            hint = "; pass validation= to fit" if self.monitor.startswith("val_") and trainer.held_out is None else ""
            raise ValueError(f"there is no {self.monitor!r} to monitor among {', '.join(known)}{hint}")
        if self.monitor is not None and self.mode == "auto" and not knows_better(self.monitor):
            raise ValueError(
                f'mode is "auto"; expected "min" or "max" for {self.monitor!r}, of which only you know what is better'
            )

    def _column(self, trainer: TrainingState) -> list[float]:
        """Return the values of the current run."""
        column = trainer.history.history.get(str(self.monitor))
        if column is None:
            known = ", ".join(trainer.history.history)
            raise ValueError(f"there is no {self.monitor!r} to monitor among {known}")
        return column[trainer.history_start :]

    def _warn_of_nan(self, trainer: TrainingState, consequence: str) -> None:
        """Warn if no epoch of the run was better than another, because the column is NaN in all of them."""
        column = trainer.history.history.get(str(self.monitor), [])[trainer.history_start :]
        if column and self._best_so_far(column) < 0:
            warn_user(f"{self.monitor} is NaN in all {len(column)} epochs of this run: {consequence}", TrainingWarning)

    def _better(self, value: float, than: float) -> bool:
        """Return whether `value` is better than `than` by more than min_delta; any number is better than NaN."""
        return self._best([than, value]) == 1

    def _best(self, column: list[float], start: int = 0, best_index: int = -1) -> int:
        """Return the index of the last row that improved on all earlier ones, or -1.

        Of the rows before `start`, it is `best_index`.
        """
        sign = 1 if self._larger_is_better else -1
        best, least = math.nan if best_index < 0 else column[best_index], self.min_delta
        for index in range(start, len(column)):
            # Differences from NaN are never larger.
            value = column[index]
            if sign * (value - best) > least or (best_index < 0 and not math.isnan(value)):
                best_index, best = index, value
        return best_index

    def _best_so_far(self, column: list[float]) -> int:
        """Return `_best` of the current run, whose rows are compared once: a long run is not compared in each epoch."""
        by = self.monitor, self.mode, self.min_delta
        if by != self._compared_by:  # assigned since the last epoch
            self._compared, self._compared_by = (0, -1), by
        self._compared = len(column), self._best(column, *self._compared)
        return self._compared[1]


class EarlyStopping(ComparesEpochs):
    """Stop when a metric has not improved for some epochs, and restore the best weights.

    Only the history of the current run counts: a second `fit` starts with full patience, and an interrupted run that
    is finished later, even from a checkpoint, stops where an uninterrupted one would.

    Parameters
    ----------
    monitor : str
        A column of the history.
    patience : int
        Epochs without improvement before training stops.
    min_delta : float
        The improvement must exceed this.
    mode : {"auto", "min", "max"}
        Whether smaller or larger is better. "auto" knows it of losses, accuracies and `metrics` by name; for a
        function of your own, say it.
    restore_best_weights : bool
        Whether to restore the best weights that this callback saw. Candidates are the weights after each epoch and, if
        this trainer has trained the model before and `monitor` is a validation metric, the weights that `fit` began
        with. They are kept in memory, not in a checkpoint.

    Warns
    -----
    TrainingWarning
        If an earlier row of the history is better than the final weights: a row of another fit, or of the part of a
        resumed run that this callback has not seen. Those weights are lost unless a `ModelCheckpoint` saved them.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> stop = pynn.EarlyStopping(patience=1, min_delta=0.1)
    >>> history = trainer.fit(x, y, epochs=100, validation=(x, y), callbacks=[stop])
    >>> trainer.epoch < 20
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Mode = "auto",
        restore_best_weights: bool = True,
    ) -> None:
        super().__init__(monitor, mode)
        self.min_delta = abs(number(min_delta, "min_delta"))
        self.patience = count(patience, "patience")
        self.restore_best_weights = flag(restore_best_weights, "restore_best_weights")
        self._trainer: TrainingState | None = None  # the trainer that the best weights belong to
        self._best_value = math.nan
        self._best_state: list[np.ndarray] | None = None  # copies of `_live`
        self._live: list[np.ndarray] = []
        self._version = -1
        self.stopped_epoch: int | None = None

    def on_train_begin(self, trainer: TrainingState) -> None:
        super().on_train_begin(trainer)
        self.stopped_epoch = None
        validates = str(self.monitor).startswith("val_")
        trainer.keeps_best = self.restore_best_weights and validates
        begins = len(trainer.history) == trainer.history_start and not trainer.batches_done
        if begins or self._trainer is not trainer:
            self._trainer, self._best_value, self._best_state = trainer, math.nan, None
            if self.restore_best_weights and trainer.steps and validates:
                self._keep(trainer, trainer.validate().get(str(self.monitor), math.nan))

    def _keep(self, trainer: TrainingState, value: float) -> None:
        if self.restore_best_weights and self._better(value, self._best_value):
            self._best_value, self._best_state = value, [array.copy() for array in self._arrays(trainer)]

    def _arrays(self, trainer: TrainingState) -> list[np.ndarray]:
        """Return the arrays of the model; finding them in its layers takes several times as long as copying them."""
        flat = trainer.model.flat
        # With another version, the running statistics may have moved to other arrays; a copy has arrays of its own.
        if not self._live or self._version != flat.version or self._live[0] is not flat.values:
            self._live, self._version = arrays_in_place(trainer.model, flat), flat.version
        return self._live

    def on_epoch_end(self, trainer: TrainingState) -> None:
        column = self._column(trainer)
        self._keep(trainer, column[-1])
        if len(column) - 1 - self._best_so_far(column) >= self.patience:
            self.stopped_epoch = trainer.epoch
            trainer.stop()
            self._warn_of_nan(trainer, "early stopping ends it, and restores no weights")

    def on_train_end(self, trainer: TrainingState) -> None:
        trainer.keeps_best = False
        if trainer.history.interrupted or trainer.broken_off:  # it can still be finished from the current weights
            return
        if self._best_state is not None:
            for array, best in zip(self._arrays(trainer), self._best_state, strict=True):
                array[...] = best
            self._warn_of_lost_weights(trainer)
        self._trainer, self._best_state, self._live = None, None, []

    def _warn_of_lost_weights(self, trainer: TrainingState) -> None:
        name = str(self.monitor)
        column = trainer.history.history.get(name, [])
        row = self._best(column)
        if row >= 0 and self._better(column[row], self._best_value):
            warn_user(
                f"epoch {trainer.history.epoch[row]} had a {name} of {column[row]:.6g}, better than the "
                f"{self._best_value:.6g} of the final weights, but it ended before this callback began: its weights "
                "were not kept (use a ModelCheckpoint to keep them)",
                TrainingWarning,
            )


class ModelCheckpoint(ComparesEpochs):
    """Save the model, or the whole training state, after each epoch whose metric is the best so far.

    Parameters
    ----------
    path : path-like
        The file, replaced atomically.
    monitor, mode
        As in `EarlyStopping`. Only the history of the current run counts: a second `fit` replaces the file after its
        first epoch. With ``monitor=None`` every epoch is saved.
    whole : bool
        Save a checkpoint that `Trainer.resume` continues, not only the model.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     best = Path(folder, "best.safetensors")
    ...     history = trainer.fit(x, y, epochs=2, validation=(x, y), callbacks=[pynn.ModelCheckpoint(best)])
    ...     model = pynn.load(best)
    >>> model[0]
    Linear(in_features=2, out_features=3, bias=True, init=None)
    """

    _compares_all = True

    def __init__(
        self, path: str | Path, monitor: str | None = "val_loss", mode: Mode = "auto", *, whole: bool = False
    ) -> None:
        self.path = Path(path)
        self.whole = flag(whole, "whole")
        super().__init__(monitor, mode)

    def on_train_begin(self, trainer: TrainingState) -> None:
        check_target(self.path)
        super().on_train_begin(trainer)

    def on_epoch_end(self, trainer: TrainingState) -> None:
        if self.monitor is not None:
            column = self._column(trainer)
            if self._best_so_far(column) != len(column) - 1:
                return
        if self.whole:
            trainer.save(self.path)
        elif trainer.rank == 0:
            trainer.model.save(self.path)

    def on_train_end(self, trainer: TrainingState) -> None:
        if self.monitor is not None:
            self._warn_of_nan(trainer, f"no epoch is the best, and {self.path.name} is not written")


class CSVLogger(Configurable, Callback):
    """Write the history to a CSV file after every epoch, one row per epoch, including those before a resume.

    Parameters
    ----------
    path : path-like
        The file, replaced atomically after every epoch, so that it is never half written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = Path(folder, "log.csv")
    ...     history = trainer.fit(x, y, epochs=2, callbacks=[pynn.CSVLogger(log)])
    ...     lines = log.read_text().splitlines()
    >>> lines[0].split(",")[:2], len(lines)
    (['epoch', 'loss'], 3)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lines: list[str] = []  # of the file: writing numbers as text takes longer than a short epoch

    def on_train_begin(self, trainer: TrainingState) -> None:
        check_target(self.path)
        self._lines = []

    def on_epoch_end(self, trainer: TrainingState) -> None:
        if trainer.rank:
            return
        history = trainer.history
        heads = _line(["epoch", *history.history])
        if self._lines[:1] != [heads]:
            self._lines = [heads]
        for index in range(len(self._lines) - 1, len(history.epoch)):
            row = [history.epoch[index], *(repr(column[index]) for column in history.history.values())]
            self._lines.append(_line(row))
        write_atomically(self.path, "".join(self._lines).encode())


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
