"""Per-channel kernels for arrays (n, channels, positions): batch norm, sums, statistics."""

import math

import numpy as np

from .absent import or_empty
from .batchnorm import running_statistics
from .compiled import FMA, REORDERED, njit
from .reductions import squared_deviations
from .reductions import total as sum_of
from .spans import FROM_INPUT, IDENTITY, activate_backward_span, activate_span, copy


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
    _normalize(x, gamma, beta, mean, rstd, int(activation), float(alpha), out)


def batchnorm_channels_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    code, parameter, given = int(activation), float(alpha), or_empty(dx, x.dtype, 3)
    _backward(dy, x, gamma, beta, mean, rstd, bool(training), code, parameter, given, dgamma, dbeta)


def batchnorm_channels_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, channels), are those of dz z and of dz, z the normalised input."""
    _gradient_of_means(dy, x, gamma, beta, mean, rstd, means, int(activation), float(alpha), dx)


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
def _scaled(row, mean, scale, shift, out):
    for j in range(row.size):
        out[j] = (row[j] - mean) * scale + shift


@njit()
def _normalize(x, gamma, beta, mean, rstd, activation, alpha, out):
    line = np.empty(x.shape[2], x.dtype)
    for n in range(x.shape[0]):
        for c in range(mean.size):
            if activation == IDENTITY:
                _scaled(x[n, c], mean[c], gamma[c] * rstd[c], beta[c], out[n, c])
            else:
                _scaled(x[n, c], mean[c], gamma[c] * rstd[c], beta[c], line)
                activate_span(line, activation, alpha, out[n, c])


@njit()
def _before_activation(dy, x, mean, scale, shift, activation, alpha, saved, line, dz):
    """Write the gradient of a row before its activation to `dz`."""
    _scaled(x, mean, scale, shift, saved)
    if activation not in FROM_INPUT:
        activate_span(saved, activation, alpha, line)
        copy(line, saved)
    activate_backward_span(dy, saved, activation, alpha, dz)


@njit(fastmath=REORDERED)
def _product_total(dz, row, mean):
    result = 0.0
    for j in range(row.size):
        result += np.float64(dz[j]) * np.float64(row[j] - mean)
    return result


@njit(fastmath=FMA)
def _input_gradient(dz, row, mean, scale, mean_dz, slope, dx):
    for j in range(row.size):
        dx[j] = (dz[j] - mean_dz - (row[j] - mean) * slope) * scale


@njit()
def _backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    f = x.dtype.type
    count = x.shape[0] * x.shape[2]
    saved, line, dz = np.empty(x.shape[2], x.dtype), np.empty(x.shape[2], x.dtype), np.empty(x.shape[2], x.dtype)
    for c in range(mean.size):
        scale = gamma[c] * rstd[c]
        sum_dz = sum_product = 0.0
        for n in range(x.shape[0]):
            given = dy[n, c]
            if activation != IDENTITY:
                _before_activation(given, x[n, c], mean[c], scale, beta[c], activation, alpha, saved, line, dz)
                given = dz
            sum_dz += sum_of(given)
            sum_product += _product_total(given, x[n, c], mean[c])
        dgamma[c] = sum_product * rstd[c]
        dbeta[c] = sum_dz
        if dx.size:
            mean_dz = f(sum_dz / count) if training else f(0)
            slope = f(sum_product * rstd[c] / count * rstd[c]) if training else f(0)
            _channel_gradient(dy, x, c, mean[c], scale, beta[c], mean_dz, slope, activation, alpha, dx)


@njit()
def _channel_gradient(dy, x, c, mean, scale, shift, mean_dz, slope, activation, alpha, dx):
    saved, line, dz = np.empty(x.shape[2], x.dtype), np.empty(x.shape[2], x.dtype), np.empty(x.shape[2], x.dtype)
    for n in range(x.shape[0]):
        given = dy[n, c]
        if activation != IDENTITY:
            _before_activation(given, x[n, c], mean, scale, shift, activation, alpha, saved, line, dz)
            given = dz
        _input_gradient(given, x[n, c], mean, scale, mean_dz, slope, dx[n, c])


@njit()
def _gradient_of_means(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    for c in range(mean.size):
        mean_dz, slope = means[1, c], means[0, c] * rstd[c]
        _channel_gradient(dy, x, c, mean[c], gamma[c] * rstd[c], beta[c], mean_dz, slope, activation, alpha, dx)


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
