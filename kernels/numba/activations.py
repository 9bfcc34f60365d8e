"""Activations and their derivatives."""

import numpy as np

from ..codes import GELU_CUBIC, GELU_SCALE, NEEDS_INPUT, SELU_ALPHA, SELU_SCALE, ActivationCode
from .compiled import FMA, njit
from .reductions import total
from .special import exp_of_negative, expm1_of_negative, log1p_of_share, normal_cdf, sigmoid, tanh

INV_SQRT_2PI = 0.39894228040143267794

#: Elements computed at a time, so that results that are read again stay in the L1 cache.
BLOCK = 1024

IDENTITY = int(ActivationCode.IDENTITY)
RELU = int(ActivationCode.RELU)
LEAKY_RELU = int(ActivationCode.LEAKY_RELU)
ELU = int(ActivationCode.ELU)
SELU = int(ActivationCode.SELU)
SIGMOID = int(ActivationCode.SIGMOID)
TANH = int(ActivationCode.TANH)
SOFTPLUS = int(ActivationCode.SOFTPLUS)
GELU = int(ActivationCode.GELU)
GELU_TANH = int(ActivationCode.GELU_TANH)
SILU = int(ActivationCode.SILU)
MISH = int(ActivationCode.MISH)
LOGSIGMOID = int(ActivationCode.LOGSIGMOID)
CELU = int(ActivationCode.CELU)
RELU6 = int(ActivationCode.RELU6)
HARDSIGMOID = int(ActivationCode.HARDSIGMOID)
HARDSWISH = int(ActivationCode.HARDSWISH)
SOFTSIGN = int(ActivationCode.SOFTSIGN)
FROM_INPUT = tuple(int(code) for code in NEEDS_INPUT)
#: Sigmoids, and softplus and logsigmoid, whose slope is one.
SQUASHING = (SIGMOID, TANH, SOFTPLUS, LOGSIGMOID, HARDSIGMOID, SOFTSIGN)


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


@njit()
def copy(source, target):
    """Copy the start of the 1-D `source` to all of `target`; slice assignment takes 10 times as long to compile."""
    for i in range(target.size):
        target[i] = source[i]


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


@njit(fastmath=FMA)
def mish_parts(x):
    """Return s and r with tanh(softplus(x)) = s / (s + r), both multiplied by exp(-2 x) where x >= 0."""
    f = type(x)
    small = exp_of_negative(-abs(x))
    if x < 0:
        return small * (small + f(2)), f(2)
    return f(1) + f(2) * small, f(2) * (small * small)


@njit()
def clipped(x, low, high):
    """Return x within [low, high]; NaN passes through."""
    return low if x < low else (high if x > high else x)


@njit(fastmath=FMA)
def activate_span(x, code, alpha, out):
    """Write f(x) of the 1-D `x` to the start of `out`, which must not overlap it."""
    if code in FROM_INPUT:
        gated_span(x, code, out)
    elif code in SQUASHING:
        squashing_span(x, code, alpha, out)
    else:
        rectified_span(x, code, alpha, out)


# The functions of a family are inlined: as calls, ELU and its derivative take 1.1 to 1.2 times as long.
@njit(inline="always")
def gated_span(x, code, out):
    """Write x times a gate."""
    f = x.dtype.type
    zero, two = f(0), f(2)
    if code == GELU:
        for i in range(x.size):
            out[i] = x[i] * normal_cdf(x[i])
    elif code == GELU_TANH:
        scale, cubic = two * f(GELU_SCALE), f(GELU_CUBIC)
        for i in range(x.size):
            out[i] = x[i] * sigmoid(scale * (x[i] + cubic * (x[i] * x[i] * x[i])))
    elif code == SILU:
        for i in range(x.size):
            out[i] = x[i] * sigmoid(x[i])
    elif code == MISH:
        for i in range(x.size):
            share, rest = mish_parts(x[i])
            out[i] = x[i] * share / (share + rest)
    elif code == HARDSWISH:
        three, six = f(3), f(6)
        for i in range(x.size):
            inside = x[i] * (clipped(x[i] + three, zero, six) / six)
            out[i] = zero if x[i] < -three else (x[i] if x[i] > three else inside)
    else:
        raise ValueError("unknown activation code")


