"""Weights of examples for estimators that train on a part of them at a time: repetitions, or factors of the loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Whole weights count as repetitions if they make at most this many times as many examples.
MOST_REPEATED = 10


class Weighted(NamedTuple):
    """The examples to train on.

    Attributes
    ----------
    rows : ndarray of int
        In an order that depends on the examples alone, so that no fold depends on the order in which they came.
    weights : ndarray or None
        Their weights in the loss, 1 on average.
    """

    rows: np.ndarray
    weights: np.ndarray | None

    def back(self, outputs: np.ndarray, whole: np.ndarray) -> np.ndarray:
        """Return outputs (rows, k) for the examples: the mean of the repetitions, or `whole` for those left out."""
        counts = np.bincount(self.rows, minlength=len(whole))
        sums = np.zeros_like(whole)
        np.add.at(sums, self.rows, outputs)
        left_out = counts == 0
        sums[left_out] = whole[left_out]
        return sums / np.maximum(counts, 1)[:, None]


def weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Weighted:
    """Return which examples to train on.

    Whole weights, and equal ones, count as repetitions: divided by what divides them all, as long as that gives at most
    `MOST_REPEATED` times the examples. Others multiply the loss.

    Examples
    --------
    >>> x, y = np.array([[3.0], [1.0], [2.0]]), np.array([0, 1, 0])
    >>> weighted(x, y, None).rows
    array([1, 2, 0])
    >>> weighted(x, y, np.array([4.0, 2.0, 0.0])).rows
    array([1, 0, 0])
    >>> weighted(x, y, np.array([0.3, 0.7, 0.0]))
    Weighted(rows=array([1, 0]), weights=array([1.4, 0.6]))
    """
    order = np.lexsort((y, *x.T[::-1]))
    if weights is None:
        return Weighted(order, None)
    order = order[weights[order] > 0]
    given = weights[order]
    counts = _repetitions(given)
    if counts is None:
        return Weighted(order, given / given.mean())
    return Weighted(np.repeat(order, counts), None)


def _repetitions(weights: np.ndarray) -> np.ndarray | None:
    """Return how often each example is to be repeated, or None if that is too often or not whole."""
    parts = weights / weights.min()
    if (weights == np.floor(weights)).all() and weights.max() < 2**53:
        whole = weights.astype(np.int64)
        parts = whole / np.gcd.reduce(whole)
    if (parts != np.floor(parts)).any() or parts.sum() > MOST_REPEATED * len(parts):
        return None
    return parts.astype(np.int64)
