"""Every elementwise activation and its derivative in float64."""

import numpy as np
from scipy import special

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def exponent_of_gelu_tanh(x):
    return 2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)


def elu_of(x, alpha):
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


#: f(x, parameter) in float64.
FORWARD = {
    "relu": lambda x, _: np.where(x < 0, 0, x),
    "leaky_relu": lambda x, a: np.where(x < 0, a * x, x),
    "elu": elu_of,
    "selu": lambda x, _: SELU_SCALE * elu_of(x, SELU_ALPHA),
    "sigmoid": lambda x, _: special.expit(x),
    "tanh": lambda x, _: np.tanh(x),
    "softplus": lambda x, a: np.maximum(x, 0) + np.log1p(np.exp(-a * np.abs(x))) / a,
    "gelu": lambda x, _: x * special.ndtr(x),
    "gelu_tanh": lambda x, _: x * special.expit(exponent_of_gelu_tanh(x)),
    "silu": lambda x, _: x * special.expit(x),
    "mish": lambda x, _: x * np.tanh(np.logaddexp(0, x)),
    "logsigmoid": lambda x, _: special.log_expit(x),
    "celu": lambda x, a: np.where(x < 0, a * np.expm1(np.minimum(x, 0) / a), x),
    "relu6": lambda x, _: np.clip(x, 0, 6),
    "hardsigmoid": lambda x, _: np.clip(x + 3, 0, 6) / 6,
    "hardswish": lambda x, _: np.where(x < -3, 0, np.where(x > 3, x, x * (x + 3) / 6)),
    "softsign": lambda x, _: x / (1 + np.abs(x)),
}


def gelu_tanh_slope(x, _):
    x = np.clip(x, -30, 30)  # the limits 0 and 1 are reached long before, while the cube of a huge x would overflow
    gate = special.expit(exponent_of_gelu_tanh(x))
    return gate + x * gate * (1 - gate) * 2 * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)


def mish_slope(x, _):
    t = np.tanh(np.logaddexp(0, x))
    return t + x * special.expit(x) * (1 - t) * (1 + t)


#: f' from what the backward ops are given: the output, or the input for those that need it.
SLOPES = {
    "relu": lambda y, _: np.where(y > 0, 1.0, 0.0),
    "leaky_relu": lambda y, a: np.where(y < 0, a, 1.0),
    "elu": lambda y, a: np.where(y < 0, y + a, 1.0),
    "selu": lambda y, _: np.where(y < 0, y + SELU_SCALE * SELU_ALPHA, SELU_SCALE),
    "sigmoid": lambda y, _: y * (1 - y),
    "tanh": lambda y, _: 1 - y * y,
    "softplus": lambda y, a: -np.expm1(-a * y),
    "gelu": lambda x, _: special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    "gelu_tanh": gelu_tanh_slope,
    "silu": lambda x, _: special.expit(x) * (1 + x * special.expit(-x)),
    "mish": mish_slope,
    "logsigmoid": lambda y, _: -np.expm1(y),
    "celu": lambda y, a: np.where(y < 0, (y + a) / a, 1.0),
    "relu6": lambda y, _: np.where((y > 0) & (y < 6), 1.0, 0.0),
    "hardsigmoid": lambda y, _: np.where((y > 0) & (y < 1), 1 / 6, 0.0),
    "hardswish": lambda x, _: np.where(x < -3, 0, np.where(x > 3, 1, x / 3 + 0.5)),
    "softsign": lambda y, _: (1 - np.abs(y)) ** 2,
}