@njit(inline="always")
def squashing_span(x, code, alpha, out):
    """Write a sigmoid, or a softplus, whose slope is one."""
    f = x.dtype.type
    zero, one, a = f(0), f(1), f(alpha)
    if code == SIGMOID:
        for i in range(x.size):
            out[i] = sigmoid(x[i])
    elif code == TANH:
        for i in range(x.size):
            out[i] = tanh(x[i])
    elif code == SOFTPLUS:
        for i in range(x.size):
            out[i] = (zero if x[i] < zero else x[i]) + log1p_of_share(exp_of_negative(-a * abs(x[i]))) / a
    elif code == LOGSIGMOID:
        for i in range(x.size):
            out[i] = (x[i] if x[i] < zero else zero) - log1p_of_share(exp_of_negative(-abs(x[i])))
    elif code == HARDSIGMOID:
        three, six = f(3), f(6)
        for i in range(x.size):
            out[i] = clipped(x[i] + three, zero, six) / six
    elif code == SOFTSIGN:
        for i in range(x.size):
            out[i] = x[i] / (one + abs(x[i]))
    else:
        raise ValueError("unknown activation code")


@njit(inline="always")
def rectified_span(x, code, alpha, out):
    """Write a function that is linear above 0."""
    f = x.dtype.type
    zero, a = f(0), f(alpha)
    if code == IDENTITY:
        for i in range(x.size):
            out[i] = x[i]
    elif code == RELU:
        for i in range(x.size):
            out[i] = zero if x[i] < zero else x[i]
    elif code == LEAKY_RELU:
        for i in range(x.size):
            out[i] = a * x[i] if x[i] < zero else x[i]
    elif code == ELU:
        for i in range(x.size):
            below = a * expm1_of_negative(zero if x[i] > zero else x[i])
            out[i] = below if x[i] < zero else x[i]
    elif code == SELU:
        scale, scaled_alpha = f(SELU_SCALE), f(SELU_SCALE * SELU_ALPHA)
        for i in range(x.size):
            below = scaled_alpha * expm1_of_negative(zero if x[i] > zero else x[i])
            out[i] = below if x[i] < zero else scale * x[i]
    elif code == CELU:
        for i in range(x.size):
            below = a * expm1_of_negative((zero if x[i] > zero else x[i]) / a)
            out[i] = below if x[i] < zero else x[i]
    elif code == RELU6:
        for i in range(x.size):
            out[i] = clipped(x[i], zero, f(6))
    else:
        raise ValueError("unknown activation code")


@njit(fastmath=FMA)
def activate_backward_span(dy, saved, code, alpha, out):
    """Write dy * f'(x) of 1-D arrays to the start of `out`, which must not overlap them."""
    if code in FROM_INPUT:
        gated_backward_span(dy, saved, code, out)
    elif code in SQUASHING:
        squashing_backward_span(dy, saved, code, alpha, out)
    else:
        rectified_backward_span(dy, saved, code, alpha, out)


