"""Batch normalisation of features and of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import ops
from ...utils.validation import count, flag, fraction, number
from ..context import Context
from ..initializers import filled
from ..parameters import Parameter
from ..recording import applies_activation, replayable
from .base import Layer
from .shared_norm import shared_backward, shared_statistics

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with batch statistics in training, running ones in inference.

    Base class of `BatchNorm1d` and `BatchNorm2d`, which differ in the accepted shapes.

    Parameters
    ----------
    num_features : int
    eps : float
    momentum : float
        Weight of the new batch: running = (1 - momentum) running + momentum batch.
    sync : bool
        What several ranks (see `Trainer`, `comm`) normalise by: by default, the statistics of the whole minibatch; if
        False, each rank those of its own rows, whose running statistics are averaged. False saves two exchanges in
        each layer and step. If a rank would have a single row, the statistics are those of the whole minibatch.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter, shape (num_features,)
        gamma and beta, initialised to 1 and 0.
    running_mean, running_var : ndarray, shape (num_features,)

    Notes
    -----
    Training needs at least 2 elements per feature. Ioffe & Szegedy 2015; CS231n, Training Neural Networks, Part 1.
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        sync: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.num_features = count(num_features, "num_features")
        self.eps = number(eps, "eps", above=0)
        self.momentum = fraction(momentum, "momentum")
        self.sync = flag(sync, "sync")
        self.weight = Parameter(filled((self.num_features,), 1, dtype), dtype)
        self.bias = Parameter(filled((self.num_features,), 0, dtype), dtype)
        self.running_mean = filled((self.num_features,), 0, dtype)
        self.running_var = filled((self.num_features,), 1, dtype)

    def _check(self, x: np.ndarray) -> None:
        """Raise ValueError unless the layer accepts an input of that shape."""
        raise TypeError(f"{type(self).__name__} is a base class; use BatchNorm1d or BatchNorm2d")

    @applies_activation
    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check(x)
        ctx.x = x
        ctx.batch_statistics = ctx.training and not self.weight.frozen
        ctx.shared = ctx.batch_statistics and self._is_shared(ctx)
        mean, var = shared_statistics(self, x, ctx) if ctx.shared else (self.running_mean, self.running_var)
        features = (self.num_features,)
        normalize = ops.batch_norm if x.ndim == 2 else ops.batch_norm2d
        y, ctx.mean, ctx.rstd = normalize(
            x,
            self.weight.data,
            self.bias.data,
            mean,
            var,
            momentum=self.momentum,
            eps=self.eps,
            training=ctx.batch_statistics and not ctx.shared,
            activation=ctx.activation,
            out=ctx.buffer("y", x.shape, x.dtype),
            mean_out=ctx.buffer("mean_out", features, x.dtype),
            rstd_out=ctx.buffer("rstd", features, x.dtype),
        )
        ctx.var = var
        return y

    def _is_shared(self, ctx: Context) -> bool:
        """Return whether the batch statistics are those of the rows of several ranks."""
        return ctx.share is not None and (self.sync or min(ctx.share.counts) < 2)

    @applies_activation
    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        ctx.dx_sums_to_zero = ctx.batch_statistics
        arguments = {
            "gamma": self.weight.data,
            "beta": self.bias.data,
            "mean": ctx.mean,
            "rstd": ctx.rstd,
            "activation": ctx.activation,
            "dgamma": self.weight.grad,
            "dbeta": self.bias.grad,
        }
        if ctx.shared and ctx.needs_dx:
            return shared_backward(self, dy, ctx, arguments)
        dx = ctx.gradient("dx", dy.shape, dy.dtype, dy) if ctx.needs_dx else None
        gradients = ops.batch_norm_backward if dy.ndim == 2 else ops.batch_norm2d_backward
        training = ctx.batch_statistics and not ctx.shared
        return gradients(dy, ctx.x, training=training, dx=dx, need_dx=ctx.needs_dx, **arguments)[0]


class BatchNorm1d(BatchNorm):
    """Batch norm of features (n, num_features), or of the channels of sequences (n, num_features, length).

    Parameters and attributes are those of `BatchNorm`.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.BatchNorm1d(1)).train()
    >>> model(np.array([[1.0], [3.0]], dtype=np.float32)).round(2)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    def _check(self, x: np.ndarray) -> None:
        if x.ndim not in (2, 3) or x.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm1d got an input of shape {x.shape}; expected (batch, {self.num_features}) or (batch, "
                f"{self.num_features}, length)"
            )


class BatchNorm2d(BatchNorm):
    """Batch norm of the channels of images (n, num_features, height, width), over examples and positions.

    Parameters and attributes are those of `BatchNorm`.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.BatchNorm2d(1)).train()
    >>> model(np.array([[[[1.0, 3.0]]]], dtype=np.float32)).round(2)
    array([[[[-1.,  1.]]]], dtype=float32)
    """

    def _check(self, x: np.ndarray) -> None:
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm2d got an input of shape {x.shape}; expected (batch, {self.num_features}, height, width)"
            )
