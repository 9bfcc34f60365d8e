"""Minibatches of data in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .examples import Examples


class Batches:
    """The minibatches of a data set, gathered into buffers that are used again.

    Parameters
    ----------
    examples : Examples
    batch_size : int
    drop_single : bool
        Leave out a last batch of one example.
    """

    def __init__(self, examples: Examples, batch_size: int, *, drop_single: bool) -> None:
        self.x, self.y, self.weights = x, y, weights = examples
        self.batch_size = batch_size
        count = len(x)
        if drop_single and count % batch_size == 1 and count > 1 and batch_size > 1:
            count -= 1
        self._count = count
        rows = min(batch_size, count)
        self._x = np.empty((rows, *x.shape[1:]), x.dtype)
        self._y = np.empty((rows, *y.shape[1:]), y.dtype)
        self._weights = None if weights is None else np.empty(rows, weights.dtype)

    def __len__(self) -> int:
        return -(-self._count // self.batch_size)

    def order(self, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
        """Return the order of the examples in an epoch, a function of seed and epoch alone."""
        if not shuffle:
            return np.arange(len(self.x))
        return np.random.default_rng([seed, epoch]).permutation(len(self.x))

    def take(self, index: int, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return minibatch `index`; the arrays are overwritten by the next call."""
        rows = order[index * self.batch_size : min((index + 1) * self.batch_size, self._count)]
        # mode="clip" writes straight to `out`; the default would go through a buffer.
        x = np.take(self.x, rows, axis=0, out=self._x[: len(rows)], mode="clip")
        y = np.take(self.y, rows, axis=0, out=self._y[: len(rows)], mode="clip")
        if self.weights is None or self._weights is None:
            return x, y, None
        return x, y, np.take(self.weights, rows, out=self._weights[: len(rows)], mode="clip")
