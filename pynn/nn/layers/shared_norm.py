"""Batch norm over the rows of all processes that compute parts of a minibatch; `norm` is the `BatchNorm`."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ..context import Context

if TYPE_CHECKING:
    from ..share import Share


def shared_statistics(norm: Any, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over the whole minibatch, and update the running statistics with them.

    A rank sends the mean and the variance of its own rows. They are combined in the order of the ranks by Chan, Golub
    and LeVeque's formula (1979), which does not cancel: n var = sum_r n_r (var_r + (mean_r - mean)^2).
    """
    assert ctx.share is not None
    features = (norm.num_features,)
    mean, var = ctx.buffer("mean", features, x.dtype), ctx.buffer("var", features, x.dtype)
    places = math.prod(x.shape[2:])
    if len(x) * places == 1:  # a single element has no variance, and ops refuse to compute one
        for copied in (mean, var):
            ops.copy_columns(x.reshape(1, -1), copied.reshape(1, -1), width=norm.num_features)
    else:
        normalize = ops.batch_norm if x.ndim == 2 else ops.batch_norm2d
        # Momentum 0 leaves the running statistics as they are; `var` receives 1 / sqrt(var + eps).
        normalize(
            x, norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var, momentum=0.0, eps=norm.eps,
            out=ctx.buffer("y", x.shape, x.dtype), mean_out=mean, rstd_out=var,
        )  # fmt: skip
    ctx.outside(partial(_combine, norm, ctx.share, places, mean, var))
    return mean, var


def _combine(norm: Any, share: Share, places: int, mean: np.ndarray, var: np.ndarray) -> None:
    """Replace a rank's mean and 1 / sqrt(var + eps) by mean and variance over all ranks."""
    weights, total = _weights(share.counts), share.total * places
    own = np.empty((2, len(mean)))
    own[0], own[1] = mean, var
    spread = own[1]
    with np.errstate(all="ignore"):  # a run that diverges is reported by its loss
        if share.counts[share.group.rank] > 1:
            spread *= spread
            np.divide(1, spread, out=spread)
            spread -= norm.eps
            np.maximum(spread, 0, out=spread)
        else:
            spread[:] = 0
        of_all = share.group.gather(own)
        means, variances = of_all[:, 0], of_all[:, 1]
        centre = np.add.reduce(weights * means, axis=0)
        means -= centre
        means *= means
        means += variances
        means *= weights
        np.add.reduce(means, axis=0, out=spread)
        mean[:], var[:] = centre, spread
        centre *= norm.momentum
        spread *= norm.momentum * (np.float64(total) / (total - 1))
        for running, batch in ((norm.running_mean, centre), (norm.running_var, spread)):
            running *= 1 - norm.momentum
            running += batch


@lru_cache
def _weights(counts: tuple[int, ...]) -> np.ndarray:
    """Return the share of each rank's rows in all rows, (ranks, 1)."""
    return np.array(counts, np.float64)[:, None] / sum(counts)


def shared_backward(norm: Any, dy: np.ndarray, ctx: Context, constant: dict[str, Any]) -> np.ndarray:
    """Return the gradient of the input, given that of the output.

    `constant` are the arguments of the op's backward pass with the statistics as constants, which gives gamma rstd dy;
    what remains is -gamma rstd (mean(dy) + z mean(dy z)) with means over all ranks: an affine function of x.
    """
    assert ctx.share is not None
    normed = dy.ndim == 2
    dx = ctx.buffer("partial dx", dy.shape, dy.dtype)
    (ops.batch_norm_backward if normed else ops.batch_norm2d_backward)(dy, ctx.x, dx=dx, **constant)
    features = (norm.num_features,)
    scale, shift = ctx.buffer("scale", features, dy.dtype), ctx.buffer("shift", features, dy.dtype)
    for array, copied in ((norm.weight.grad, scale), (norm.bias.grad, shift)):
        ops.copy_columns(array.reshape(1, -1), copied.reshape(1, -1), width=norm.num_features)
    ctx.outside(partial(_average, norm, ctx.share, math.prod(dy.shape[2:]), ctx.rstd, scale, shift))
    affine = ctx.buffer("affine", dy.shape, dy.dtype)
    unused = ctx.buffer("unused mean", features, dy.dtype), ctx.buffer("unused rstd", features, dy.dtype)
    (ops.batch_norm if normed else ops.batch_norm2d)(
        ctx.x, scale, shift, ctx.mean, ctx.var, eps=norm.eps, training=False, out=affine, mean_out=unused[0],
        rstd_out=unused[1],
    )  # fmt: skip
    return ops.add(dx, affine, out=ctx.gradient("dx", dy.shape, dy.dtype, dy, dx, affine))


def _average(norm: Any, share: Share, places: int, rstd: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> None:
    """Replace a rank's sums of dy z and dy by gamma and beta of the affine function that corrects dx."""
    own = np.empty((2, len(scale)))
    own[0], own[1] = scale, shift
    with np.errstate(all="ignore"):
        sums = np.add.reduce(share.group.gather(own), axis=0)
        if share.counts[share.group.rank] == 0:  # a row of weight 0
            sums[:] = 0
        sums *= norm.weight.data * (rstd / -(share.total * places))
        scale[:], shift[:] = sums
