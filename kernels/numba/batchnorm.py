"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, followed by an optional activation.

The activation is a call of its own: compiled into these kernels and those of `channels`, it takes all ops of a dtype
82 s instead of 63 to compile.
"""

import math

import numpy as np

from .absent import or_empty
from .activations import activate, gradient_before
from .compiled import FMA, njit
from .reductions import add_column_totals
from .spans import IDENTITY, copy


def batch_norm(x, gamma, beta, running_mean, running_var, momentum, eps, training, activation, alpha, out, mean, rstd):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`; store the statistics used in `mean` and `rstd`.

    In training, the statistics are those of the batch (variance over n), and the running statistics are updated
    (variance over n - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running statistics
    are used.
    """
    if training:
        _batch_statistics(x, running_mean, running_var, float(momentum), float(eps), mean, rstd)
    else:
        running_statistics(running_mean, running_var, float(eps), mean, rstd)
    _normalize(x, mean, gamma * rstd, beta, out)
    if activation != IDENTITY:
        activate(out, activation, alpha, out)


def batch_norm_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    scale, given = gamma * rstd, or_empty(dx, x.dtype, 2)
    dz = gradient_before(_normalize, dy, x, mean, scale, beta, activation, alpha, dx)
    _backward(dz, x, mean, rstd, scale, bool(training), given, dgamma, dbeta)


def batch_norm_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, features), are those of dz z and of dz, z the normalised input."""
    scale = gamma * rstd
    dz = gradient_before(_normalize, dy, x, mean, scale, beta, activation, alpha, dx)
    _input_gradient(dz, x, mean, scale, means[1], means[0] * rstd, dx)


def merge_statistics(moments, counts, each, running_mean, running_var, momentum, eps, mean, var):
    """Write mean and variance of all rows, given those of parts, and update the running statistics with them.

    `moments` is (parts, 2, features): the mean and 1 / sqrt(var + eps) of each part. `counts`, float64 (parts,), are
    its rows, of `each` elements per feature; a part without rows is left out; one of a single element has variance 0.
    """
    _merge_statistics(moments, counts, float(each), running_mean, running_var, float(momentum), float(eps), mean, var)


def merge_gradients(sums, count, means):
    """Write the sum over the parts, divided by `count`; `sums` is (parts, 2, features), `means` (2, features)."""
    _merge_gradients(sums, float(count), means)


@njit()
def _merge_statistics(moments, counts, each, running_mean, running_var, momentum, eps, mean, var):
    total = counts.sum() * each
    for j in range(mean.size):
        centre = spread = 0.0
        for part in range(counts.size):
            if counts[part] > 0:
                centre += counts[part] * each / total * moments[part, 0, j]
        for part in range(counts.size):
            count = counts[part] * each
            if count > 0:
                variance = 0.0
                if count > 1:
                    variance = max(1 / np.square(np.float64(moments[part, 1, j])) - eps, 0.0)
                spread += count / total * (variance + np.square(moments[part, 0, j] - centre))
        mean[j], var[j] = centre, spread
        running_mean[j] = (1 - momentum) * running_mean[j] + momentum * centre
        running_var[j] = (1 - momentum) * running_var[j] + momentum * (total / (total - 1) * spread)


@njit()
def _merge_gradients(sums, count, means):
    for row in range(2):
        for j in range(means.shape[1]):
            total = 0.0
            for part in range(len(sums)):
                total += sums[part, row, j]
            means[row, j] = total / count


@njit()
def _batch_statistics(x, running_mean, running_var, momentum, eps, mean, rstd):
    n = x.shape[0]
    total = np.zeros(mean.size)
    add_column_totals(x, total)
    for j in range(mean.size):
        mean[j] = total[j] / n
    squares = np.zeros(mean.size)
    _add_squared_deviations(x, mean, squares)
    for j in range(mean.size):
        var = squares[j] / n
        running_mean[j] = (1 - momentum) * running_mean[j] + momentum * mean[j]
        running_var[j] = (1 - momentum) * running_var[j] + momentum * (var * n / (n - 1))
        rstd[j] = 1 / math.sqrt(var + eps)


@njit()
def running_statistics(running_mean, running_var, eps, mean, rstd):
    """Write the running mean to `mean`, and 1 / sqrt(running_var + eps) to `rstd`."""
    for j in range(mean.size):
        mean[j] = running_mean[j]
        rstd[j] = 1 / math.sqrt(running_var[j] + eps)


@njit(fastmath=FMA)
def _add_squared_deviations(x, mean, squares):
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(squares.size):
            deviation = np.float64(row[j] - mean[j])
            squares[j] += deviation * deviation


@njit(fastmath=FMA)
def _normalize(x, mean, scale, beta, out):
    for i in range(x.shape[0]):
        row, y = x[i], out[i]
        for j in range(row.size):
            y[j] = (row[j] - mean[j]) * scale[j] + beta[j]


@njit()
def _backward(dz, x, mean, rstd, scale, training, dx, dgamma, dbeta):
    n, features = x.shape
    sum_dz, sum_dz_deviation = np.zeros(features), np.zeros(features)
    add_column_totals(dz, sum_dz)
    _add_products(dz, x, mean, sum_dz_deviation)
    if dx.size and training:
        mean_dz, slope = np.zeros(features, x.dtype), np.zeros(features, x.dtype)
        for j in range(features):
            mean_dz[j] = sum_dz[j] / n
            slope[j] = sum_dz_deviation[j] * rstd[j] / n * rstd[j]
        _input_gradient(dz, x, mean, scale, mean_dz, slope, dx)
    elif dx.size:
        _scale_rows(dz, scale, dx)
    for j in range(features):
        dgamma[j] = sum_dz_deviation[j] * rstd[j]
        dbeta[j] = sum_dz[j]


@njit(fastmath=FMA)
def _add_products(dz, x, mean, result):
    """Add the column sums of dz * (x - mean) to the float64 `result`."""
    for i in range(x.shape[0]):
        z, row = dz[i], x[i]
        for j in range(result.size):
            result[j] += np.float64(z[j]) * np.float64(row[j] - mean[j])


# Through a separate line buffer: a loop whose output is its input (`dz` may be `dx`) runs scalar.
@njit(fastmath=FMA)
def _input_gradient(dz, x, mean, scale, mean_dz, slope, dx):
    line = np.empty(mean.size, x.dtype)
    for i in range(x.shape[0]):
        z, row = dz[i], x[i]
        for j in range(line.size):
            line[j] = (z[j] - mean_dz[j] - (row[j] - mean[j]) * slope[j]) * scale[j]
        copy(line, dx[i])


@njit()
def _scale_rows(dz, scale, dx):
    line = np.empty(scale.size, dz.dtype)
    for i in range(dz.shape[0]):
        z = dz[i]
        for j in range(line.size):
            line[j] = z[j] * scale[j]
        copy(line, dx[i])
