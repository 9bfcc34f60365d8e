"""Tests whether targets depend on inputs: by the network and two simple predictors, on held-out examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...training.examples import Examples
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
        linear[here] = _ridge(features[there], known[there], features[here])
        near[here] = _neighbours(features[there], known[there], features[here])
    return Relation(
        _standard_errors(scores.reshape(len(scores), -1), targets.reshape(len(targets), -1)),
        _standard_errors(linear, known),
        _standard_errors(near, known),
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


def _ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the predictions of a ridge regression."""
    centre = y.mean(axis=0)
    gram = x.T @ x
    penalty = 0.1 * np.trace(gram) / len(gram) + 1e-9
    gram[np.diag_indices_from(gram)] += penalty
    return centre + new @ np.linalg.solve(gram, x.T @ (y - centre))


def _neighbours(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the mean target of the nearest examples."""
    count = min(NEIGHBOURS, len(x))
    result = np.empty((len(new), y.shape[1]))
    for start in range(0, len(new), 500):
        part = new[start : start + 500]
        distances = np.square(x).sum(axis=1) - 2 * part @ x.T
        result[start : start + 500] = y[np.argpartition(distances, count - 1, axis=1)[:, :count]].mean(axis=1)
    return result


def _standard_errors(prediction: np.ndarray, target: np.ndarray) -> float:
    """Return by how many standard errors the agreement exceeds that of unrelated pairs."""
    prediction = prediction.astype(np.float64) - prediction.mean(axis=0)
    target = target.astype(np.float64) - target.mean(axis=0)
    spread = target.std(axis=0)
    agreement = (prediction * target / np.where(spread > 0, spread, 1) ** 2 * spread.mean()).sum(axis=1)
    agreement = np.nan_to_num(agreement)
    error = float(agreement.std()) / np.sqrt(len(agreement))
    return float(agreement.mean()) / error if error > 0 else 0.0
