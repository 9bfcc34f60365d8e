"""Activations and their derivatives."""

import numpy as np

from ..codes import GELU_CUBIC, GELU_SCALE, SELU_ALPHA, SELU_SCALE, ActivationCode
from .quiet import quiet
from .special import erfc

SQRT_HALF = 0.70710678118654752440
INV_SQRT_2PI = 0.39894228040143267794


@quiet
def activate(x, code, alpha, out):
    """Write f(x) to `out`, which may be `x` itself."""
    if code == ActivationCode.IDENTITY:
        out[...] = x
    elif code == ActivationCode.RELU:
        np.maximum(x, 0, out=out)
    elif code == ActivationCode.LEAKY_RELU:
        out[...] = np.where(x < 0, alpha * x, x)
    elif code == ActivationCode.ELU:
        out[...] = np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)
    elif code == ActivationCode.SELU:
        out[...] = SELU_SCALE * np.where(x < 0, SELU_ALPHA * np.expm1(np.minimum(x, 0)), x)
    elif code == ActivationCode.SIGMOID:
        out[...] = _sigmoid(x)
    elif code == ActivationCode.TANH:
        np.tanh(x, out=out)
    elif code == ActivationCode.SOFTPLUS:
        out[...] = np.maximum(x, 0) + np.log1p(np.exp(-alpha * np.abs(x))) / alpha
    elif code == ActivationCode.GELU:
        out[...] = x * _normal_cdf(x)
    elif code == ActivationCode.GELU_TANH:
        out[...] = x * _sigmoid(2 * GELU_SCALE * (x + GELU_CUBIC * x**3))
    elif code == ActivationCode.SILU:
        out[...] = x * _sigmoid(x)
    else:
        raise ValueError(f"unknown activation code {code}")


@quiet
def add(a, b, out):
    """Write a + b to `out`, which may be `a` or `b`."""
    np.add(a, b, out=out)


@quiet
def activate_backward(dy, saved, code, alpha, out):
    """Write dy * f'(x) to `out`, which may be `dy` itself.

    `saved` is what the derivative is computed from: the input x for GELU and SiLU, the output f(x) for all others.
    """
    if code == ActivationCode.IDENTITY:
        out[...] = dy
    elif code == ActivationCode.RELU:
        out[...] = np.where(saved <= 0, 0, dy)
    elif code == ActivationCode.LEAKY_RELU:
        out[...] = np.where(saved < 0, alpha * dy, dy)
    elif code == ActivationCode.ELU:
        out[...] = dy * np.where(saved < 0, saved + alpha, 1)
    elif code == ActivationCode.SELU:
        out[...] = dy * np.where(saved < 0, saved + SELU_SCALE * SELU_ALPHA, SELU_SCALE)
    elif code == ActivationCode.SIGMOID:
        out[...] = dy * (saved * (1 - saved))
    elif code == ActivationCode.TANH:
        out[...] = dy * (1 - saved * saved)
    elif code == ActivationCode.SOFTPLUS:  # f' = sigmoid(beta x) = 1 - exp(-beta f)
        out[...] = dy * -np.expm1(-alpha * saved)
    elif code == ActivationCode.GELU:
        out[...] = dy * (_normal_cdf(saved) + saved * (INV_SQRT_2PI * np.exp(-0.5 * saved * saved)))
    elif code == ActivationCode.GELU_TANH:
        x = np.clip(saved, -30, 30)  # beyond these, the gate is 0 or 1 exactly, and the cube of a huge x would overflow
        gate = _sigmoid(2 * GELU_SCALE * (x + GELU_CUBIC * x**3))
        slope = 2 * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x)
        out[...] = dy * (gate + x * gate * (1 - gate) * slope)
    elif code == ActivationCode.SILU:
        gate = _sigmoid(saved)
        out[...] = dy * (gate * (1 + saved * (1 - gate)))
    else:
        raise ValueError(f"unknown activation code {code}")


@quiet
def prelu(x, slope, out):
    """Write x where x >= 0, else slope * x; `x` is (n, units, positions), `slope` has one entry, or one per unit."""
    out[...] = np.where(x < 0, slope[:, None] * x, x)


@quiet
def prelu_backward(dy, x, slope, dx, dslope):
    """Write dx, and dslope = the sum of dy * x over negative x (per unit, or over all for a single slope)."""
    at_slope = np.where(x < 0, dy * x, 0)
    dslope[...] = at_slope.sum(axis=(0, 2)) if slope.size > 1 else at_slope.sum()
    dx[...] = np.where(x < 0, slope[:, None] * dy, dy)


@quiet
def maxout(x, pieces, out):
    """Write the maximum over pieces: out[n, u] = max_j x[n, j * units + u]."""
    np.max(x.reshape(x.shape[0], pieces, out.shape[1]), axis=1, out=out)


@quiet
def maxout_backward(dy, x, pieces, dx):
    """Pass dy to the piece that was the maximum (the first on ties), 0 to the others."""
    stacked = x.reshape(x.shape[0], pieces, dy.shape[1])
    winner = stacked.argmax(axis=1)[:, None, :]
    dx[...] = 0
    np.put_along_axis(dx.reshape(stacked.shape), winner, dy[:, None, :], axis=1)


def _sigmoid(x):
    # exp of a non-positive number only: no overflow for any x.
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def _normal_cdf(x):
    return 0.5 * erfc(-SQRT_HALF * x)
