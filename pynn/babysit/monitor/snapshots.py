"""Histograms of activations and gradients at some steps of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

#: Sampled values per array, and bins.
DRAWN, BINS = 4096, 40
#: Maximum number of snapshots; beyond it, every other one is dropped.
MOST = 64
FIRST_STEPS = (1, 8, 32, 100, 200, 300, 400)
INTERVAL = 500


@dataclass
class Histogram:
    """Histogram of values between `low` and `high`, in bins of equal width.

    Examples
    --------
    >>> import numpy as np
    >>> Histogram.of(np.arange(80.0)).counts[:3]
    array([2, 2, 2])
    """

    low: float
    high: float
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Histogram:
        values = values.reshape(-1)
        drawn = values[:: max(1, values.size // DRAWN)].astype(np.float64)
        drawn = drawn[np.isfinite(drawn)]
        if not drawn.size:
            return cls(0.0, 0.0, np.zeros(BINS, np.int64))
        low, high = float(drawn.min()), float(drawn.max())
        width = high - low
        if not 0 < width < np.inf:
            return cls(low, high, np.bincount([0], minlength=BINS) * drawn.size)
        places = np.minimum(((drawn - low) * (BINS / width)).astype(np.int64), BINS - 1)
        return cls(low, high, np.bincount(places, minlength=BINS))


@dataclass
class Snapshot:
    """The network at one step.

    Attributes
    ----------
    step : int
    activations, gradients : dict of str to Histogram
        Histograms of the layers' outputs, and of their gradients.
    active : dict of str to ndarray (units,)
        For rectifier layers: share of a window's examples that activated each unit.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(n=320, classes=3, seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01))
    >>> monitor = pynn.Monitor()
    >>> history = trainer.fit(x, y, epochs=1, batch_size=32, callbacks=[monitor])
    >>> sorted(monitor.snapshots[0].activations)
    ['1.ReLU', '2.Linear']
    """

    step: int
    activations: dict[str, Histogram] = field(default_factory=dict)
    gradients: dict[str, Histogram] = field(default_factory=dict)
    active: dict[str, np.ndarray] = field(default_factory=dict)


def histograms(arrays: Mapping[str, np.ndarray | None]) -> dict[str, Histogram]:
    """Return the histograms of the arrays, without those that are None."""
    return {name: Histogram.of(array) for name, array in arrays.items() if array is not None}


class Album:
    """Snapshots spread evenly over a run of any length."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self._interval = INTERVAL
        self._next = 0

    def due(self, step: int) -> bool:
        """Return whether a snapshot is due."""
        return step >= self._next

    def add(self, snapshot: Snapshot) -> None:
        """Add a snapshot, and drop every other one if there are too many."""
        self.snapshots.append(snapshot)
        if len(self.snapshots) > MOST:
            self.snapshots = self.snapshots[::2]
            self._interval *= 2
        early = [step for step in FIRST_STEPS if step > snapshot.step]
        self._next = early[0] if early else snapshot.step + self._interval
