"""The fully connected layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ... import ops
from ...utils.validation import count, flag
from .. import initializers
from ..context import Context
from ..parameters import data_of
from ..recording import applies_activation, replayable
from .affine import bias_gradient, output_buffers, weight_and_bias
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Linear(Layer):
    """y = x W + b, for x of two or more dimensions, the last of them the features.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether to add b.
    init : str or callable, optional
        Initialiser of the weights: a name in `pynn.init.INITIALIZERS`, or a function of the shape that returns an
        array; the bias then starts at 0. By default both are uniform in +-1/sqrt(in_features), as in PyTorch.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (in_features, out_features)
    bias : Parameter, shape (out_features,), or None

    Notes
    -----
    x is (batch, ..., in_features), y (batch, ..., out_features). CS231n, Neural Networks Part 1.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> layer = pynn.Linear(3, 2, init="zeros")
    >>> pynn.Sequential(layer)(np.ones((1, 3), dtype=np.float32))
    array([[0., 0.]], dtype=float32)
    >>> pynn.Sequential(pynn.Linear(3, 2))(np.ones((4, 5, 3))).shape
    (4, 5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: initializers.Init | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.in_features = count(in_features, "in_features")
        self.out_features = count(out_features, "out_features")
        self.init = init
        shape = (self.in_features, self.out_features)
        self.weight, start = weight_and_bias(init, shape, self.out_features, shape, dtype)
        self.bias = start if flag(bias, "bias") else None

    def config(self) -> dict[str, Any]:
        return super().config() | {"bias": self.bias is not None}

    @applies_activation
    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        if x.ndim < 2 or x.shape[-1] != self.in_features:
            expected = f"(batch, ..., {self.in_features})" if x.ndim > 2 else f"(batch, {self.in_features})"
            if x.ndim > 2 and math.prod(x.shape[1:]) == self.in_features:
                expected = f"(batch, {self.in_features}); put Flatten() before it"
            raise ValueError(f"Linear got an input of shape {x.shape}; expected {expected}")
        shape = (*x.shape[:-1], self.out_features)
        ctx.x = x
        y, pre = output_buffers(ctx, shape, x.dtype)
        bias = data_of(self.bias)
        ops.matmul(_rows(x), self.weight.data, bias=bias, activation=ctx.activation, out=_rows(y), pre_out=_rows(pre))
        return y

    @applies_activation
    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        x = ctx.x
        # With more than two dimensions, the channels of a following batch norm are not the features.
        db = bias_gradient(self.bias, ctx.dy_sums_to_zero and dy.ndim == 2)
        dz = None if ctx.activation is None else ctx.gradient("dz", dy.shape, dy.dtype, dy)
        dx = ctx.gradient("dx", x.shape, x.dtype, dy, dz) if ctx.needs_dx else None
        ops.linear_backward(
            _rows(dy),
            _rows(x),
            self.weight.data,
            dw=self.weight.grad,
            db=db,
            dx=_rows(dx),
            need_db=db is not None,
            need_dx=ctx.needs_dx,
            activation=ctx.activation,
            saved=None if ctx.activation is None else _rows(ctx.saved),
            dz=_rows(dz),
        )
        return dx


@overload
def _rows(array: np.ndarray) -> np.ndarray: ...
@overload
def _rows(array: None) -> None: ...
def _rows(array: np.ndarray | None) -> np.ndarray | None:
    """Return an array (batch, ..., features) as a matrix."""
    return array if array is None or array.ndim == 2 else array.reshape(-1, array.shape[-1])
