"""Group normalisation (Wu & He 2018) of arrays (n, channels, positions); layer norm (Ba et al. 2016) is one group."""

import numpy as np

from .quiet import quiet


@quiet
def group_norm(x, gamma, beta, groups, eps, out, mean, rstd):
    """Write gamma * (x - mean) * rstd + beta to `out`, the statistics per example and group to `mean` and `rstd`.

    The variance divides by the count. gamma and beta (channels,) may both be None.
    """
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups * x.shape[2])
    mean[...] = grouped.mean(axis=2, dtype=np.float64)
    var = np.square(grouped - mean[:, :, None], dtype=np.float64).mean(axis=2)
    rstd[...] = 1 / np.sqrt(var + eps)
    out[...] = ((grouped - mean[:, :, None]) * rstd[:, :, None]).reshape(x.shape)
    if gamma is not None:
        out[...] = out * gamma[:, None] + beta[:, None]


@quiet
def group_norm_backward(dy, x, gamma, groups, mean, rstd, dx, dgamma, dbeta):
    """Write dx, and unless gamma is None dgamma and dbeta. `dx` may be None."""
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups * x.shape[2])
    normalized = ((grouped - mean[:, :, None]) * rstd[:, :, None]).reshape(x.shape)
    if dx is not None:
        # In float64: products of large float32 numbers may overflow where the result does not.
        dz = np.multiply(dy, 1 if gamma is None else gamma[:, None], dtype=np.float64).reshape(grouped.shape)
        z = normalized.reshape(grouped.shape)
        mean_dz = dz.mean(axis=2, keepdims=True)
        mean_dz_z = (dz * z).mean(axis=2, keepdims=True)
        dx[...] = ((dz - mean_dz - z * mean_dz_z) * rstd[:, :, None]).reshape(x.shape)
    if gamma is not None:
        dgamma[...] = (dy * normalized).sum(axis=(0, 2), dtype=np.float64)
        dbeta[...] = dy.sum(axis=(0, 2), dtype=np.float64)
