"""Group normalisation (Wu & He 2018) of arrays (n, channels, positions).

Layer norm (Ba et al. 2016) is one group; RMS norm (Zhang & Sennrich 2019) is layer norm about 0 instead of the mean.
"""

import math

import numpy as np

from .absent import or_empty
from .compiled import FMA, REORDERED, njit
from .reductions import squared_deviations
from .reductions import total as sum_of


def group_norm(x, gamma, beta, groups, eps, out, mean, rstd):
    """Write gamma * (x - mean) * rstd + beta to `out`, the statistics per example and group to `mean` and `rstd`.

    The variance divides by the count. gamma and beta (channels,) may both be None. Without `mean` (None) it is 0, and
    there is no beta: RMS norm, of one position.
    """
    gammas, betas, means = or_empty(gamma, x.dtype), or_empty(beta, x.dtype), or_empty(mean, x.dtype, 2)
    _forward(x, gammas, betas, groups, float(eps), out, means, rstd)


def group_norm_backward(dy, x, gamma, groups, mean, rstd, dx, dgamma, dbeta):
    """Write dx, and unless gamma is None dgamma and dbeta. `dx` may be None; `mean` and dbeta, too, for RMS norm."""
    means = or_empty(mean, x.dtype, 2)
    if dx is not None:
        _input_gradient(dy, x, or_empty(gamma, x.dtype), groups, means, rstd, dx)
    if gamma is not None:
        _parameter_gradients(dy, x, groups, means, rstd, dgamma, or_empty(dbeta, x.dtype))


@njit(fastmath=FMA)
def _forward(x, gamma, beta, groups, eps, out, mean, rstd):
    channels, positions = x.shape[1:]
    depth = channels // groups
    for n in range(x.shape[0]):
        for g in range(groups):
            values = x[n, g * depth : (g + 1) * depth].reshape(-1)
            middle = x.dtype.type(0)
            if mean.size:
                middle = x.dtype.type(sum_of(values) / values.size)
                mean[n, g] = middle
            rstd[n, g] = 1 / math.sqrt(squared_deviations(values, middle) / values.size + eps)
            for c in range(g * depth, (g + 1) * depth):
                scale = rstd[n, g] * (gamma[c] if gamma.size else x.dtype.type(1))
                shift = beta[c] if beta.size else x.dtype.type(0)
                for j in range(positions):
                    out[n, c, j] = (x[n, c, j] - middle) * scale + shift


@njit(fastmath=REORDERED)
def _input_gradient(dy, x, gamma, groups, mean, rstd, dx):
    f = x.dtype.type
    channels, positions = x.shape[1:]
    depth = channels // groups
    for n in range(x.shape[0]):
        for g in range(groups):
            total = products = 0.0
            middle, scale = mean[n, g] if mean.size else f(0), rstd[n, g]
            for c in range(g * depth, (g + 1) * depth):
                factor = gamma[c] if gamma.size else f(1)
                for j in range(positions):
                    dz = np.float64(dy[n, c, j] * factor)
                    total += dz
                    products += dz * np.float64((x[n, c, j] - middle) * scale)
            count = depth * positions
            mean_dz, mean_product = f(total / count) if mean.size else f(0), f(products / count)
            for c in range(g * depth, (g + 1) * depth):
                factor = gamma[c] if gamma.size else f(1)
                for j in range(positions):
                    z = (x[n, c, j] - middle) * scale
                    dx[n, c, j] = (dy[n, c, j] * factor - mean_dz - z * mean_product) * scale


@njit(fastmath=FMA)
def _parameter_gradients(dy, x, groups, mean, rstd, dgamma, dbeta):
    channels, positions = x.shape[1:]
    depth = channels // groups
    scales, shifts = np.zeros(channels), np.zeros(channels)
    for n in range(x.shape[0]):
        for c in range(channels):
            middle, scale = mean[n, c // depth] if mean.size else x.dtype.type(0), rstd[n, c // depth]
            total = products = 0.0
            for j in range(positions):
                value = np.float64(dy[n, c, j])
                total += value
                products += value * np.float64((x[n, c, j] - middle) * scale)
            scales[c] += products
            shifts[c] += total
    for c in range(channels):
        dgamma[c] = scales[c]
        if dbeta.size:
            dbeta[c] = shifts[c]
