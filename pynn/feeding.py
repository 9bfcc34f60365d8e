"""Minibatches of data in memory."""

from __future__ import annotations

import numpy as np

#: Rows checked for NaN at a time, which bounds the temporary memory.
CHUNK = 4096


class Batches:
    """The minibatches of a data set, gathered into buffers that are used again.

    Parameters
    ----------
    x, y : ndarray
    weights : ndarray or None
    batch_size : int
    drop_single : bool
        Leave out a last batch of one example.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, batch_size: int, *, drop_single: bool
    ) -> None:
        self.x, self.y, self.weights = x, y, weights
        self.batch_size = batch_size
        examples = len(x)
        if drop_single and examples % batch_size == 1 and examples > 1 and batch_size > 1:
            examples -= 1
        self._examples = examples
        rows = min(batch_size, examples)
        self._x = np.empty((rows, *x.shape[1:]), x.dtype)
        self._y = np.empty((rows, *y.shape[1:]), y.dtype)
        self._weights = None if weights is None else np.empty(rows, weights.dtype)

    def __len__(self) -> int:
        return -(-self._examples // self.batch_size)

    def order(self, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
        """Return the order of the examples in an epoch, a function of seed and epoch alone."""
        if not shuffle:
            return np.arange(len(self.x))
        return np.random.default_rng([seed, epoch]).permutation(len(self.x))

    def take(self, index: int, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return minibatch `index`; the arrays are overwritten by the next call."""
        rows = order[index * self.batch_size : min((index + 1) * self.batch_size, self._examples)]
        # mode="clip" writes straight to `out`; the default would go through a buffer.
        x = np.take(self.x, rows, axis=0, out=self._x[: len(rows)], mode="clip")
        y = np.take(self.y, rows, axis=0, out=self._y[: len(rows)], mode="clip")
        if self.weights is None or self._weights is None:
            return x, y, None
        return x, y, np.take(self.weights, rows, out=self._weights[: len(rows)], mode="clip")


def check_finite(array: np.ndarray, name: str) -> np.ndarray:
    """Return `array`, or raise ValueError that names the first row with a NaN or an infinity."""
    if array.dtype.kind != "f":
        return array
    for start in range(0, len(array) if array.ndim else 0, CHUNK):
        finite = np.isfinite(array[start : start + CHUNK])
        if finite.all():
            continue
        where = np.argwhere(~finite)[0]
        value = "a NaN" if np.isnan(array[start + where[0], *where[1:]]) else "an infinity"
        column = f", column {', '.join(map(str, where[1:]))}" if len(where) > 1 else ""
        raise ValueError(f"{name} has {value} in row {start + where[0]}{column}")
    return array


def check_lengths(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, name: str) -> None:
    """Raise ValueError unless there are examples, and as many targets and weights."""
    if len(x) == 0:
        raise ValueError(f"{name}x is empty: its shape is {x.shape}")
    if len(y) != len(x):
        raise ValueError(f"{name}x has {len(x)} rows and {name}y has {len(y)}; expected as many")
    if weights is not None and weights.shape != (len(x),):
        raise ValueError(f"sample_weight has shape {weights.shape}; expected ({len(x)},)")
