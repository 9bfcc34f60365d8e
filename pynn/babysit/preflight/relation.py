"""Tests whether targets depend on inputs: by the network and two simple predictors, on held-out examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...training.examples import Examples
from ..learners import neighbours, ridge, standard_errors
from .case import Case

#: Maximum number of features of the simple predictors; more are projected at random.
MAX_FEATURES = 400
NEIGHBOURS = 7


@dataclass
class Relation:
    """Association of predictions and targets on held-out examples, in standard errors."""

    network: float
    linear: float
    neighbours: float
    count: int


def relation(case: Case, everything: Examples, held_out: Examples, prediction: np.ndarray) -> Relation | None:
    """Return the association for the network and two simple predictors; None for other kinds of targets.

    Parameters
    ----------
    everything : Examples
        For the simple predictors: each half is predicted from the other.
    held_out, prediction
        Examples not used in training, and the network's predictions for them.
    """
    if case.labels(everything.y, prediction.shape):
        classes = prediction.shape[1]
        scores = prediction - prediction.mean(axis=1, keepdims=True)
        targets, known = np.eye(classes)[held_out.y], np.eye(classes)[everything.y]
    elif everything.y.shape[1:] == prediction.shape[1:]:
        scores, targets, known = prediction, held_out.y, everything.y
    else:
        return None
    known = known.reshape(len(known), -1).astype(np.float64)
    features = _features(everything.x, case.generator(13))
    half = len(features) // 2
    halves = (slice(None, half), slice(half, None))
    linear, near = np.empty_like(known), np.empty_like(known)
    for there, here in (halves, halves[::-1]):
        linear[here] = ridge(features[there], known[there], features[here])
        near[here] = neighbours(features[there], known[there], features[here], NEIGHBOURS)
    return Relation(
        standard_errors(scores.reshape(len(scores), -1), targets.reshape(len(targets), -1)),
        standard_errors(linear, known),
        standard_errors(near, known),
        len(known),
    )


def _features(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    features = x.reshape(len(x), -1).astype(np.float64)
    features = features - features.mean(axis=0)
    spread = features.std(axis=0)
    # Clipped: a nearly constant feature would otherwise dominate the distance.
    features /= np.where(spread > 0, spread, 1)
    features = np.clip(features, -5, 5)
    if features.shape[1] > MAX_FEATURES:
        features = features @ (rng.standard_normal((features.shape[1], MAX_FEATURES)) / np.sqrt(MAX_FEATURES))
    return features
