"""Batch norm over the rows of all processes that compute parts of a minibatch; `norm` is the `BatchNorm`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ..context import Context


def shared_statistics(norm: Any, x: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over the whole minibatch, and update the running statistics with them.

    A rank shows the mean and 1 / sqrt(var + eps) of its own rows; every rank merges those of all.
    """
    share, slots = ctx.share, ctx.slots("moments", (2, norm.num_features), x.dtype)
    assert share is not None
    mean, rstd = slots.own
    places = math.prod(x.shape[2:])
    if len(x) * places == 1:  # a single element has no variance, and ops refuse to compute one
        ops.copy_columns(x.reshape(1, -1), mean.reshape(1, -1), width=norm.num_features)
    else:
        normalize = ops.batch_norm if x.ndim == 2 else ops.batch_norm2d
        # Momentum 0 leaves the running statistics as they are.
        normalize(
            x, norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var, momentum=0.0, eps=norm.eps,
            out=ctx.buffer("y", x.shape, x.dtype), mean_out=mean, rstd_out=rstd,
        )  # fmt: skip
    slots.exchange(ctx.outside)
    features = (norm.num_features,)
    return ops.merge_statistics(
        slots.rows, share.rows, norm.running_mean, norm.running_var, each=places, momentum=norm.momentum, eps=norm.eps,
        mean_out=ctx.buffer("mean", features, x.dtype), var_out=ctx.buffer("var", features, x.dtype),
    )  # fmt: skip


def shared_backward(norm: Any, dy: np.ndarray, ctx: Context, constant: dict[str, Any]) -> np.ndarray:
    """Return the gradient of the input, given that of the output.

    `constant` are the arguments of the op's backward pass with the statistics as constants, which gives gamma rstd dy;
    what remains is -gamma rstd (mean(dy) + z mean(dy z)) with means over all ranks: an affine function of x.
    """
    share, slots = ctx.share, ctx.slots("gradients", (2, norm.num_features), dy.dtype)
    assert share is not None
    normed = dy.ndim == 2
    dx = ctx.buffer("partial dx", dy.shape, dy.dtype)
    (ops.batch_norm_backward if normed else ops.batch_norm2d_backward)(dy, ctx.x, dx=dx, **constant)
    for gradient, shown in zip((norm.weight.grad, norm.bias.grad), slots.own, strict=True):
        ops.copy_columns(gradient.reshape(1, -1), shown.reshape(1, -1), width=norm.num_features)
    slots.exchange(ctx.outside)
    if share.counts[share.group.rank] == 0:  # a row that counts for nothing: its dy is 0
        return dx
    features = (norm.num_features,)
    scale, shift = ops.merge_gradients(
        slots.rows, norm.weight.data, ctx.rstd, count=share.total * math.prod(dy.shape[2:]),
        scale_out=ctx.buffer("scale", features, dy.dtype), shift_out=ctx.buffer("shift", features, dy.dtype),
    )  # fmt: skip
    affine = ctx.buffer("affine", dy.shape, dy.dtype)
    unused = ctx.buffer("unused mean", features, dy.dtype), ctx.buffer("unused rstd", features, dy.dtype)
    (ops.batch_norm if normed else ops.batch_norm2d)(
        ctx.x, scale, shift, ctx.mean, ctx.var, eps=norm.eps, training=False, out=affine, mean_out=unused[0],
        rstd_out=unused[1],
    )  # fmt: skip
    return ops.add(dx, affine, out=ctx.gradient("dx", dy.shape, dy.dtype, dy, dx, affine))
