"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, followed by an optional activation."""

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
    n = x.shape[0]
    if training:
        mean[...] = x.mean(axis=0, dtype=np.float64)
        var = np.square(x - mean, dtype=np.float64).mean(axis=0)  # squares of float32 overflow from 2e19 on
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean
        running_var[...] = (1 - momentum) * running_var + momentum * (var * n / (n - 1))
    else:
        mean[...] = running_mean
        var = running_var
    rstd[...] = 1 / np.sqrt(var + eps)
    out[...] = (x - mean) * (gamma * rstd) + beta
    activate(out, activation, alpha, out)


@quiet
def batch_norm_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    dz, normalized = _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha), (x - mean) * rstd
    sum_dz = dz.sum(axis=0, dtype=np.float64)
    sum_dz_normalized = (dz * normalized).sum(axis=0, dtype=np.float64)
    if dx is not None:
        if training:
            n = x.shape[0]
            mean_dz = (sum_dz / n).astype(x.dtype)
            mean_dz_normalized = (sum_dz_normalized / n).astype(x.dtype)
            dx[...] = (dz - mean_dz - normalized * mean_dz_normalized) * (gamma * rstd)
        else:
            dx[...] = dz * (gamma * rstd)
    dgamma[...] = sum_dz_normalized
    dbeta[...] = sum_dz


@quiet
def batch_norm_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, features), are those of dz z and of dz, z the normalised input."""
    dz = _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha)
    dx[...] = (dz - means[1] - (x - mean) * rstd * means[0]) * (gamma * rstd)


def _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha):
    """Return dz, the gradient before the activation."""
    if activation == ActivationCode.IDENTITY:
        return dy
    saved = (x - mean) * (gamma * rstd) + beta
    if activation not in NEEDS_INPUT:
        activate(saved, activation, alpha, saved)
    dz = np.empty_like(dy)
    activate_backward(dy, saved, activation, alpha, dz)
    return dz


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
