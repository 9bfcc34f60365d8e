"""Maxout: the maximum of several linear functions per unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import ops
from ...utils.validation import count
from .. import initializers
from ..context import Context
from ..recording import replayable
from .affine import weight_and_bias
from .base import Layer

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Maxout(Layer):
    """max_j (x W_j + b_j), the maximum over the pieces j (Goodfellow et al. 2013).

    Generalises ReLU (one piece is zero) and leaky ReLU; units cannot die. Needs `pieces` times the parameters and work.

    Parameters
    ----------
    in_features, out_features : int
    pieces : int
    init, dtype
        As in `Linear`.

    Attributes
    ----------
    weight : Parameter, shape (in_features, pieces * out_features)
        Column ``j * out_features + u`` is piece j of unit u.
    bias : Parameter, shape (pieces * out_features,)

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.manual_seed(0)
    >>> layer = pynn.Maxout(3, 2, pieces=4)
    >>> layer.weight.shape
    (3, 8)
    >>> pynn.Sequential(layer)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        *,
        init: initializers.Init | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.in_features = count(in_features, "in_features")
        self.out_features = count(out_features, "out_features")
        self.pieces = count(pieces, "pieces")
        self.init = init
        shape, fans = (self.in_features, self.pieces * self.out_features), (self.in_features, self.out_features)
        self.weight, self.bias = weight_and_bias(init, shape, shape[1], fans, dtype)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"Maxout got an input of shape {x.shape}; expected (batch, {self.in_features})")
        ctx.x = x
        z = ctx.buffer("z", (x.shape[0], self.pieces * self.out_features), x.dtype)
        ctx.z = ops.matmul(x, self.weight.data, bias=self.bias.data, out=z)
        return ops.maxout(z, self.pieces, out=ctx.buffer("y", (x.shape[0], self.out_features), x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        dz = ops.maxout_backward(dy, ctx.z, self.pieces, out=ctx.gradient("dz", ctx.z.shape, dy.dtype, dy))
        return ops.linear_backward(
            dz,
            ctx.x,
            self.weight.data,
            dw=self.weight.grad,
            db=self.bias.grad,
            dx=ctx.gradient("dx", ctx.x.shape, dy.dtype, dz) if ctx.needs_dx else None,
            need_dx=ctx.needs_dx,
        )[2]
