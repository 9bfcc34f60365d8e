"""TensorBoard event files of a run. Needs tensorboardX."""

from __future__ import annotations

import importlib
import math
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...training.callbacks import Callback
from ...utils.config import Configurable
from ...utils.validation import count
from .reading import LAYER_FIGURES, RunFigures, checked

if TYPE_CHECKING:
    from ...training.trainer import Trainer
    from ..findings import Finding
    from ..monitor.monitor import Monitor
    from ..monitor.snapshots import Histogram

#: Steps between two writes within an epoch.
LOOK = 500
INSTALL_HINT = 'pip install "pynn-kernels[tensorboard]"'


def write_tensorboard(monitor: Monitor, folder: str | Path) -> None:
    """Write a monitored run as an event file into a folder.

    Parameters
    ----------
    monitor : Monitor
    folder : path-like
        Created if missing. Use one folder per run: ``tensorboard --logdir PARENT`` compares them.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.

    Examples
    --------
    >>> import pathlib, tempfile, pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x, y, epochs=2, callbacks=[monitor])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tensorboard(monitor, folder)
    ...     len(list(pathlib.Path(folder).glob("events.out.tfevents.*")))
    1
    """
    run = RunFigures(checked(monitor))
    events = _Events(folder, every=1)
    try:
        events.write(run)
        events.write_findings(monitor.findings)
    finally:
        events.close()


class TensorBoardLogger(Configurable, Callback):
    """Write a monitored run as an event file during training; it is up to date after every epoch.

    Parameters
    ----------
    monitor : Monitor
        It must come before the logger among the callbacks.
    folder : path-like
        As in `write_tensorboard`. Another `fit` writes another file, which TensorBoard appends to the first.
    every : int
        Minimum interval between written steps; it limits the size of the event file.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.

    Examples
    --------
    >>> import tempfile, pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = trainer.fit(x, y, epochs=2, callbacks=[monitor, TensorBoardLogger(monitor, folder, every=5)])
    """

    def __init__(self, monitor: Monitor, folder: str | Path, every: int = 50) -> None:
        self.monitor = checked(monitor)
        self.folder = folder
        self.every = count(every, "every")
        self._events: _Events | None = None
        self._looked = 0
        _tensorboardx()

    def on_train_begin(self, trainer: Trainer) -> None:
        self._looked = trainer.steps
        self._events = _Events(self.folder, self.every)
        # Steps of an earlier fit are in an earlier file.
        self._events.skip(RunFigures(self.monitor))

    def on_step_end(self, trainer: Trainer) -> None:
        if trainer.steps - self._looked >= LOOK:
            self._write(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._write(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        if self._events is not None:
            self._write(trainer)
            self._events.write_findings(self.monitor.findings)
            self._events.close()
            self._events = None

    def _write(self, trainer: Trainer) -> None:
        if self._events is not None:
            self._looked = trainer.steps
            self._events.write(RunFigures(self.monitor))


class _Events:
    """An event file and its position in the run.

    Uses tensorboardX's `EventsWriter`, which writes synchronously; `SummaryWriter` passes every figure to a thread
    through a multiprocessing queue.
    """

    def __init__(self, folder: str | Path, every: int) -> None:
        self._tensorboardx = _tensorboardx()
        self._every = every
        Path(folder).mkdir(parents=True, exist_ok=True)
        # File names only have a resolution of one second.
        suffix = f".{os.getpid()}.{secrets.token_hex(4)}"
        self._writer = self._tensorboardx.event_file_writer.EventsWriter(str(Path(folder, "events")), suffix)
        self._last_step, self._last_snapshot, self._epochs = -every, -1, 0

    def skip(self, run: RunFigures) -> None:
        """Skip everything recorded so far."""
        self._last_step = int(run.steps[-1]) if len(run.steps) else -self._every
        self._last_snapshot = run.snapshots[-1].step if run.snapshots else -1
        self._epochs = len(run.history)

    def write(self, run: RunFigures) -> None:
        """Write everything new."""
        self._write_steps(run)
        steps = run.epoch_steps()
        for row in range(self._epochs, len(run.history)):
            figures = {f"epoch/{name}": column[row] for name, column in run.history.history.items()}
            self._add(int(steps[row]), figures)
        self._epochs = len(run.history)
        for snapshot in run.snapshots:
            if snapshot.step > self._last_snapshot:
                for kind, histograms in (("activations", snapshot.activations), ("gradients", snapshot.gradients)):
                    for layer, histogram in histograms.items():
                        self._add_histogram(f"{kind}/{layer}", histogram, snapshot.step)
                self._last_snapshot = snapshot.step
        self._writer.flush()

    def _write_steps(self, run: RunFigures) -> None:
        columns = {"step/loss": run.loss, "step/accuracy": run.accuracy, "step/lr": run.lr}
        columns |= {
            f"{figure}/{layer}": column for figure in LAYER_FIGURES for layer, column in run.figure(figure).items()
        }
        for row in np.flatnonzero(run.steps > self._last_step):
            step = int(run.steps[row])
            if step - self._last_step >= self._every:
                self._add(step, {tag: float(column[row]) for tag, column in columns.items()})
                self._last_step = step

    def write_findings(self, findings: list[Finding]) -> None:
        """Add the findings as texts."""
        for finding in findings:
            self._write(finding.step, self._tensorboardx.summary.text("findings", str(finding)))

    def close(self) -> None:
        self._writer.close()

    def _add(self, step: int, figures: dict[str, float]) -> None:
        """Write the figures of one step, without missing ones; a non-finite loss is written."""
        summary_type = self._tensorboardx.proto.summary_pb2.Summary
        values = [
            summary_type.Value(tag=tag, simple_value=value)
            for tag, value in figures.items()
            if tag.endswith("/loss") or not math.isnan(value)
        ]
        if values:
            self._write(step, summary_type(value=values))

    def _add_histogram(self, tag: str, histogram: Histogram, step: int) -> None:
        counts = np.asarray(histogram.counts, np.float64)
        if not (math.isfinite(histogram.low) and math.isfinite(histogram.high) and counts.sum()):
            return
        edges = np.linspace(histogram.low, histogram.high, len(counts) + 1)
        middles = (edges[1:] + edges[:-1]) / 2
        summary = self._tensorboardx.summary.histogram_raw(
            tag,
            min=histogram.low,
            max=histogram.high,
            num=float(counts.sum()),
            # From the midpoints of the bins: the values are not stored.
            sum=float(counts @ middles),
            sum_squares=float(counts @ middles**2),
            bucket_limits=edges[1:].tolist(),
            bucket_counts=counts.tolist(),
        )
        self._write(step, summary)

    def _write(self, step: int, summary: Any) -> None:
        event = self._tensorboardx.proto.event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
        self._writer.write_event(event)


def _tensorboardx() -> Any:
    try:
        return importlib.import_module("tensorboardX")
    except ImportError as error:
        raise ImportError(f"event files for TensorBoard need tensorboardX: {INSTALL_HINT}") from error
