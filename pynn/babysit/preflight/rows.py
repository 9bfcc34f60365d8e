"""Rows that occur twice, exactly or nearly."""

from __future__ import annotations

import numpy as np


def row_keys(values: np.ndarray) -> np.ndarray:
    """Return for each row one item that equals another's if, and only if, the rows are equal as float32."""
    rows = np.ascontiguousarray(values, dtype=np.float32) + np.float32(0)  # -0 becomes 0
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]


def shared_rows(keys: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which of `keys` are among `others`."""
    known = set(others.tolist())
    return np.array([key in known for key in keys.tolist()], dtype=bool)


def far_fewer_than_rows(values: np.ndarray) -> bool:
    """Return whether the features can take so few values that equal rows are to be expected.

    The entropies of the features bound how many different rows there can be in a typical sample.
    """
    sample = values[:5000]
    bits = 0.0
    for column in sample.T[:2000]:
        _, counts = np.unique(column, return_counts=True)
        shares = counts / counts.sum()
        bits -= float(np.sum(shares * np.log2(shares)))
        # Two independent samples of n rows share some when 2^bits is below about n^2.
        if bits > 2 * np.log2(max(len(values), 2)) + 4:
            return False
    # A feature whose every value is new, such as a measured amount, cannot repeat by chance however few there are.
    return all(len(np.unique(column)) < 0.5 * len(column) for column in sample.T[:2000])


def near_duplicates(train: np.ndarray, held_out: np.ndarray, rng: np.random.Generator) -> float:
    """Return the share of held-out rows that lie nowhere so near to another row as to one in training.

    Near means within a hundredth of the distance that is usual between a row and the one nearest to it.
    """
    if train.shape[1] < 3 or len(train) < 20:
        return 0.0
    chosen = held_out[rng.permutation(len(held_out))[:256]].astype(np.float64)
    known = train[rng.permutation(len(train))[:10_000]].astype(np.float64)
    centre = known.mean(axis=0)
    nearest = _nearest(chosen - centre, known - centre)
    own = known[:256] - centre
    usual = float(np.median(_nearest(own, known[256:] - centre) if len(known) > 512 else nearest))
    # Below this the difference of large squares holds rounding only.
    floor = 1e-7 * float(np.sqrt(np.mean(np.square(known - centre).sum(axis=1))))
    return float(np.mean(nearest < max(0.01 * usual, floor))) if usual > 100 * floor else 0.0


def _nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = np.square(rows).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2 * rows @ others.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0))
