"""Exact and near duplicates of rows."""

from __future__ import annotations

import numpy as np

#: Random projections of wide rows keep distances to a tenth; of images of 32x32, they take a tenth of the time.
PROJECTED = 256


def row_keys(values: np.ndarray) -> np.ndarray:
    """Return one key per row; keys are equal if and only if the rows are equal as float32."""
    rows = np.ascontiguousarray(values, dtype=np.float32) + np.float32(0)  # -0 becomes 0
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]


def shared_rows(keys: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return a mask of `keys` that are among `others`."""
    known = set(others.tolist())
    return np.array([key in known for key in keys.tolist()], dtype=bool)


def far_fewer_than_rows(values: np.ndarray) -> bool:
    """Return whether the features have so few values that equal rows occur by chance.

    The entropies of the features bound the number of distinct rows in a typical sample.
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
    # A feature without repeated values, such as a measurement, never repeats by chance.
    return all(len(np.unique(column)) < 0.5 * len(column) for column in sample.T[:2000])


def is_truth_table(values: np.ndarray) -> bool:
    """Return whether features have two values each and the rows are all of their combinations: there are no others."""
    features = 0
    for column in values.T:
        low, high = column.min(), column.max()
        features += bool(low < high)
        if 2**features > len(values) or ((low < column) & (column < high)).any():
            return False
    return len(np.unique(row_keys(values))) == 2**features


def near_duplicates(train: np.ndarray, held_out: np.ndarray, rng: np.random.Generator) -> float:
    """Return the share of held-out rows that almost equal a training row.

    That is, within a hundredth of the usual distance between a row and its nearest neighbour.
    """
    if train.shape[1] < 3 or len(train) < 20:
        return 0.0
    chosen, known = held_out[rng.permutation(len(held_out))[:256]], train[rng.permutation(len(train))[:10_000]]
    if train.shape[1] > 2 * PROJECTED:
        mixing = rng.standard_normal((train.shape[1], PROJECTED), dtype=np.float32)
        chosen, known = chosen @ mixing, known @ mixing
    chosen, known = chosen.astype(np.float64), known.astype(np.float64)
    centre = known.mean(axis=0)
    nearest = _nearest(chosen - centre, known - centre)
    own = known[:256] - centre
    usual = float(np.median(_nearest(own, known[256:] - centre) if len(known) > 512 else nearest))
    # Below this, the difference of large squares is rounding error.
    floor = 1e-7 * float(np.sqrt(np.mean(np.square(known - centre).sum(axis=1))))
    return float(np.mean(nearest < max(0.01 * usual, floor))) if usual > 100 * floor else 0.0


def _nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = np.square(rows).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2 * rows @ others.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0))
