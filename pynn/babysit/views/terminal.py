"""Terminal view of a run: a compact live panel, or one plain line per finding without a terminal."""

from __future__ import annotations

import math
import textwrap
import time
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.panel import Panel as Box
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...report.live import NotebookLive
from ...report.text import SYMBOLS, last_finite, percent, smoothed, written
from ...training.callbacks import Callback
from ...utils.streams import error_console
from .reading import GOOD_RATIO, RunFigures, checked, place, words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...report.text import Floats
    from ...training.trainer import Trainer
    from ..findings import Finding
    from ..monitor.monitor import Monitor

#: Maximum refreshes per second, and maximum share of the time.
REFRESH_RATE, MAX_OF_THE_TIME = 4.0, 0.03
#: Maximum number of listed findings; the panel shows the number of the others.
MAX_FINDINGS = 6
WIDTH = 100

BARS = "▁▂▃▄▅▆▇█"
STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


class Panel(Callback):
    """Show a run and what a monitor found, while it trains, on standard error.

    On a terminal or in a notebook, a panel of a few lines shows progress, loss and accuracy with their course, learning
    rate, update ratios, the worst layers and the findings. Otherwise, each finding prints one plain line.

    Parameters
    ----------
    monitor : Monitor
        It must precede the panel among the callbacks; ``on_problem="silent"`` avoids additional warnings.
    console : rich.console.Console, optional
        Console to write to; standard error by default.

    Examples
    --------
    >>> import io, pynn
    >>> from rich.console import Console
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> panel = Panel(monitor, Console(file=io.StringIO()))
    >>> history = trainer.fit(x, y, epochs=2, callbacks=[monitor, panel])
    """

    def __init__(self, monitor: Monitor, console: Console | None = None) -> None:
        self.monitor = checked(monitor)
        self._console = console
        self._live: Live | NotebookLive | None = None
        self._printed: list[str] = []
        self._due = -math.inf

    def on_train_begin(self, trainer: Trainer) -> None:
        # Not in __init__: the stream may be redirected before training.
        self._out = self._console or error_console()
        self._printed = [finding.severity for finding in self.monitor.findings]
        self._due = -math.inf
        if self._out.is_jupyter:
            self._live = NotebookLive()
        elif self._out.is_terminal:
            # No refresh thread: it would read the monitor while a step writes to it.
            self._live = live = Live(console=self._out, auto_refresh=False)
            live.start()

    def on_step_end(self, trainer: Trainer) -> None:
        self._show(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        self._show(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        self._due = -math.inf
        self._show(trainer)
        if self._live is not None:
            self._live.stop()
            self._live = None
            # The panel truncates findings.
            self._tell()

    def _show(self, trainer: Trainer) -> None:
        if self._live is None:
            self._tell()
            return
        began = time.monotonic()
        if began < self._due:
            return
        self._live.update(render(self.monitor, trainer, self._out.width), refresh=True)
        ended = time.monotonic()
        self._due = ended + max(1 / REFRESH_RATE, (ended - began) / MAX_OF_THE_TIME)

    def _tell(self) -> None:
        """Print a line for each fault that is new, or worse than when it was printed."""
        for index, finding in enumerate(self.monitor.findings):
            printed = self._printed[index] if index < len(self._printed) else "info"
            if finding.severity != printed:
                line = plain_line(finding)
                if self._out.is_terminal:
                    line = textwrap.fill(line, self._out.width, subsequent_indent="  ", break_on_hyphens=False)
                self._out.print(line, markup=False, highlight=False, soft_wrap=True)
        self._printed = [finding.severity for finding in self.monitor.findings]


def plain_line(finding: Finding) -> str:
    """Return a finding as one line of a log: severity, symptom, layer, steps, evidence, advice.

    Examples
    --------
    >>> from pynn.babysit.findings import Finding
    >>> plain_line(Finding("dead_units", "1.ReLU", 40, 40, "warning", "70% of 64 units never active", "lower the rate"))
    'warning: dead_units in 1.ReLU, step 40: 70% of 64 units never active; lower the rate'
    """
    return " ".join(str(finding).split())


def render(monitor: Monitor, trainer: Trainer, width: int = WIDTH) -> RenderableType:
    """Return the panel as a rich renderable."""
    run = RunFigures(monitor)
    width = min(width, WIDTH)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.expand = True
    space = max(width - 48, 8)
    grid.add_row("epoch", _progress(trainer, space))
    grid.add_row("loss", _course(run, "loss", space))
    if not np.isnan(run.accuracy).all():
        grid.add_row("accuracy", _course(run, "accuracy", space))
    grid.add_row("lr", _rate(trainer, run))
    worst = worst_layers(run)
    if worst:
        grid.add_row("layers", Text("   ".join(worst)))
    for finding in run.findings[:MAX_FINDINGS]:
        grid.add_row(*_finding(finding))
    hidden = len(run.findings) - MAX_FINDINGS
    if hidden > 0:
        grid.add_row("", Text(f"and {hidden} more", style="dim"))
    if not run.findings:
        grid.add_row(Text("✓", style="green"), Text("no finding so far", style="green"))
    return Box(grid, title="pynn", title_align="left", border_style="dim", width=width)


def _progress(trainer: Trainer, width: int) -> RenderableType:
    batches = max(trainer.batches_per_epoch, 1)
    target = max(trainer.target_epoch, 1)
    done = (trainer.epoch * batches + trainer.batches_done) / (target * batches)
    row = Table.grid(padding=(0, 2))
    text = f"{min(trainer.epoch + 1, target)}/{target}  step {trainer.steps:,}"
    row.add_row(text, ProgressBar(total=1.0, completed=min(done, 1.0), width=min(width, 30)), f"{done:4.0%}")
    return row


def _course(run: RunFigures, name: str, width: int) -> Text:
    values, say = (run.loss, written) if name == "loss" else (run.accuracy, percent)
    values = smoothed(values)
    text = Text(f"{say(float(values[-1]) if len(values) else math.nan):<8}")
    validation = run.of_epochs(f"val_{name}")
    if validation is not None:
        text.append(f"val {say(last_finite(validation)):<8}")
    text.append(" ")
    text.append(sparkline(values, min(width, 40)), style="blue")
    return text


def sparkline(values: Floats, width: int) -> str:
    """Return values as a row of small bars; a space where no value is finite.

    Examples
    --------
    >>> sparkline(np.array([0.0, 1.0, 2.0, float("nan"), 7.0]), 8)
    '▁▂▃ █'
    """
    if not len(values):
        return ""
    means = []
    for piece in np.array_split(values, min(width, len(values))):
        finite = piece[np.isfinite(piece)]
        # Divide first: the sum of huge floats overflows.
        means.append(float((finite / len(finite)).sum()) if len(finite) else math.nan)
    known = [value for value in means if not math.isnan(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    span = high / 2 - low / 2
    heights = [math.nan if math.isnan(v) else (v / 2 - low / 2) / span if span > 0 else 0.0 for v in means]
    return "".join(" " if math.isnan(h) else BARS[min(int(h * 7 + 0.5), 7)] for h in heights)


def _rate(trainer: Trainer, run: RunFigures) -> Text:
    text = Text(f"{written(trainer.lr, 3):<12}")
    ratios = {layer: last_finite(column) for layer, column in run.figure("update_ratio").items()}
    ratios = {layer: ratio for layer, ratio in ratios.items() if ratio > 0}
    if not ratios:
        return text
    # The layer furthest from the healthy ratio.
    layer = max(ratios, key=lambda name: abs(math.log10(ratios[name] / GOOD_RATIO)))
    middle = float(np.median(list(ratios.values())))
    text.append(f"update/weight {written(middle, 2)}")
    if len(ratios) > 1:
        text.append(f"  furthest from {GOOD_RATIO:g}: {layer} {written(ratios[layer], 2)}", style="dim")
    return text


def worst_layers(run: RunFigures) -> list[str]:
    """Return the layers with most dead or saturated units, and the gradient ratio of first to last layer."""
    facts = []
    for name, text in (("dead_fraction", "dead"), ("saturated_fraction", "saturated")):
        last = {layer: last_finite(column) for layer, column in run.figure(name).items()}
        layer = max(last, key=lambda key: last[key], default=None)
        if layer is not None and last[layer] > 0:
            facts.append(f"{text} {percent(last[layer])} ({layer})")
    gradients = [(layer, last_finite(column)) for layer, column in run.figure("gradient_rms").items()]
    gradients = [(layer, value) for layer, value in gradients if value > 0]
    if len(gradients) > 1:
        facts.append(f"gradient first/last {written(gradients[0][1] / gradients[-1][1], 2)}")
    return facts


def _finding(finding: Finding) -> tuple[Text, Text]:
    style = STYLES[finding.severity]
    text = Text().append(words(finding.symptom), style=style)
    text.append(f" ({place(finding)}): {finding.evidence}")
    return Text(SYMBOLS[finding.severity], style=style), text
