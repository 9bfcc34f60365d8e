"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, followed by an optional activation.

Rows are streamed; if an activation follows, a block at a time, so that the block stays in the L1 cache.
"""

import math

import numpy as np

from .absent import or_empty
from .activations import BLOCK
from .compiled import FMA, njit
from .reductions import add_column_totals
from .spans import FROM_INPUT, IDENTITY, activate_backward_span, activate_span, copy


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
    _normalize_and_activate(x, gamma, beta, mean, rstd, int(activation), float(alpha), out)


def batch_norm_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    code, parameter, given = int(activation), float(alpha), or_empty(dx, x.dtype, 2)
    _backward(dy, x, gamma, beta, mean, rstd, bool(training), code, parameter, given, dgamma, dbeta)


def batch_norm_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, features), are those of dz z and of dz, z the normalised input."""
    _gradient_of_means(dy, x, gamma, beta, mean, rstd, means, int(activation), float(alpha), dx)


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
def _normalize_and_activate(x, gamma, beta, mean, rstd, activation, alpha, out):
    scale = gamma * rstd
    if activation == IDENTITY:
        _normalize(x, mean, scale, beta, out)
        return
    n, features = x.shape
    rows = max(1, BLOCK // max(1, features))
    block = np.empty((rows, features), x.dtype)
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        part = block[: stop - start]
        _normalize(x[start:stop], mean, scale, beta, part)
        activate_span(part.reshape(-1), activation, alpha, out[start:stop].reshape(-1))


@njit()
def _backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    n, features = x.shape
    need_dx = dx.size > 0
    scale = gamma * rstd
    sum_dz = np.zeros(features)
    sum_dz_deviation = np.zeros(features)
    rows = max(1, BLOCK // max(1, features))
    saved = np.empty((rows, features), x.dtype)
    activated = np.empty((rows, features), x.dtype)
    block = np.empty((rows, features), x.dtype)
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        dz = dy[start:stop]
        if activation != IDENTITY:
            dz = dx[start:stop] if need_dx else block[: stop - start]
            _before_activation(
                dy[start:stop], x[start:stop], mean, scale, beta, activation, alpha, saved, activated, dz
            )
        add_column_totals(dz, sum_dz)
        _add_products(dz, x[start:stop], mean, sum_dz_deviation)
    if need_dx:
        mean_dz = np.zeros(features, x.dtype)
        slope = np.zeros(features, x.dtype)
        if training:
            for j in range(features):
                mean_dz[j] = sum_dz[j] / n
                slope[j] = sum_dz_deviation[j] * rstd[j] / n * rstd[j]
            _input_gradient(dy if activation == IDENTITY else dx, x, mean, scale, mean_dz, slope, dx)
        else:
            _scale_rows(dy if activation == IDENTITY else dx, scale, dx)
    for j in range(features):
        dgamma[j] = sum_dz_deviation[j] * rstd[j]
        dbeta[j] = sum_dz[j]


@njit()
def _gradient_of_means(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    n, features = x.shape
    scale = gamma * rstd
    rows = max(1, BLOCK // max(1, features))
    saved = np.empty((rows, features), x.dtype)
    activated = np.empty((rows, features), x.dtype)
    for start in range(0, n if activation != IDENTITY else 0, rows):
        block = slice(start, min(start + rows, n))
        _before_activation(dy[block], x[block], mean, scale, beta, activation, alpha, saved, activated, dx[block])
    _input_gradient(dy if activation == IDENTITY else dx, x, mean, scale, means[1], means[0] * rstd, dx)


@njit()
def _before_activation(dy, x, mean, scale, beta, activation, alpha, saved, activated, dz):
    """Write the gradient before the activation to `dz`; `saved` and `activated` are scratch."""
    n = len(x)
    _normalize(x, mean, scale, beta, saved[:n])
    source = saved[:n].reshape(-1)
    if activation not in FROM_INPUT:
        activate_span(source, activation, alpha, activated.reshape(-1))
        source = activated[:n].reshape(-1)
    activate_backward_span(dy.reshape(-1), source, activation, alpha, dz.reshape(-1))


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
