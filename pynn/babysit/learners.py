"""Simple learners whose predictions the network's are compared with, and the test of a relation."""

from __future__ import annotations

import numpy as np

#: Neighbours that `simple_predictions` averages, and its random features.
NEIGHBOURS, FEATURES = 5, 300


def ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the predictions of a ridge regression for `new`, from centred features `x` and targets `y`, (n, k)."""
    centre = y.mean(axis=0)
    gram = x.T @ x
    penalty = 0.1 * np.trace(gram) / len(gram) + 1e-9
    gram[np.diag_indices_from(gram)] += penalty
    return centre + new @ np.linalg.solve(gram, x.T @ (y - centre))


def neighbours(x: np.ndarray, y: np.ndarray, new: np.ndarray, count: int) -> np.ndarray:
    """Return the mean target of the `count` nearest examples."""
    count = min(count, len(x))
    result = np.empty((len(new), y.shape[1]))
    for start in range(0, len(new), 500):
        part = new[start : start + 500]
        distances = np.square(x).sum(axis=1) - 2 * part @ x.T
        result[start : start + 500] = y[np.argpartition(distances, count - 1, axis=1)[:, :count]].mean(axis=1)
    return result


def simple_predictions(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> list[np.ndarray]:
    """Return the predictions of nearest neighbours and of ridge regressions on random features and on few features.

    Features are standardised; targets are (n, k).
    """
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1
    x, new = (x - centre) / spread, (new - centre) / spread
    answers = [neighbours(x, y, new, NEIGHBOURS), _from_random_features(x, y, new)]
    if x.shape[1] <= FEATURES:
        answers.append(ridge(x, y, new))
    return answers


def _from_random_features(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(x.shape[1], FEATURES)) / np.sqrt(x.shape[1])
    bias = rng.normal(size=FEATURES)
    inner, outer = np.tanh(x @ weights + bias), np.tanh(new @ weights + bias)
    mean = y.mean(axis=0)
    gram = inner.T @ inner + 1e-2 * len(x) ** 0.5 * np.eye(FEATURES)
    return outer @ np.linalg.solve(gram, inner.T @ (y - mean)) + mean


def standard_errors(prediction: np.ndarray, target: np.ndarray) -> float:
    """Return by how many standard errors the agreement of (n, k) arrays exceeds that of unrelated pairs."""
    prediction = prediction.astype(np.float64) - prediction.mean(axis=0)
    target = target.astype(np.float64) - target.mean(axis=0)
    spread = target.std(axis=0)
    agreement = (prediction * target / np.where(spread > 0, spread, 1) ** 2 * spread.mean()).sum(axis=1)
    agreement = np.nan_to_num(agreement)
    error = float(agreement.std()) / np.sqrt(len(agreement))
    return float(agreement.mean()) / error if error > 0 else 0.0
