"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, followed by an optional activation.

The functions that take rows take images, too: of (n, channels, positions), the channels are the features. `channels`
calls them so.
"""

import math

import numpy as np

from ..codes import NEEDS_INPUT, ActivationCode
from .activations import activate, activate_backward
from .quiet import quiet


@quiet
def batch_norm(x, gamma, beta, running_mean, running_var, momentum, eps, training, activation, alpha, out, mean, rstd):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`; store the statistics used in `mean` and `rstd`.

    In training, the statistics are those of the batch (variance over n), and the running statistics are updated
    (variance over n - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running statistics
    are used.
    """
    if training:
        rows, n = _rows(x)
        mean[...] = x.mean(axis=rows, dtype=np.float64)
        var = np.square(x - _wide(mean, x), dtype=np.float64).mean(axis=rows)  # float32 squares overflow from 2e19 on
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean
        running_var[...] = (1 - momentum) * running_var + momentum * (var * n / (n - 1))
    else:
        mean[...] = running_mean
        var = running_var
    rstd[...] = 1 / np.sqrt(var + eps)
    out[...] = (x - _wide(mean, x)) * _wide(gamma * rstd, x) + _wide(beta, x)
    activate(out, activation, alpha, out)


@quiet
def batch_norm_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    dz = _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha)
    normalized = (x - _wide(mean, x)) * _wide(rstd, x)
    rows, n = _rows(x)
    sum_dz = dz.sum(axis=rows, dtype=np.float64)
    sum_dz_normalized = (dz * normalized).sum(axis=rows, dtype=np.float64)
    if dx is not None:
        scale = _wide(gamma * rstd, x)
        if training:
            mean_dz = _wide((sum_dz / n).astype(x.dtype), x)
            mean_dz_normalized = _wide((sum_dz_normalized / n).astype(x.dtype), x)
            dx[...] = (dz - mean_dz - normalized * mean_dz_normalized) * scale
        else:
            dx[...] = dz * scale
    dgamma[...] = sum_dz_normalized
    dbeta[...] = sum_dz


@quiet
def batch_norm_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, features), are those of dz z and of dz, z the normalised input."""
    dz = _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha)
    normalized = (x - _wide(mean, x)) * _wide(rstd, x)
    dx[...] = (dz - _wide(means[1], x) - normalized * _wide(means[0], x)) * _wide(gamma * rstd, x)


def _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha):
    """Return dz, the gradient before the activation."""
    if activation == ActivationCode.IDENTITY:
        return dy
    saved = (x - _wide(mean, x)) * _wide(gamma * rstd, x) + _wide(beta, x)
    if activation not in NEEDS_INPUT:
        activate(saved, activation, alpha, saved)
    dz = np.empty_like(dy)
    activate_backward(dy, saved, activation, alpha, dz)
    return dz


def _rows(x):
    """Return the axes of x (n, features, ...) without that of the features, and the number of elements per feature."""
    axes = (0, *range(2, x.ndim))
    return axes, math.prod(x.shape[axis] for axis in axes)


def _wide(values, x):
    """Return one value per feature in a shape that NumPy broadcasts over x (n, features, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


@quiet
def merge_statistics(moments, counts, each, running_mean, running_var, momentum, eps, mean, var):
    """Write mean and variance of all rows, given those of parts, and update the running statistics with them.

    `moments` is (parts, 2, features): the mean and 1 / sqrt(var + eps) of each part. `counts`, float64 (parts,), are
    its rows, of `each` elements per feature; a part without rows is left out; one of a single element has variance 0.
    """
    # Chan, Golub & LeVeque 1979, which does not cancel: n var = sum_p n_p (var_p + (mean_p - mean)^2).
    total = counts.sum() * each
    weights = (counts[counts > 0] * each / total)[:, None]
    means, rstds = moments[counts > 0].astype(np.float64).swapaxes(0, 1)
    variances = np.maximum(1 / np.square(rstds) - eps, 0)
    variances[counts[counts > 0] * each == 1] = 0
    centre = (weights * means).sum(axis=0)
    spread = (weights * (variances + np.square(means - centre))).sum(axis=0)
    mean[...], var[...] = centre, spread
    running_mean[...] = (1 - momentum) * running_mean + momentum * centre
    running_var[...] = (1 - momentum) * running_var + momentum * (total / (total - 1) * spread)


@quiet
def merge_gradients(sums, count, means):
    """Write the sum over the parts, divided by `count`; `sums` is (parts, 2, features), `means` (2, features)."""
    means[...] = sums.sum(axis=0, dtype=np.float64) / count
