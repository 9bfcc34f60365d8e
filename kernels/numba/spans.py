"""Activations and their derivatives of 1-D arrays, by families."""

from ..codes import GELU_CUBIC, GELU_SCALE, NEEDS_INPUT, SELU_ALPHA, SELU_SCALE, ActivationCode
from .compiled import FMA, njit
from .special import exp_of_negative, expm1_of_negative, log1p_of_share, normal_cdf, sigmoid, tanh

INV_SQRT_2PI = 0.39894228040143267794

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


@njit()
def copy(source, target):
    """Copy the start of the 1-D `source` to all of `target`; slice assignment takes 10 times as long to compile."""
    for i in range(target.size):
        target[i] = source[i]


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
