"""Codes of the elementwise activations and of the pointwise losses that every backend supports."""

import math
from enum import IntEnum


class ActivationCode(IntEnum):
    """Code of an elementwise activation; `alpha` is its parameter, if it has one."""

    IDENTITY = 0
    RELU = 1
    LEAKY_RELU = 2  # alpha: slope for x < 0
    ELU = 3  # alpha: minus the limit for x -> -inf
    SELU = 4
    SIGMOID = 5
    TANH = 6
    SOFTPLUS = 7  # alpha: beta, the sharpness
    GELU = 8
    GELU_TANH = 9
    SILU = 10
    MISH = 11
    LOGSIGMOID = 12
    CELU = 13  # alpha: minus the limit for x -> -inf
    RELU6 = 14
    HARDSIGMOID = 15
    HARDSWISH = 16
    SOFTSIGN = 17


#: Activations whose derivative is computed from the input, not from the output.
NEEDS_INPUT = (
    ActivationCode.GELU,
    ActivationCode.GELU_TANH,
    ActivationCode.SILU,
    ActivationCode.MISH,
    ActivationCode.HARDSWISH,
)


class LossCode(IntEnum):
    """Code of a loss of prediction x and target t, with its parameter in brackets."""

    SMOOTH_L1 = 0  # d^2 / (2 beta) where |d| < beta, else |d| - beta / 2; d = x - t [beta; 0: |d|]
    HUBER = 1  # the same times delta [delta]
    QUANTILE = 2  # (1 - q) d for d > 0, else -q d [q]
    POISSON_LOG = 3  # exp(x) - t x
    POISSON = 4  # x - t log(x + eps) [eps]
    POISSON_LOG_FULL = 5  # with Stirling's approximation of log t!, for t > 1
    POISSON_FULL = 6
    KL = 7  # t (log t - x); 0 where t = 0
    KL_LOG = 8  # exp(t) (t - x)


#: Klambauer et al. 2017: the fixed point of mean 0 and variance 1.
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

#: sqrt(2 / pi) and the cubic coefficient of GELU's tanh form (Hendrycks & Gimpel 2016).
GELU_SCALE = 0.79788456080286535587989211986876
GELU_CUBIC = 0.044715

#: A sigmoid or tanh output further than this share of its half range from the centre counts as saturated:
#: the local gradient is then below 4% of its maximum.
SATURATION = 0.98


def saturation(code):
    """Return the centre of an activation's outputs, and the distance from it beyond which one counts as saturated."""
    if code == ActivationCode.SIGMOID:
        return 0.5, SATURATION / 2
    return 0.0, SATURATION if code == ActivationCode.TANH else math.inf
