"""Formulas of the metrics that have names here, weighted by the examples' weights, in float64.

They give what scikit-learn's functions of these names give. pynn has them itself because `pynn train` prints some of
them, and importing scikit-learn takes three times as long as a short training.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Predictions(NamedTuple):
    """Targets and the network's predictions for them.

    For classification `y` are class numbers, `labels` the most probable classes, and `values` the probabilities
    (n, classes), or None if the loss gives none. For regression `y` and `values` are in the target's units, (n,
    outputs), and `labels` is None. `weights` are those of the examples, (n,), or None.
    """

    y: np.ndarray
    values: np.ndarray | None
    labels: np.ndarray | None
    weights: np.ndarray | None


class Counts(NamedTuple):
    """How many examples of each class are right, predicted and true: arrays (classes,), or sums of their weights."""

    right: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """Of the examples that are predicted to be of a class, the share that is; 0 if there are none."""
        return _ratio(self.right, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """Of the examples of a class, the share that is predicted to be; 0 if there are none."""
        return _ratio(self.right, self.true)

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall; 0 where both are."""
        return _ratio(2 * self.right, self.predicted + self.true)


def probabilities(found: Predictions, name: str) -> np.ndarray:
    """Return the probabilities that the metric `name` needs, or raise ValueError if the loss gives none."""
    if found.values is None:
        raise ValueError(f"{name} needs probabilities, which this loss does not give")
    return found.values


def balanced_accuracy(found: Predictions) -> float:
    """Return the mean recall of the classes that occur."""
    counts = _counts(found)
    return _mean(counts.recall[counts.true > 0])


def precision(found: Predictions) -> float:
    """Return the mean precision of the classes that occur or are predicted."""
    return _mean(_counts(found).precision)


def recall(found: Predictions) -> float:
    """Return the mean recall of the classes that occur or are predicted."""
    return _mean(_counts(found).recall)


def f1(found: Predictions) -> float:
    """Return the mean F1 of the classes that occur or are predicted."""
    return _mean(_counts(found).f1)


def roc_auc(found: Predictions) -> float:
    """Return the area under the ROC curve, of each class against all others, as a mean over the classes.

    It is NaN if a class does not occur.
    """
    values = probabilities(found, "roc_auc")
    if len(np.unique(found.y)) < values.shape[1]:
        return math.nan
    if values.shape[1] == 2:
        return _area(found.y == 1, values[:, 1], found.weights)
    return _mean([_area(found.y == place, column, found.weights) for place, column in enumerate(values.T)])


def log_loss(found: Predictions) -> float:
    """Return the mean of -log(p), p the probability of the true class; no p counts as less than 2.2e-16."""
    values = probabilities(found, "log_loss").astype(np.float64)
    rounding = np.finfo(np.float64).eps
    of_true = values[np.arange(len(values)), found.y].clip(rounding, 1 - rounding)
    return float(_average(-np.log(of_true), found.weights))


def r2(found: Predictions) -> float:
    """Return 1 - (squared errors / squared deviations of the targets from their mean), as a mean over the outputs.

    Of targets that are all alike, it is 1 if all predictions are right and 0 otherwise; of one example, NaN.
    """
    y, values = _amounts(found)
    if len(y) < 2:
        return math.nan
    deviation = np.where(np.ptp(y, axis=0), y - _average(y, found.weights), 0.0)  # exact where all are alike
    size = _size(deviation)  # scaled by it: squares of very small or large errors under- or overflow
    wrong = _average(np.square((values - y) / size), found.weights)
    spread = _average(np.square(deviation / size), found.weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _mean(np.where(spread == 0, wrong == 0, 1 - wrong / spread))


def mae(found: Predictions) -> float:
    """Return the mean absolute error, as a mean over the outputs."""
    y, values = _amounts(found)
    return _mean(_average(np.abs(values - y), found.weights))


def rmse(found: Predictions) -> float:
    """Return the root of the mean square error, as a mean over the outputs."""
    y, values = _amounts(found)
    size = _size(values - y)
    return _mean(size * np.sqrt(_average(np.square((values - y) / size), found.weights)))


def _counts(found: Predictions) -> Counts:
    """Return the counts of those classes that occur or are predicted."""
    assert found.labels is not None
    right = found.y == found.labels
    classes = np.union1d(found.y, found.labels)
    true, predicted = (np.searchsorted(classes, labels) for labels in (found.y, found.labels))
    weights = np.ones(len(right)) if found.weights is None else found.weights
    size = len(classes)
    return Counts(
        np.bincount(true, weights * right, size),
        np.bincount(predicted, weights, size),
        np.bincount(true, weights, size),
    )


def _area(positive: np.ndarray, score: np.ndarray, weights: np.ndarray | None) -> float:
    """Return how often a positive example has a larger score than a negative one; half of an equal score counts."""
    if np.isnan(score).any():
        return math.nan
    values, place = np.unique(score, return_inverse=True)
    each = np.ones(len(score)) if weights is None else weights
    of_positive, of_negative = (np.bincount(place, each * chosen, len(values)) for chosen in (positive, ~positive))
    below = np.cumsum(of_negative) - of_negative / 2
    pairs = of_positive.sum() * of_negative.sum()
    return float((of_positive * below).sum() / pairs) if pairs else math.nan


def _amounts(found: Predictions) -> tuple[np.ndarray, np.ndarray]:
    assert found.values is not None
    return found.y.astype(np.float64), found.values.astype(np.float64)


def _average(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the weighted mean over the examples; NaN if there are none, or all have weight 0."""
    if not len(values) or (weights is not None and not weights.any()):
        return np.full(values.shape[1:], math.nan)
    return np.average(values, axis=0, weights=weights)


def _size(values: np.ndarray) -> np.ndarray:
    """Return the largest absolute value of each column, or 1 where that scales nothing."""
    largest = np.abs(values).max(axis=0, initial=0.0)
    return np.where((largest > 0) & np.isfinite(largest), largest, 1.0)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _mean(values: object) -> float:
    values = np.asarray(values)
    return float(values.mean()) if values.size else math.nan
