"""Data and labels that all views of a monitor share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np

from ...utils.validation import shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...report.text import Floats
    from ...training.history import History
    from ..findings import Finding
    from ..monitor.snapshots import Snapshot
    from ..monitor.stats import Stats
    from ..thresholds import Thresholds


@runtime_checkable
class Watched(Protocol):
    """The part of a `Monitor` that views read."""

    stats: Stats
    history: History
    first_weights: np.ndarray | None
    input_shape: tuple[int, ...]
    filter_shape: tuple[int, ...]

    @property
    def channels(self) -> set[str]:
        """The layers whose units are channels."""

    @property
    def limits(self) -> Thresholds:
        """The rules' thresholds."""

    @property
    def epochs_until(self) -> int:
        """The step at which the last finished epoch ended."""

    @property
    def verdict(self) -> list[Finding]:
        """The faults, likeliest cause first."""

    @property
    def findings(self) -> list[Finding]:
        """All findings, in order."""

    @property
    def snapshots(self) -> list[Snapshot]:
        """Recorded histograms and unit activities."""


def checked(monitor: Any) -> Any:
    """Return a monitor, or raise TypeError."""
    if not isinstance(monitor, Watched):
        raise TypeError(f"monitor is {shortened(repr(monitor))}; expected a pynn.Monitor")
    return monitor


#: Labels of symptoms whose names are not readable enough.
_WORDS = {
    "input_not_normalised": "Input not normalised",
    "bad_initial_loss": "Initial loss is not what theory says",
    "non_finite": "Loss or gradient not finite",
    "lr_too_low": "Learning rate too low",
    "lr_too_high": "Learning rate too high",
    "batchnorm_mismatch": "Batch norm differs between training and evaluation",
    "zigzag": "Zig-zag: gradients of one sign",
}

#: Labels of a layer's figures, in display order.
LAYER_FIGURES = {
    "mean": "output mean",
    "std": "output spread (std)",
    "zero_fraction": "zero outputs",
    "saturated_fraction": "saturated outputs",
    "dead_fraction": "dead units",
    "gradient_rms": "gradient of the output (rms)",
    "weight_norm": "weight norm",
    "gradient_norm": "weight gradient norm",
    "update_ratio": "update / weight",
    "zigzag": "zig-zag units",
}

#: The lecture's healthy ratio of update to weight, and a harmless range around it.
GOOD_RATIO, GOOD_RATIO_RANGE = 1e-3, (1e-4, 1e-2)


class RunFigures:
    """The recorded figures of a monitor.

    Attributes
    ----------
    steps : array of int64, shape (k,)
    loss, lr, accuracy, input_rms : arrays of float64, shape (k,)
    layers : dict of str to dict of str to array
        Figures per layer, in network order, that were measured at least once.
    verdict : list of Finding
        Those that claim a fault, likeliest cause first.
    findings : list of Finding
        The verdict, then the notes in order of discovery.
    history : History
    snapshots : list of Snapshot
    first_weights : array, shape (inputs, units), or None
    input_shape : tuple of int or None
    filter_shape : tuple of int
        Channels, rows and columns of the first layer's filters; empty for a weight matrix.
    """

    def __init__(self, monitor: Watched) -> None:
        stats = monitor.stats.copied()
        self.steps: NDArray[np.int64] = stats.steps
        self.loss, self.lr, self.accuracy = (cast("Floats", stats[name]) for name in ("loss", "lr", "accuracy"))
        self.layers = {name: _measured(cast("dict[str, Floats]", stats[name])) for name in stats.layers}
        self.verdict = list(monitor.verdict)
        self.findings = self.verdict + [finding for finding in monitor.findings if not finding.claims_fault]
        self.history = monitor.history
        self.snapshots = list(monitor.snapshots)
        self.first_weights = monitor.first_weights
        self.limits = monitor.limits
        values = max(math.prod(monitor.input_shape), 1)
        self.input_rms = cast("Floats", stats["input_norm"]) / math.sqrt(values)
        self.input_shape, self.filter_shape = monitor.input_shape, monitor.filter_shape
        self._channels = monitor.channels
        self._epochs_until = monitor.epochs_until

    def unit(self, layer: str) -> str:
        """Return the name of a layer's units."""
        return "channel" if layer in self._channels else "unit"

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last step."""
        return (int(self.steps[0]), int(self.steps[-1])) if len(self.steps) else (0, 0)

    def figure(self, name: str) -> dict[str, Floats]:
        """Return a figure of all layers that have it, in network order."""
        return {layer: figures[name] for layer, figures in self.layers.items() if name in figures}

    def of_epochs(self, name: str) -> Floats | None:
        """Return a column of the history, or None if it is missing or empty."""
        if name not in self.history:
            return None
        column = np.asarray(self.history[name], np.float64)
        return None if np.isnan(column).all() else column

    def epoch_steps(self) -> Floats:
        """Return the last step of each epoch of the history, assuming epochs of equal length."""
        epochs = np.asarray(self.history.epoch, np.float64)
        return epochs * (self._epochs_until / epochs[-1]) if len(epochs) else epochs


def _measured(figures: dict[str, Floats]) -> dict[str, Floats]:
    return {name: column for name, column in figures.items() if not np.isnan(column).all()}


def words(symptom: str) -> str:
    """Return the label of a symptom.

    Examples
    --------
    >>> words("dead_units")
    'Dead units'
    """
    return _WORDS.get(symptom, symptom.replace("_", " ").capitalize())


def place(finding: Finding) -> str:
    """Return the layer and the steps of a finding.

    Examples
    --------
    >>> from pynn.babysit.findings import Finding
    >>> place(Finding("dead_units", "1.ReLU", 40, 90, "warning", "", ""))
    '1.ReLU, steps 40-90'
    """
    when = f"step {finding.step}"
    if finding.last_step > finding.step:
        when = f"steps {finding.step}-{finding.last_step}"
    if finding.end is not None:
        when += f", passed by step {finding.end}"
    return f"{finding.layer}, {when}" if finding.layer else when
