"""Progress of a training run: a live bar on a terminal or in a notebook, one line per epoch elsewhere."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..report.live import WIDTH, NotebookLive
from ..utils.streams import error_console
from .callbacks import Callback

if TYPE_CHECKING:
    from rich.console import Console

    from .state import TrainingState


#: Redraws of the bar per second.
REFRESH_RATE = 8
#: Epochs that a notebook lists; the history has all of them.
NOTEBOOK_LINES = 20


class ProgressBar(Callback):
    """Show the progress of training on standard error.

    A terminal or a notebook shows one live bar. Every output, including a log file, gets one plain line per finished
    epoch; a notebook keeps the last `NOTEBOOK_LINES` of them.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._notebook: NotebookLive | None = None
        self._lines: list[str] = []
        self._first_epoch = 0
        self._moved = -math.inf

    def on_train_begin(self, trainer: TrainingState) -> None:
        # Created here, not in __init__, because the stream may be redirected in between.
        self._out = self._console or error_console()
        self._lines = []
        self._notebook = NotebookLive() if self._out.is_jupyter else None
        if self._notebook is None and not self._out.is_terminal:
            return
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=self._out,
            transient=True,
            refresh_per_second=REFRESH_RATE,
        )
        self._first_epoch = trainer.epoch
        self._task = self._bar.add_task("", total=None, epoch=f"1/{trainer.target_epoch}", figures="")
        if self._notebook is None:
            self._bar.start()

    def on_step_end(self, trainer: TrainingState) -> None:
        # One bar over all epochs, updated no more often than it is drawn: a step may be faster than a redraw.
        if self._bar is not None and time.monotonic() - self._moved >= 1 / REFRESH_RATE:
            self._move(trainer)
            if self._notebook is not None:
                self._notebook.update(Group(*map(Text, self._lines), self._bar))

    def _move(self, trainer: TrainingState) -> None:
        if self._bar is None or self._task is None:
            return
        self._moved = time.monotonic()
        batches = trainer.batches_per_epoch
        self._bar.update(
            self._task,
            total=(trainer.target_epoch - self._first_epoch) * batches or None,
            completed=(trainer.epoch - self._first_epoch) * batches + trainer.batches_done,
            epoch=f"{min(trainer.epoch + 1, trainer.target_epoch)}/{trainer.target_epoch}",
            figures=f"loss {trainer.last_loss:.4f}",
        )

    def on_epoch_end(self, trainer: TrainingState) -> None:
        self._move(trainer)
        width = len(str(trainer.target_epoch))
        columns = {name: column[-1] for name, column in trainer.history.history.items()}
        # A terminal or a notebook gets one row per epoch: the least important columns are dropped until it fits.
        room = WIDTH if self._notebook is not None else self._out.width if self._out.is_terminal else math.inf
        for left_out in ((), ("lr",), ("lr", "seconds"), ("lr", "seconds", "loss", "accuracy")):
            figures = "  ".join(_figure(name, value) for name, value in columns.items() if name not in left_out)
            line = f"epoch {trainer.epoch:{width}}/{trainer.target_epoch}  {figures}"
            if len(line) <= room:
                break
        if self._notebook is None:
            self._out.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._lines = [*self._lines, line][-NOTEBOOK_LINES:]

    def on_train_end(self, trainer: TrainingState) -> None:
        if self._notebook is not None:
            self._notebook.update(Group(*map(Text, self._lines)))
        elif self._bar is not None:
            self._bar.stop()
        self._bar = self._task = self._notebook = None


def _figure(name: str, value: float) -> str:
    if name.endswith("accuracy"):
        return f"{name} {value:6.2%}"
    if name == "seconds":
        return f"{value:.2f} s"
    return f"{name} {value:.4g}" if name == "lr" else f"{name} {value:.4f}"
