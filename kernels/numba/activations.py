"""Activations and their derivatives."""

import numpy as np

from .compiled import njit
from .spans import FROM_INPUT, IDENTITY, activate_backward_span, activate_span, clipped, copy

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


def gradient_before(normalize, dy, x, mean, scale, shift, code, alpha, dx):
    """Return the gradient before the activation of what `normalize` computed from `x`, and computes again.

    It is `dy` where there is no activation; otherwise it is written to `dx`, unless that is None.
    """
    if code == IDENTITY:
        return dy
    dz = np.empty_like(x) if dx is None else dx
    normalize(x, mean, scale, shift, dz)
    if code not in FROM_INPUT:
        activate(dz, code, alpha, dz)
    activate_backward(dy, dz, code, alpha, dz)
    return dz


def hardtanh(x, low, high, out):
    """Write x within [low, high] to `out`, which may be `x` itself."""
    _hardtanh(x.reshape(-1), float(low), float(high), out.reshape(-1))


def hardtanh_backward(dy, saved, low, high, out):
    """Write dy where low < saved < high, else 0, to `out`, which may be `dy` itself; `saved` is the input or output."""
    _hardtanh_backward(dy.reshape(-1), saved.reshape(-1), float(low), float(high), out.reshape(-1))


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
def _add(a, b, out):
    for i in range(out.size):
        out[i] = a[i] + b[i]
