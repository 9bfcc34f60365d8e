"""Number formatting, and the scale and the smoothing of curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Metrics that are abbreviations.
_ABBREVIATIONS = {"f1": "F1", "mae": "MAE", "r2": "R²", "rmse": "RMSE", "roc_auc": "ROC AUC"}
#: Symbol of each severity, so that colour is not the only cue.
SYMBOLS = {"error": "✖", "warning": "▲", "info": "●"}


def written(value: float, digits: int = 4) -> str:
    """Return a figure as text; a dash for NaN.

    Examples
    --------
    >>> written(0.123456), written(float("nan")), written(float("inf")), written(2e-7)
    ('0.1235', '-', '∞', '2e-07')
    """
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.{digits}g}"


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    Examples
    --------
    >>> counted(1, "epoch"), counted(2, "epoch")
    ('1 epoch', '2 epochs')
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def amount(value: float, digits: int = 4) -> str:
    """Return a figure in the units of the data, such as a price: without an exponent below 1e15.

    Examples
    --------
    >>> amount(66170.4), amount(0.01234567), amount(1.5e20)
    ('66170', '0.01235', '1.5e+20')
    """
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e15 else text


def percent(value: float) -> str:
    """Return a share as a percentage.

    Examples
    --------
    >>> percent(0.923), percent(float("nan"))
    ('92.3%', '-')
    """
    return f"{100 * value:.1f}%" if math.isfinite(value) else written(value)


def metric_words(name: str) -> str:
    """Return the name of a metric as people write it.

    Examples
    --------
    >>> metric_words("roc_auc"), metric_words("balanced_accuracy")
    ('ROC AUC', 'balanced accuracy')
    """
    return _ABBREVIATIONS.get(name, name.replace("_", " "))


def wants_log_scale(values: Floats) -> bool:
    """Return whether the finite values are all above 0, and the largest is more than ten times the smallest.

    Examples
    --------
    >>> wants_log_scale(np.array([0.1, np.nan, 2.0])), wants_log_scale(np.array([0.0, 2.0]))
    (True, False)
    """
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > 10 * finite.min())


def last_finite(values: Floats) -> float:
    """Return the last finite value, or NaN."""
    finite = np.flatnonzero(np.isfinite(values))
    return float(values[finite[-1]]) if len(finite) else math.nan


def smoothed(values: Floats) -> Floats:
    """Return a centred running mean over a fiftieth of the values, without non-finite ones.

    Examples
    --------
    >>> smoothed(np.array([1.0, np.nan, 3.0]))
    array([ 1., nan,  3.])
    """
    reach = len(values) // 100
    finite = np.pad(np.isfinite(values), reach)
    # Divide before summing: the largest floats must not overflow. Sum each window separately: a running sum would
    # lose small values, as in 1e30 - 1e30 + 0.1.
    parts = np.where(finite, np.pad(values, reach), 0.0) / (2 * reach + 1)
    count = len(values)
    sums = sum((parts[shift : shift + count] for shift in range(2 * reach + 1)), np.zeros(count))
    counts = sum((finite[shift : shift + count] for shift in range(2 * reach + 1)), np.zeros(count))
    means = sums * ((2 * reach + 1) / np.maximum(counts, 1))
    return np.where(np.isfinite(values), means, np.nan)
