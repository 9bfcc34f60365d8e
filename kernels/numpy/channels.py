"""Per-channel kernels for arrays (n, channels, positions): batch norm, dropout of whole channels, sums, statistics."""

import numpy as np

from ..codes import NEEDS_INPUT, ActivationCode
from .activations import activate, activate_backward
from .dropout import dropout
from .quiet import quiet
from .sums import add_stats


@quiet
def batchnorm_channels(
    x, gamma, beta, running_mean, running_var, momentum, eps, training, activation, alpha, out, mean, rstd
):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`; store the statistics used per channel in `mean` and `rstd`.

    In training, the statistics are those of the batch (variance over the count), and the running statistics are
    updated (variance over the count - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running
    statistics are used.
    """
    if training:
        count = x.shape[0] * x.shape[2]
        mean[...] = x.mean(axis=(0, 2), dtype=np.float64)
        var = np.square(x - mean[:, None], dtype=np.float64).mean(axis=(0, 2))
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean
        running_var[...] = (1 - momentum) * running_var + momentum * (var * count / (count - 1))
    else:
        mean[...] = running_mean
        var = running_var
    rstd[...] = 1 / np.sqrt(var + eps)
    out[...] = (x - mean[:, None]) * (gamma * rstd)[:, None] + beta[:, None]
    activate(out, activation, alpha, out)


@quiet
def batchnorm_channels_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    dz = _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha)
    normalized = (x - mean[:, None]) * rstd[:, None]
    sum_dz = dz.sum(axis=(0, 2), dtype=np.float64)
    sum_dz_normalized = (dz * normalized).sum(axis=(0, 2), dtype=np.float64)
    if dx is not None:
        scale = (gamma * rstd)[:, None]
        if training:
            count = x.shape[0] * x.shape[2]
            mean_dz = (sum_dz / count).astype(x.dtype)[:, None]
            mean_dz_normalized = (sum_dz_normalized / count).astype(x.dtype)[:, None]
            dx[...] = (dz - mean_dz - normalized * mean_dz_normalized) * scale
        else:
            dx[...] = dz * scale
    dgamma[...] = sum_dz_normalized
    dbeta[...] = sum_dz


@quiet
def batchnorm_channels_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, channels), are those of dz z and of dz, z the normalised input."""
    dz = _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha)
    normalized = (x - mean[:, None]) * rstd[:, None]
    dx[...] = (dz - means[1][:, None] - normalized * means[0][:, None]) * (gamma * rstd)[:, None]


def _gradient(dy, x, gamma, beta, mean, rstd, activation, alpha):
    """Return dz, the gradient before the activation."""
    if activation == ActivationCode.IDENTITY:
        return dy
    saved = (x - mean[:, None]) * (gamma * rstd)[:, None] + beta[:, None]
    if activation not in NEEDS_INPUT:
        activate(saved, activation, alpha, saved)
    dz = np.empty_like(dy)
    activate_backward(dy, saved, activation, alpha, dz)
    return dz


@quiet
def channel_sum(x, out):
    """Write the sum over each channel to `out`."""
    out[...] = x.sum(axis=(0, 2), dtype=np.float64)


@quiet
def add_to_channels(x, bias):
    """Add bias[c] to each element of channel c, in place."""
    x += bias[:, None]


@quiet
def channel_stats(y, code, stats, total):
    """Add each channel's sum, sum of squares, active count and saturated count to the four rows of `stats`.

    Active means y > 0; saturated is counted for sigmoid and tanh only (see `codes.SATURATION`). `total`, unless None,
    receives this call's four sums over all channels.
    """
    add_stats(y, (0, 2), code, stats, total)


@quiet
def dropout_channels(x, p, draw, out):
    """Write x / (1 - p) for the channels of an example that the stream keeps, else 0; `out` may be `x` itself.

    Element i of the stream (see `dropout.dropout`) decides on channel i of the flattened (n, channels).
    """
    factor = np.empty(x.shape[:2], x.dtype)
    dropout(np.ones(x.shape[:2], x.dtype), p, draw, factor)
    np.copyto(out, np.where(factor[:, :, None] == 0, 0, x * factor[:, :, None]))
