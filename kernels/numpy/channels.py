"""Per-channel kernels for arrays (n, channels, positions): batch norm, sums, statistics."""

import numpy as np

from .batchnorm import batch_norm, batch_norm_backward, batch_norm_input_gradient
from .quiet import quiet
from .sums import add_stats


def batchnorm_channels(
    x, gamma, beta, running_mean, running_var, momentum, eps, training, activation, alpha, out, mean, rstd
):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`; store the statistics used per channel in `mean` and `rstd`.

    In training, the statistics are those of the batch (variance over the count), and the running statistics are
    updated (variance over the count - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running
    statistics are used.
    """
    batch_norm(x, gamma, beta, running_mean, running_var, momentum, eps, training, activation, alpha, out, mean, rstd)


def batchnorm_channels_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    batch_norm_backward(dy, x, gamma, beta, mean, rstd, training, activation, alpha, dx, dgamma, dbeta)


def batchnorm_channels_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx):
    """Write dx of training; `means`, (2, channels), are those of dz z and of dz, z the normalised input."""
    batch_norm_input_gradient(dy, x, gamma, beta, mean, rstd, means, activation, alpha, dx)


@quiet
def channel_sum(x, out):
    """Write the sum over each channel to `out`."""
    out[...] = x.sum(axis=(0, 2), dtype=np.float64)


@quiet
def add_to_channels(x, bias):
    """Add bias[c] to each element of channel c, in place."""
    x += bias[:, None]


@quiet
def channel_stats(y, centre, limit, stats, total):
    """Add each channel's sum, sum of squares, active count and saturated count to the four rows of `stats`.

    Active means y > 0, saturated further than `limit` from `centre` (see `codes.saturation`). `total`, unless None,
    receives this call's four sums over all channels.
    """
    add_stats(y, (0, 2), centre, limit, stats, total)
