"""Layers without parameters that are not activations: Flatten and Dropout."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..arguments import fraction
from ..context import Context
from .base import Layer, replayable


class Flatten(Layer):
    """Turn (batch, ...) into (batch, features), as images before a linear layer.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.Flatten())(np.zeros((2, 3, 4), dtype=np.float32)).shape
    (2, 12)
    """

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        ctx.shape = x.shape
        return x.reshape(x.shape[0], int(np.prod(x.shape[1:], dtype=np.int64)))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        return dy.reshape(ctx.shape)


class Dropout(Layer):
    """In training, zero each element with probability `p` and divide the others by 1 - p; otherwise pass x on.

    Srivastava et al. 2014. The draws come from the trainer's seed, and a checkpoint continues them.

    Parameters
    ----------
    p : float
        In [0, 1].
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = fraction(p, "p")

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        ctx.drops = ctx.training and self.p > 0
        if not ctx.drops:
            return x
        if ctx.random is None:
            raise RuntimeError(
                "Dropout in training needs a random stream in its context; a Trainer or model(x) gives one"
            )
        ctx.draw = ctx.random.draw(x.size, ctx.buffer("draw", (2,), np.uint64))
        return ops.dropout(x, self.p, ctx.draw, out=ctx.buffer("y", x.shape, x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        if not ctx.drops:
            return dy
        dx = ctx.buffer("dx", dy.shape, dy.dtype)
        return ops.dropout_backward(dy, self.p, ctx.draw, out=dx)
