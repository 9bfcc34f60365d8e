"""Sums for compiled loops, accumulated in float64."""

import numpy as np

from .compiled import REORDERED, njit


@njit(fastmath=REORDERED)
def total(x):
    """Return the sum of the 1-D `x`."""
    result = 0.0
    for i in range(x.size):
        result += np.float64(x[i])
    return result


@njit(fastmath=REORDERED)
def absolute_total(x):
    """Return the sum of the absolute values of the 1-D `x`."""
    result = 0.0
    for i in range(x.size):
        result += abs(np.float64(x[i]))
    return result


@njit(fastmath=REORDERED)
def square_total(x):
    """Return the sum of the squares of the 1-D `x`."""
    result = 0.0
    for i in range(x.size):
        value = np.float64(x[i])
        result += value * value
    return result


@njit(fastmath=REORDERED)
def squared_deviations(x, mean):
    """Return the sum of the squares of the 1-D `x` minus `mean`."""
    result = 0.0
    for i in range(x.size):
        deviation = np.float64(x[i] - mean)
        result += deviation * deviation
    return result


@njit()
def add_column_totals(x, result):
    """Add the sum over the rows of the 2-D `x` to the float64 `result`."""
    rows = x.shape[0]
    fours = rows - rows % 4
    for i in range(0, fours, 4):  # one read and write of `result` for four rows: 1.2 to 1.4 times as fast
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(result.size):
            result[j] += (np.float64(x0[j]) + np.float64(x1[j])) + (np.float64(x2[j]) + np.float64(x3[j]))
    for i in range(fours, rows):
        row = x[i]
        for j in range(result.size):
            result[j] += np.float64(row[j])
