"""Group normalisation (Wu & He 2018) of arrays (n, channels, positions).

Layer norm (Ba et al. 2016) is one group; RMS norm (Zhang & Sennrich 2019) is layer norm about 0 instead of the mean.
"""

import numpy as np

from .quiet import quiet


@quiet
def group_norm(x, gamma, beta, groups, eps, out, mean, rstd):
    """Write gamma * (x - mean) * rstd + beta to `out`, the statistics per example and group to `mean` and `rstd`.

    The variance divides by the count. gamma and beta (channels,) may both be None. Without `mean` (None) it is 0, and
    there is no beta: RMS norm, of one position.
    """
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups * x.shape[2])
    if mean is not None:
        mean[...] = grouped.mean(axis=2, dtype=np.float64)
    deviation = grouped if mean is None else grouped - mean[:, :, None]
    rstd[...] = 1 / np.sqrt(np.square(deviation, dtype=np.float64).mean(axis=2) + eps)
    out[...] = (deviation * rstd[:, :, None]).reshape(x.shape)
    if gamma is not None:
        out[...] = out * gamma[:, None] + (0 if beta is None else beta[:, None])


@quiet
def group_norm_backward(dy, x, gamma, groups, mean, rstd, dx, dgamma, dbeta):
    """Write dx, and unless gamma is None dgamma and dbeta. `dx` may be None; `mean` and dbeta, too, for RMS norm."""
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups * x.shape[2])
    deviation = grouped if mean is None else grouped - mean[:, :, None]
    normalized = (deviation * rstd[:, :, None]).reshape(x.shape)
    if dx is not None:
        # In float64: products of large float32 numbers may overflow where the result does not.
        dz = np.multiply(dy, 1 if gamma is None else gamma[:, None], dtype=np.float64).reshape(grouped.shape)
        z = normalized.reshape(grouped.shape)
        mean_dz = 0 if mean is None else dz.mean(axis=2, keepdims=True)
        mean_dz_z = (dz * z).mean(axis=2, keepdims=True)
        dx[...] = ((dz - mean_dz - z * mean_dz_z) * rstd[:, :, None]).reshape(x.shape)
    if gamma is not None:
        dgamma[...] = (dy * normalized).sum(axis=(0, 2), dtype=np.float64)
        if dbeta is not None:
            dbeta[...] = dy.sum(axis=(0, 2), dtype=np.float64)
