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
    normalized = (x - mean) * rstd
    if activation != ActivationCode.IDENTITY:
        saved = (x - mean) * (gamma * rstd) + beta
        if activation not in NEEDS_INPUT:
            activate(saved, activation, alpha, saved)
        dz = np.empty_like(dy)
        activate_backward(dy, saved, activation, alpha, dz)
    else:
        dz = dy
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
