"""Batch normalisation of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import ops
from ..arguments import count, fraction, number
from ..context import Context
from ..parameters import Parameter
from .base import Layer, applies_activation, replayable

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class BatchNorm1d(Layer):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with the batch's statistics in training, running ones after.

    Parameters
    ----------
    num_features : int
    eps : float
    momentum : float
        Weight of the new batch: running = (1 - momentum) running + momentum batch.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter, shape (num_features,)
        gamma and beta, starting at 1 and 0.
    running_mean, running_var : ndarray, shape (num_features,)

    Notes
    -----
    Training needs at least 2 examples in a batch. Ioffe & Szegedy 2015; CS231n, Training Neural Networks, Part 1.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.BatchNorm1d(1)).train()
    >>> model(np.array([[1.0], [3.0]], dtype=np.float32)).round(2)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, *, dtype: DTypeLike = np.float32
    ) -> None:
        super().__init__()
        self.num_features = count(num_features, "num_features")
        self.eps = number(eps, "eps", above=0)
        self.momentum = fraction(momentum, "momentum")
        self.weight = Parameter(np.ones(num_features), dtype)
        self.bias = Parameter(np.zeros(num_features), dtype)
        self.running_mean = np.zeros(num_features, dtype=dtype)
        self.running_var = np.ones(num_features, dtype=dtype)

    @applies_activation
    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        if x.ndim != 2 or x.shape[1] != self.num_features:
            raise ValueError(f"BatchNorm1d got an input of shape {x.shape}; expected (batch, {self.num_features})")
        ctx.x = x
        ctx.batch_statistics = ctx.training and not self.weight.frozen
        features = (self.num_features,)
        y, ctx.mean, ctx.rstd = ops.batchnorm_forward(
            x,
            self.weight.data,
            self.bias.data,
            self.running_mean,
            self.running_var,
            momentum=self.momentum,
            eps=self.eps,
            training=ctx.batch_statistics,
            activation=ctx.activation,
            out=ctx.buffer("y", x.shape, x.dtype),
            mean_out=ctx.buffer("mean", features, x.dtype),
            rstd_out=ctx.buffer("rstd", features, x.dtype),
        )
        return y

    @applies_activation
    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        ctx.dx_sums_to_zero = ctx.batch_statistics
        return ops.batchnorm_backward(
            dy,
            ctx.x,
            self.weight.data,
            self.bias.data,
            ctx.mean,
            ctx.rstd,
            training=ctx.batch_statistics,
            activation=ctx.activation,
            dx=ctx.buffer("dx", dy.shape, dy.dtype) if ctx.needs_dx else None,
            dgamma=self.weight.grad,
            dbeta=self.bias.grad,
            need_dx=ctx.needs_dx,
        )[0]
