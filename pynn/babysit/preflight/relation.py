"""Tests whether targets depend on inputs: by the network and two simple predictors, on held-out examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...training.examples import Examples
from ..learners import neighbours, ridge, standard_errors
from .case import Case

#: Maximum number of features of the simple predictors; more are projected at random.
MAX_FEATURES = 400
NEIGHBOURS = 7
#: Examples among which neighbours are looked for.
MAX_EXAMPLES = 4000


@dataclass
class Relation:
    """Association of predictions and targets on held-out examples, in standard errors."""

    network: float
    linear: float
    neighbours: float
    count: int

    @property
    def simple(self) -> float:
        """The better of the two simple predictors."""
        return max(self.linear, self.neighbours)

    def __str__(self) -> str:
        return f"a linear fit: {self.linear:.1f}, nearest neighbours: {self.neighbours:.1f}"


def relation(case: Case, everything: Examples) -> Relation | None:
    """Return the association for the two simple predictors, each half predicted from the other.

    Return None for targets of another form than the outputs.
    """
    known = _targets(case, everything, (len(everything.y), *case.output_shape[1:]))
    if known is None:
        return None
    features = _features(everything.x, case.generator(13))
    linear, near = np.empty_like(known), np.empty_like(known)
    for there, here in _halves(len(features)):
        linear[here] = ridge(features[there], known[there], features[here])
        near[here] = neighbours(features[there], known[there], features[here], NEIGHBOURS)
    return Relation(0.0, standard_errors(linear, known), standard_errors(near, known), len(known))


def recognised(case: Case, rare: np.ndarray) -> float:
    """Return what share of `rare` examples, a mask, their neighbours recognise, each half from the other; NaN if few.

    Such examples lie together, apart from the others, so that a network can tell them without weights.
    """
    rows = case.rows(MAX_EXAMPLES, stream=18)
    x, rare = _features(case.examples.x[rows], case.generator(13)), rare[rows]
    if rare.sum() < 2 * NEIGHBOURS:
        return math.nan
    found = [
        neighbours(x[there], rare[there, None].astype(np.float64), x[here][rare[here]], NEIGHBOURS) > 0.5
        for there, here in _halves(len(x))
    ]
    return float(np.concatenate(found).mean())


def _halves(rows: int) -> list[tuple[slice, slice]]:
    """Return pairs of halves of the rows: to learn from, and to predict."""
    first, second = slice(None, rows // 2), slice(rows // 2, None)
    return [(first, second), (second, first)]


def of_network(case: Case, held_out: Examples, prediction: np.ndarray) -> float:
    """Return the association of the network's predictions with targets that it was not trained on."""
    targets = _targets(case, held_out, prediction.shape)
    if targets is None:
        return 0.0
    if case.labels(held_out.y, prediction.shape):
        prediction = prediction - prediction.mean(axis=1, keepdims=True)
    return standard_errors(prediction.reshape(len(prediction), -1), targets)


def _targets(case: Case, part: Examples, outputs: tuple[int, ...]) -> np.ndarray | None:
    """Return the targets as rows of numbers, labels one-hot; None if they have another form than the outputs."""
    if case.labels(part.y, outputs):
        return np.eye(outputs[1])[part.y]
    if part.y.shape[1:] != outputs[1:]:
        return None
    return part.y.reshape(len(part.y), -1).astype(np.float64)


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
