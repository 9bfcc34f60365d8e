"""Figures of a regression's targets."""

from __future__ import annotations

import numpy as np

#: The largest standard deviation of a target over the median one at which the others hardly count in a squared error.
UNEVEN_TARGETS = 100.0


def unevenness(targets: np.ndarray) -> float:
    """Return the largest standard deviation of a target over the (lower) median one, of those that vary.

    Examples
    --------
    >>> unevenness(np.array([[0.0, 10.0, 1.0], [1.0, 2010.0, 0.0]]))
    2000.0
    """
    spreads = targets.reshape(len(targets), -1).std(axis=0)
    varying = np.sort(spreads[spreads > 0])
    return float(varying[-1] / varying[(len(varying) - 1) // 2]) if len(varying) else 1.0


def median_distance(values: np.ndarray) -> float:
    """Return the median of the distances from the median."""
    return float(np.median(np.abs(values - np.median(values))))