@njit(inline="always")
def gated_backward_span(dy, saved, code, out):
    """As `gated_span`; `saved` is x."""
    f = dy.dtype.type
    zero, one, two = f(0), f(1), f(2)
    if code == GELU:
        half, scale = f(0.5), f(INV_SQRT_2PI)
        for i in range(dy.size):
            density = scale * exp_of_negative(-half * saved[i] * saved[i])
            out[i] = dy[i] * (normal_cdf(saved[i]) + saved[i] * density)
    elif code == GELU_TANH:
        scale, cubic, slope_cubic = two * f(GELU_SCALE), f(GELU_CUBIC), f(3 * GELU_CUBIC)
        limit = f(30)  # beyond it, the gate is 0 or 1 exactly, and the cube of a huge x would overflow
        for i in range(dy.size):
            x = -limit if saved[i] < -limit else (limit if saved[i] > limit else saved[i])
            gate = sigmoid(scale * (x + cubic * (x * x * x)))
            slope = scale * (one + slope_cubic * (x * x))
            out[i] = dy[i] * (gate + x * gate * (one - gate) * slope)
    elif code == SILU:
        for i in range(dy.size):
            gate = sigmoid(saved[i])
            out[i] = dy[i] * (gate * (one + saved[i] * (one - gate)))
    elif code == MISH:
        for i in range(dy.size):
            share, rest = mish_parts(saved[i])
            t = share / (share + rest)
            out[i] = dy[i] * (t + saved[i] * sigmoid(saved[i]) * (rest / (share + rest)) * (one + t))
    elif code == HARDSWISH:
        half, three = f(0.5), f(3)
        for i in range(dy.size):
            inside = dy[i] * (saved[i] / three + half)
            out[i] = zero if saved[i] < -three else (dy[i] if saved[i] > three else inside)
    else:
        raise ValueError("unknown activation code")


@njit(inline="always")
def squashing_backward_span(dy, saved, code, alpha, out):
    """As `squashing_span`; `saved` is f(x)."""
    f = dy.dtype.type
    zero, one, a = f(0), f(1), f(alpha)
    if code == SIGMOID:
        for i in range(dy.size):
            out[i] = dy[i] * (saved[i] * (one - saved[i]))
    elif code == TANH:
        for i in range(dy.size):
            out[i] = dy[i] * (one - saved[i] * saved[i])
    elif code == SOFTPLUS:  # f' = sigmoid(beta x) = 1 - exp(-beta f)
        for i in range(dy.size):
            out[i] = dy[i] * -expm1_of_negative(-a * saved[i])
    elif code == LOGSIGMOID:  # f' = sigmoid(-x) = 1 - exp(f)
        for i in range(dy.size):
            out[i] = dy[i] * -expm1_of_negative(saved[i])
    elif code == HARDSIGMOID:
        six = f(6)
        for i in range(dy.size):
            out[i] = zero if (saved[i] <= zero) | (saved[i] >= one) else dy[i] / six
    elif code == SOFTSIGN:  # f' = 1 / (1 + |x|)^2 = (1 - |f|)^2
        for i in range(dy.size):
            rest = one - abs(saved[i])
            out[i] = dy[i] * (rest * rest)
    else:
        raise ValueError("unknown activation code")


@njit(inline="always")
def rectified_backward_span(dy, saved, code, alpha, out):
    """As `rectified_span`; `saved` is f(x)."""
    f = dy.dtype.type
    zero, one, a = f(0), f(1), f(alpha)
    if code == IDENTITY:
        for i in range(dy.size):
            out[i] = dy[i]
    elif code == RELU:
        for i in range(dy.size):
            out[i] = zero if saved[i] <= zero else dy[i]
    elif code == LEAKY_RELU:
        for i in range(dy.size):
            out[i] = a * dy[i] if saved[i] < zero else dy[i]
    elif code == ELU:
        for i in range(dy.size):
            out[i] = dy[i] * (saved[i] + a if saved[i] < zero else one)
    elif code == SELU:
        scale, scaled_alpha = f(SELU_SCALE), f(SELU_SCALE * SELU_ALPHA)
        for i in range(dy.size):
            out[i] = dy[i] * (saved[i] + scaled_alpha if saved[i] < zero else scale)
    elif code == CELU:
        for i in range(dy.size):
            out[i] = dy[i] * ((saved[i] + a) / a if saved[i] < zero else one)
    elif code == RELU6:
        six = f(6)
        for i in range(dy.size):
            out[i] = zero if (saved[i] <= zero) | (saved[i] >= six) else dy[i]
    else:
        raise ValueError("unknown activation code")


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
