"""Normalisation within each example: independent of the batch, identical in training and inference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ... import ops
from ...utils.validation import count, flag, number
from ..context import Context
from ..initializers import filled
from ..parameters import Parameter, data_of, grad_of
from ..recording import replayable
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class GroupNorm(Layer):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with the statistics of groups of an example's channels.

    Parameters
    ----------
    num_groups, num_channels : int
    eps : float
    affine : bool
        Whether to learn gamma and beta, one each per channel.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter, shape (num_channels,), or None
        gamma and beta, initialised to 1 and 0.

    Notes
    -----
    Wu & He, Group Normalization, 2018.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0]], dtype=np.float32)
    >>> pynn.Sequential(pynn.GroupNorm(2, 4))(x).round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.num_groups = count(num_groups, "num_groups")
        self.num_channels = count(num_channels, "num_channels")
        if self.num_channels % self.num_groups:
            raise ValueError(f"num_channels is {num_channels}; expected a multiple of num_groups={num_groups}")
        self.eps = number(eps, "eps", above=0)
        self.affine = flag(affine, "affine")
        self.weight = Parameter(filled((self.num_channels,), 1, dtype), dtype) if affine else None
        self.bias = Parameter(filled((self.num_channels,), 0, dtype), dtype) if affine else None

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            kind = type(self).__name__
            raise ValueError(f"{kind} got an input of shape {x.shape}; expected (batch, {self.num_channels}, ...)")
        ctx.x = x
        statistics = (x.shape[0], self.num_groups)
        y, ctx.mean, ctx.rstd = ops.group_norm(
            x,
            self.num_groups,
            data_of(self.weight),
            data_of(self.bias),
            eps=self.eps,
            out=ctx.buffer("y", x.shape, x.dtype),
            mean_out=ctx.buffer("mean", statistics, x.dtype),
            rstd_out=ctx.buffer("rstd", statistics, x.dtype),
        )
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        return ops.group_norm_backward(
            dy,
            ctx.x,
            data_of(self.weight),
            ctx.mean,
            ctx.rstd,
            dx=ctx.gradient("dx", dy.shape, dy.dtype, dy) if ctx.needs_dx else None,
            dgamma=grad_of(self.weight),
            dbeta=grad_of(self.bias),
            need_dx=ctx.needs_dx,
        )[0]


class LayerNorm(Layer):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with the statistics of each example's last dimensions.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The sizes of the last dimensions.
    eps : float
    elementwise_affine : bool
        Whether to learn gamma and beta, one each per element.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter, shape `normalized_shape`, or None
        gamma and beta, initialised to 1 and 0.

    Notes
    -----
    Ba, Kiros & Hinton, Layer Normalization, 2016.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.LayerNorm(2))(np.array([[1.0, 3.0]], dtype=np.float32)).round(2)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = number(eps, "eps", above=0)
        self.elementwise_affine = flag(elementwise_affine, "elementwise_affine")
        shape = self.normalized_shape
        self.weight = Parameter(filled(shape, 1, dtype), dtype, decay=False) if elementwise_affine else None
        self.bias = Parameter(filled(shape, 0, dtype), dtype, decay=False) if elementwise_affine else None

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        _check_last(self, x)
        shape = self.normalized_shape
        ctx.x = x
        statistics = (x.size // math.prod(shape), 1)
        y, ctx.mean, ctx.rstd = ops.layer_norm(
            x,
            shape,
            data_of(self.weight),
            data_of(self.bias),
            eps=self.eps,
            out=ctx.buffer("y", x.shape, x.dtype),
            mean_out=ctx.buffer("mean", statistics, x.dtype),
            rstd_out=ctx.buffer("rstd", statistics, x.dtype),
        )
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        return ops.layer_norm_backward(
            dy,
            ctx.x,
            self.normalized_shape,
            data_of(self.weight),
            ctx.mean,
            ctx.rstd,
            dx=ctx.gradient("dx", dy.shape, dy.dtype, dy) if ctx.needs_dx else None,
            dgamma=grad_of(self.weight),
            dbeta=grad_of(self.bias),
            need_dx=ctx.needs_dx,
        )[0]


class RMSNorm(Layer):
    """y = gamma x / sqrt(mean(x^2) + eps), with the mean over each example's last dimensions.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The sizes of the last dimensions.
    eps : float, optional
        By default the distance from 1 to the next number of the dtype, as in PyTorch.
    elementwise_affine : bool
        Whether to learn gamma, one per element.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape `normalized_shape`, or None
        gamma, initialised to 1.

    Notes
    -----
    Zhang & Sennrich, Root Mean Square Layer Normalization, 2019.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.RMSNorm(2))(np.array([[3.0, 4.0]], dtype=np.float32)).round(2)
    array([[0.85, 1.13]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = None if eps is None else number(eps, "eps", above=0)
        self.elementwise_affine = flag(elementwise_affine, "elementwise_affine")
        shape = self.normalized_shape
        self.weight = Parameter(filled(shape, 1, dtype), dtype, decay=False) if elementwise_affine else None

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        _check_last(self, x)
        ctx.x = x
        rows = x.size // math.prod(self.normalized_shape)
        y, ctx.rstd = ops.rms_norm(
            x,
            self.normalized_shape,
            data_of(self.weight),
            eps=float(np.finfo(x.dtype).eps) if self.eps is None else self.eps,
            out=ctx.buffer("y", x.shape, x.dtype),
            rstd_out=ctx.buffer("rstd", (rows, 1), x.dtype),
        )
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        return ops.rms_norm_backward(
            dy,
            ctx.x,
            self.normalized_shape,
            data_of(self.weight),
            ctx.rstd,
            dx=ctx.gradient("dx", dy.shape, dy.dtype, dy) if ctx.needs_dx else None,
            dgamma=grad_of(self.weight),
            need_dx=ctx.needs_dx,
        )[0]


def _sizes(normalized_shape: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of the last dimensions as a tuple."""
    sizes = normalized_shape if isinstance(normalized_shape, tuple | list) else (normalized_shape,)
    if not sizes:
        raise ValueError("normalized_shape is empty; expected at least one dimension")
    return tuple(count(size, "normalized_shape") for size in sizes)


def _check_last(layer: LayerNorm | RMSNorm, x: np.ndarray) -> None:
    """Raise ValueError unless the last dimensions of x are those that the layer normalises."""
    shape = layer.normalized_shape
    if x.ndim <= len(shape) or x.shape[-len(shape) :] != shape:
        kind, expected = type(layer).__name__, ", ".join(map(str, shape))
        raise ValueError(f"{kind} got an input of shape {x.shape}; expected (batch, ..., {expected})")
