"""Activations and their derivatives."""

import numpy as np

from .compiled import njit
from .reductions import total
from .spans import activate_backward_span, activate_span, clipped, copy

#: Elements computed at a time, so that results that are read again stay in the L1 cache.
BLOCK = 1024


def activate(x, code, alpha, out):
    """Write f(x) to `out`, which may be `x` itself."""
    _activate(x.reshape(-1), int(code), float(alpha), out.reshape(-1))


def add(a, b, out):
    """Write a + b to `out`, which may be `a` or `b`."""
    _add(a.reshape(-1), b.reshape(-1), out.reshape(-1))


def activate_backward(dy, saved, code, alpha, out):
    """Write dy * f'(x) to `out`, which may be `dy` itself.

    `saved` is what the derivative is computed from: the input x for those in
    `NEEDS_INPUT` of `codes`, the output f(x) for all others.
    """
    _activate_backward(dy.reshape(-1), saved.reshape(-1), int(code), float(alpha), out.reshape(-1))


def hardtanh(x, low, high, out):
    """Write x within [low, high] to `out`, which may be `x` itself."""
    _hardtanh(x.reshape(-1), float(low), float(high), out.reshape(-1))


def hardtanh_backward(dy, saved, low, high, out):
    """Write dy where low < saved < high, else 0, to `out`, which may be `dy` itself; `saved` is the input or output."""
    _hardtanh_backward(dy.reshape(-1), saved.reshape(-1), float(low), float(high), out.reshape(-1))


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


# A block is computed in scratch and then copied to `out`: a loop whose output is its input runs scalar (tanh: 4 times
# slower).
@njit()
def _activate(x, code, alpha, out):
    block = np.empty(min(BLOCK, x.size), x.dtype)
    for start in range(0, x.size, BLOCK):
        stop = min(start + BLOCK, x.size)
        activate_span(x[start:stop], code, alpha, block)
        copy(block, out[start:stop])


@njit()
def _activate_backward(dy, saved, code, alpha, out):
    block = np.empty(min(BLOCK, dy.size), dy.dtype)
    for start in range(0, dy.size, BLOCK):
        stop = min(start + BLOCK, dy.size)
        activate_backward_span(dy[start:stop], saved[start:stop], code, alpha, block)
        copy(block, out[start:stop])


@njit()
def _hardtanh(x, low, high, out):
    f = x.dtype.type
    first, last = f(low), f(high)
    for i in range(out.size):
        out[i] = clipped(x[i], first, last)


@njit()
def _hardtanh_backward(dy, saved, low, high, out):
    f = dy.dtype.type
    zero, first, last = f(0), f(low), f(high)
    for i in range(out.size):
        out[i] = zero if (saved[i] <= first) | (saved[i] >= last) else dy[i]


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
    at_slope = np.zeros(x.shape[1])
    widened = np.empty(x.shape[1], x.dtype)
    for u in range(widened.size):
        widened[u] = slope[u] if slope.size > 1 else slope[0]
    for n in range(x.shape[0]):
        g, row, d = dy[n], x[n], dx[n]
        for u in range(row.size):
            at_slope[u] += g[u] * row[u] if row[u] < zero else zero
        for u in range(row.size):
            d[u] = widened[u] * g[u] if row[u] < zero else g[u]
    for u in range(dslope.size):
        dslope[u] = at_slope[u] if slope.size > 1 else total(at_slope)


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
    at_slope = np.zeros(x.shape[1])
    for n in range(x.shape[0]):
        for u in range(x.shape[1]):
            g, row, d, s = dy[n, u], x[n, u], dx[n, u], slope[u if slope.size > 1 else 0]
            for j in range(row.size):
                at_slope[u] += g[j] * row[j] if row[j] < zero else zero
            for j in range(row.size):
                d[j] = s * g[j] if row[j] < zero else g[j]
    for u in range(dslope.size):
        dslope[u] = at_slope[u] if slope.size > 1 else total(at_slope)


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


@njit()
def _add(a, b, out):
    for i in range(out.size):
        out[i] = a[i] + b[i]
