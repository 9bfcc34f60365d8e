"""Progress of a training run: a live bar on a terminal or in a notebook, one line per epoch elsewhere."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .callbacks import Callback

if TYPE_CHECKING:
    from .trainer import Trainer


class ProgressBar(Callback):
    """Show how far training has come, to standard error.

    A terminal, or a notebook with ipywidgets, gets one bar that moves; everything, a log file too, gets one plain line
    when an epoch ends.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        # Made here, not in __init__: the stream may be redirected in between.
        self._out = self._console or Console(stderr=True)
        jupyter = self._out.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
        if not (jupyter or self._out.is_terminal):
            return
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=self._out,
            transient=True,
            refresh_per_second=8,
        )
        self._bar.start()

    def on_epoch_begin(self, trainer: Trainer) -> None:
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=None, epoch="", figures="")
        self._bar.reset(
            self._task,
            total=trainer.batches_per_epoch,
            completed=trainer.batches_done,
            epoch=f"{trainer.epoch + 1}/{trainer.target_epoch}",
            figures="",
        )

    def on_step_end(self, trainer: Trainer) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=trainer.batches_done, figures=f"loss {trainer.last_loss:.4f}")

    def on_epoch_end(self, trainer: Trainer) -> None:
        width = len(str(trainer.target_epoch))
        columns = {name: column[-1] for name, column in trainer.history.history.items()}
        # A terminal gets one row per epoch: what matters least is left out until it fits.
        for left_out in ((), ("lr",), ("lr", "seconds"), ("lr", "seconds", "loss", "accuracy")):
            figures = "  ".join(_figure(name, value) for name, value in columns.items() if name not in left_out)
            line = f"epoch {trainer.epoch:{width}}/{trainer.target_epoch}  {figures}"
            if not self._out.is_terminal or len(line) <= self._out.width:
                break
        self._out.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None


def _figure(name: str, value: float) -> str:
    if name.endswith("accuracy"):
        return f"{name} {value:6.2%}"
    if name == "seconds":
        return f"{value:.2f} s"
    return f"{name} {value:.4g}" if name == "lr" else f"{name} {value:.4f}"
