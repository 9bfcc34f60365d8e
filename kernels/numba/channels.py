"""Per-channel kernels for arrays (n, channels, positions): batch norm, sums, statistics."""

import math

import numpy as np

from .absent import or_empty
from .activations import activate, gradient_before
from .batchnorm import running_statistics
from .compiled import FMA, REORDERED, njit
from .reductions import squared_deviations
from .reductions import total as sum_of
from .spans import IDENTITY, copy


def batchnorm_channels(
    x, gamma, beta, running_mean, running_var, momentum, eps, training, activation, alpha, out, mean, rstd
):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`; store the statistics used per channel in `mean` and `rstd`.

    In training, the statistics are those of the batch (variance over the count), and the running statistics are
    updated (variance over the count - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running
    statistics are used.
    """
    if training:
        _batch_statistics(x, running_mean, running_var, float(momentum), float(eps), mean, rstd)
    else:
        running_statistics(running_mean, running_var, float(eps), mean, rstd)
    _normalize(x, mean, gamma * rstd, beta, out)
    if activation != IDENTITY:
        activate(out, activation, alpha, out)


def batchnorm_channels_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    scale, given = gamma * rstd, or_empty(dx, x.dtype, 3)
    dz = gradient_before(_normalize, dy, x, mean, scale, beta, activation, alpha, dx)
    _backward(dz, x, mean, rstd, scale, bool(training), given, dgamma, dbeta)


def batchnorm_channels_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, channels), are those of dz z and of dz, z the normalised input."""
    scale = gamma * rstd
    dz = gradient_before(_normalize, dy, x, mean, scale, beta, activation, alpha, dx)
    _input_gradient(dz, x, mean, scale, means[1], means[0] * rstd, dx)


def channel_sum(x, out):
    """Write the sum over each channel to `out`."""
    _sum(x, out)


def add_to_channels(x, bias):
    """Add bias[c] to each element of channel c, in place."""
    _add_to_channels(x, bias)


def channel_stats(y, centre, limit, stats, total):
    """Add each channel's sum, sum of squares, active count and saturated count to the four rows of `stats`.

    Active means y > 0, saturated further than `limit` from `centre` (see `codes.saturation`). `total`, unless None,
    receives this call's four sums over all channels.
    """
    _stats(y, centre, limit, stats, or_empty(total, np.float64))


@njit()
def _batch_statistics(x, running_mean, running_var, momentum, eps, mean, rstd):
    count = x.shape[0] * x.shape[2]
    for c in range(mean.size):
        total = squares = 0.0
        for n in range(x.shape[0]):
            total += sum_of(x[n, c])
        mean[c] = total / count
        for n in range(x.shape[0]):
            squares += squared_deviations(x[n, c], mean[c])
        var = squares / count
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c]
        running_var[c] = (1 - momentum) * running_var[c] + momentum * (var * count / (count - 1))
        rstd[c] = 1 / math.sqrt(var + eps)


@njit(fastmath=FMA)
def _normalize(x, mean, scale, shift, out):
    for n in range(x.shape[0]):
        for c in range(mean.size):
            row, y = x[n, c], out[n, c]
            for j in range(row.size):
                y[j] = (row[j] - mean[c]) * scale[c] + shift[c]


@njit(fastmath=REORDERED)
def _product_total(dz, row, mean):
    result = 0.0
    for j in range(row.size):
        result += np.float64(dz[j]) * np.float64(row[j] - mean)
    return result


@njit()
def _backward(dz, x, mean, rstd, scale, training, dx, dgamma, dbeta):
    count = x.shape[0] * x.shape[2]
    mean_dz, slope = np.zeros(mean.size, x.dtype), np.zeros(mean.size, x.dtype)
    for c in range(mean.size):
        sum_dz = sum_product = 0.0
        for n in range(x.shape[0]):
            sum_dz += sum_of(dz[n, c])
            sum_product += _product_total(dz[n, c], x[n, c], mean[c])
        dgamma[c] = sum_product * rstd[c]
        dbeta[c] = sum_dz
        if training:
            mean_dz[c] = sum_dz / count
            slope[c] = sum_product * rstd[c] / count * rstd[c]
    if dx.size:
        _input_gradient(dz, x, mean, scale, mean_dz, slope, dx)


# Through a separate line buffer: a loop whose output is its input (`dz` may be `dx`) runs scalar.
@njit(fastmath=FMA)
def _input_gradient(dz, x, mean, scale, mean_dz, slope, dx):
    line = np.empty(x.shape[2], x.dtype)
    for n in range(x.shape[0]):
        for c in range(mean.size):
            z, row = dz[n, c], x[n, c]
            for j in range(row.size):
                line[j] = (z[j] - mean_dz[c] - (row[j] - mean[c]) * slope[c]) * scale[c]
            copy(line, dx[n, c])


@njit()
def _add_to_channels(x, bias):
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            row = x[i, c]
            for j in range(row.size):
                row[j] += bias[c]


@njit()
def _sum(x, out):
    for c in range(out.size):
        result = 0.0
        for n in range(x.shape[0]):
            result += sum_of(x[n, c])
        out[c] = result


@njit()
def _stats(y, centre, limit, stats, total):
    f = y.dtype.type
    middle, most, zero = f(centre), f(limit), f(0)
    sums = np.zeros(4)
    for c in range(y.shape[1]):
        value_sum = squares = active = saturated = 0.0
        for n in range(y.shape[0]):
            row = y[n, c]
            for j in range(row.size):
                value = np.float64(row[j])
                value_sum += value
                squares += value * value
                active += 1.0 if row[j] > zero else 0.0
                saturated += 1.0 if abs(row[j] - middle) > most else 0.0
        stats[0, c] += value_sum
        stats[1, c] += squares
        stats[2, c] += active
        stats[3, c] += saturated
        sums[0] += value_sum
        sums[1] += squares
        sums[2] += active
        sums[3] += saturated
    if total.size:
        for k in range(4):
            total[k] = sums[k]
