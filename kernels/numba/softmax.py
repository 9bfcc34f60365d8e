"""Softmax over the middle dimension of (n, units, positions), and its logarithm."""

import math

import numpy as np

from .compiled import njit
from .special import exp_of_negative


def softmax(x, log, out):
    """Write exp(x) / sum(exp(x)), or its logarithm, to `out`, which may be `x` itself; the sum runs over units."""
    _softmax(x, bool(log), out)


def softmax_backward(dy, y, log, out):
    """Write y (dy - sum(dy y)), or dy - exp(y) sum(dy) for the logarithm, to `out`, which may be `dy` itself."""
    _softmax_backward(dy, y, bool(log), out)


@njit()
def _softmax(x, log, out):
    n, units, positions = x.shape
    largest, total = np.empty(positions, x.dtype), np.empty(positions, np.float64)
    for i in range(n):
        for j in range(positions):
            largest[j], total[j] = -np.inf, 0.0
        for u in range(units):
            for j in range(positions):
                largest[j] = x[i, u, j] if x[i, u, j] > largest[j] else largest[j]
        for u in range(units):
            for j in range(positions):
                shifted = x[i, u, j] - largest[j]
                e = exp_of_negative(shifted)
                total[j] += e
                out[i, u, j] = shifted if log else e
        for j in range(positions):
            total[j] = math.log(total[j]) if log else 1 / total[j]
        for u in range(units):
            for j in range(positions):
                out[i, u, j] = out[i, u, j] - total[j] if log else out[i, u, j] * total[j]


@njit()
def _softmax_backward(dy, y, log, out):
    n, units, positions = dy.shape
    total = np.empty(positions, np.float64)
    for i in range(n):
        for j in range(positions):
            total[j] = 0.0
        for u in range(units):
            for j in range(positions):
                total[j] += dy[i, u, j] if log else np.float64(dy[i, u, j]) * y[i, u, j]
        for u in range(units):
            for j in range(positions):
                if log:
                    out[i, u, j] = dy[i, u, j] - exp_of_negative(y[i, u, j]) * total[j]
                else:
                    out[i, u, j] = y[i, u, j] * (dy[i, u, j] - total[j])
