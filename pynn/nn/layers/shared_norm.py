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


def shared_backward(norm: Any, dy: np.ndarray, ctx: Context, arguments: dict[str, Any]) -> np.ndarray:
    """Return the gradient of the input, given that of the output and arguments of the op's backward pass.

    A rank shows the gradients of gamma and beta over its own rows; the gradient of the input needs their sums.
    """
    share, slots = ctx.share, ctx.slots("gradients", (2, norm.num_features), dy.dtype)
    assert share is not None
    idle = share.counts[share.group.rank] == 0  # its row counts for nothing: dy is 0, and so is dx
    dx = ctx.gradient("dx", dy.shape, dy.dtype, dy)
    backward = ops.batch_norm_backward if dy.ndim == 2 else ops.batch_norm2d_backward
    _, *gradients = backward(dy, ctx.x, training=False, need_dx=idle, dx=dx if idle else None, **arguments)
    for gradient, shown in zip(gradients, slots.own, strict=True):
        ops.copy_columns(gradient.reshape(1, -1), shown.reshape(1, -1), width=norm.num_features)
    slots.exchange(ctx.outside)
    if idle:
        return dx
    count = share.total * math.prod(dy.shape[2:])
    means = ops.merge_gradients(slots.rows, count=count, out=ctx.buffer("means", (2, norm.num_features), dy.dtype))
    statistics = {name: arguments[name] for name in ("gamma", "beta", "mean", "rstd", "activation")}
    return ops.merged_input_gradient(dy, ctx.x, means=means, dx=dx, **statistics)
