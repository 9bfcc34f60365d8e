"""Activations over several arrays: PReLU, whose slope is learnt, and Maxout, the largest of several pieces."""

import numpy as np

from .compiled import njit
from .reductions import total
from .spans import copy


def prelu(x, slope, out):
    """Write x where x >= 0, else slope * x; `x` is (n, units, positions), `slope` has one entry, or one per unit."""
    if x.shape[2] == 1:
        _prelu(x.reshape(x.shape[:2]), slope, out.reshape(x.shape[:2]))
    else:
        _prelu_positions(x, slope, out)


def prelu_backward(dy, x, slope, dx, dslope):
    """Write dx, and dslope = the sum of dy * x over negative x (per unit, or over all for a single slope)."""
    if x.shape[2] == 1:
        flat = x.shape[:2]
        _prelu_backward(dy.reshape(flat), x.reshape(flat), slope, dx.reshape(flat), dslope)
    else:
        _prelu_positions_backward(dy, x, slope, dx, dslope)


def maxout(x, pieces, out):
    """Write the maximum over pieces: out[n, u] = max_j x[n, j * units + u]."""
    _maxout(x, int(pieces), out)


def maxout_backward(dy, x, pieces, dx):
    """Pass dy to the piece that was the maximum (the first on ties), 0 to the others."""
    _maxout_backward(dy, x, int(pieces), dx)


@njit()
def _write_slope_gradient(by_unit, dslope):
    """Write the sums of the units, or for a single slope their total."""
    for u in range(dslope.size):
        dslope[u] = by_unit[u] if dslope.size > 1 else total(by_unit)


@njit()
def _prelu(x, slope, out):
    zero = x.dtype.type(0)
    per_column = slope.size > 1
    for n in range(x.shape[0]):
        row, y = x[n], out[n]
        if per_column:
            for u in range(row.size):
                y[u] = slope[u] * row[u] if row[u] < zero else row[u]
        else:
            s = slope[0]
            for u in range(row.size):
                y[u] = s * row[u] if row[u] < zero else row[u]


@njit()
def _prelu_backward(dy, x, slope, dx, dslope):
    zero = x.dtype.type(0)
    by_unit = np.zeros(x.shape[1])
    widened = np.empty(x.shape[1], x.dtype)
    for u in range(widened.size):
        widened[u] = slope[u] if slope.size > 1 else slope[0]
    for n in range(x.shape[0]):
        g, row, d = dy[n], x[n], dx[n]
        for u in range(row.size):
            by_unit[u] += g[u] * row[u] if row[u] < zero else zero
        for u in range(row.size):
            d[u] = widened[u] * g[u] if row[u] < zero else g[u]
    _write_slope_gradient(by_unit, dslope)


@njit()
def _prelu_positions(x, slope, out):
    zero = x.dtype.type(0)
    for n in range(x.shape[0]):
        for u in range(x.shape[1]):
            row, y, s = x[n, u], out[n, u], slope[u if slope.size > 1 else 0]
            for j in range(row.size):
                y[j] = s * row[j] if row[j] < zero else row[j]


@njit()
def _prelu_positions_backward(dy, x, slope, dx, dslope):
    zero = x.dtype.type(0)
    by_unit = np.zeros(x.shape[1])
    for n in range(x.shape[0]):
        for u in range(x.shape[1]):
            g, row, d, s = dy[n, u], x[n, u], dx[n, u], slope[u if slope.size > 1 else 0]
            for j in range(row.size):
                by_unit[u] += g[j] * row[j] if row[j] < zero else zero
            for j in range(row.size):
                d[j] = s * g[j] if row[j] < zero else g[j]
    _write_slope_gradient(by_unit, dslope)


@njit()
def _maxout(x, pieces, out):
    units = out.shape[1]
    for n in range(x.shape[0]):
        y = out[n]
        copy(x[n, :units], y)
        for j in range(1, pieces):
            piece = x[n, j * units : (j + 1) * units]
            for u in range(y.size):
                larger = piece[u] if piece[u] > y[u] else y[u]
                y[u] = larger if piece[u] == piece[u] else piece[u]


@njit()
def _maxout_backward(dy, x, pieces, dx):
    units = dy.shape[1]
    zero = dx.dtype.type(0)
    for n in range(x.shape[0]):
        row = dx[n]
        for column in range(row.size):
            row[column] = zero
        for u in range(units):
            winner = u
            best = x[n, u]
            for column in range(u + units, x.shape[1], units):
                candidate = x[n, column]
                if candidate > best or (candidate != candidate and best == best):  # the first NaN wins, as in argmax
                    winner, best = column, candidate
            row[winner] = dy[n, u]
