"""Activations and their derivatives."""

import numpy as np

from ..codes import GELU_CUBIC, GELU_SCALE, SELU_ALPHA, SELU_SCALE, ActivationCode
from .quiet import quiet
from .special import erfc, sigmoid

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
        out[...] = sigmoid(x)
    elif code == ActivationCode.TANH:
        np.tanh(x, out=out)
    elif code == ActivationCode.SOFTPLUS:
        out[...] = np.maximum(x, 0) + np.log1p(np.exp(-alpha * np.abs(x))) / alpha
    elif code == ActivationCode.GELU:
        out[...] = x * _normal_cdf(x)
    elif code == ActivationCode.GELU_TANH:
        out[...] = x * sigmoid(2 * GELU_SCALE * (x + GELU_CUBIC * x**3))
    elif code == ActivationCode.SILU:
        out[...] = x * sigmoid(x)
    elif code == ActivationCode.MISH:
        share, rest = _mish_parts(x)
        out[...] = x * share / (share + rest)
    elif code == ActivationCode.LOGSIGMOID:
        out[...] = np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
    elif code == ActivationCode.CELU:
        out[...] = np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x)
    elif code == ActivationCode.RELU6:
        np.clip(x, 0, 6, out=out)
    elif code == ActivationCode.HARDSIGMOID:
        out[...] = np.clip(x + 3, 0, 6) / 6
    elif code == ActivationCode.HARDSWISH:
        out[...] = np.where(x < -3, 0, np.where(x > 3, x, x * (np.clip(x + 3, 0, 6) / 6)))
    elif code == ActivationCode.SOFTSIGN:
        out[...] = x / (1 + np.abs(x))
    else:
        raise ValueError(f"unknown activation code {code}")


@quiet
def add(a, b, out):
    """Write a + b to `out`, which may be `a` or `b`."""
    np.add(a, b, out=out)


@quiet
def activate_backward(dy, saved, code, alpha, out):
    """Write dy * f'(x) to `out`, which may be `dy` itself.

    `saved` is what the derivative is computed from: the input x for those in
    `NEEDS_INPUT` of `codes`, the output f(x) for all others.
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
        out[...] = dy * _gelu_tanh_slope(saved)
    elif code == ActivationCode.SILU:
        gate = sigmoid(saved)
        out[...] = dy * (gate * (1 + saved * (1 - gate)))
    elif code == ActivationCode.MISH:
        out[...] = dy * _mish_slope(saved)
    elif code == ActivationCode.LOGSIGMOID:  # f' = sigmoid(-x) = 1 - exp(f)
        out[...] = dy * -np.expm1(saved)
    elif code == ActivationCode.CELU:
        out[...] = dy * np.where(saved < 0, (saved + alpha) / alpha, 1)
    elif code == ActivationCode.RELU6:
        out[...] = np.where((saved <= 0) | (saved >= 6), 0, dy)
    elif code == ActivationCode.HARDSIGMOID:
        out[...] = np.where((saved <= 0) | (saved >= 1), 0, dy / 6)
    elif code == ActivationCode.HARDSWISH:
        out[...] = np.where(saved < -3, 0, np.where(saved > 3, dy, dy * (saved / 3 + 0.5)))
    elif code == ActivationCode.SOFTSIGN:  # f' = 1 / (1 + |x|)^2 = (1 - |f|)^2
        out[...] = dy * np.square(1 - np.abs(saved))
    else:
        raise ValueError(f"unknown activation code {code}")


@quiet
def hardtanh(x, low, high, out):
    """Write x within [low, high] to `out`, which may be `x` itself."""
    np.clip(x, *np.array([low, high], x.dtype), out=out)


@quiet
def hardtanh_backward(dy, saved, low, high, out):
    """Write dy where low < saved < high, else 0, to `out`, which may be `dy` itself; `saved` is the input or output."""
    low, high = np.array([low, high], dy.dtype)
    out[...] = np.where((saved <= low) | (saved >= high), 0, dy)


def _mish_parts(x):
    """Return s and r with tanh(softplus(x)) = s / (s + r), both multiplied by exp(-2 x) where x >= 0."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small * (small + 2), 1 + 2 * small), np.where(x < 0, 2, 2 * small * small)


def _mish_slope(x):
    share, rest = _mish_parts(x)
    t = share / (share + rest)
    return t + x * sigmoid(x) * (rest / (share + rest)) * (1 + t)


def _gelu_tanh_slope(x):
    x = np.clip(x, -30, 30)  # beyond these, the gate is 0 or 1 exactly, and the cube of a huge x would overflow
    gate = sigmoid(2 * GELU_SCALE * (x + GELU_CUBIC * x**3))
    return gate + x * gate * (1 - gate) * (2 * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x))


def _normal_cdf(x):
    return 0.5 * erfc(-SQRT_HALF * x)
