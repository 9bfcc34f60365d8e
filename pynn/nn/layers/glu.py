"""The gated linear unit."""

from __future__ import annotations

import numpy as np

from ... import ops
from ..context import Context
from ..recording import replayable
from .base import Layer
from .dimensions import within_example


class GLU(Layer):
    """a sigmoid(b), with a and b the first and the second half of x along dimension `dim`.

    A layer before it makes twice the outputs: ``Linear(8, 2 * 16), GLU()``.

    Parameters
    ----------
    dim : int
        The last dimension by default; 1 is the channels of images. Not 0, the batch.

    Notes
    -----
    Dauphin et al., Language Modeling with Gated Convolutional Networks, 2017.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.GLU())(np.array([[1.0, 2.0, 0.0, 100.0]]))
    array([[0.5, 2. ]], dtype=float32)
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = within_example(dim)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        dim = self.dim % x.ndim if -x.ndim <= self.dim < x.ndim else 0
        if dim == 0 or x.shape[dim] % 2:
            raise ValueError(f"GLU got an input of shape {x.shape}; expected an even size in dimension {self.dim}")
        ctx.x = x
        shape = (*x.shape[:dim], x.shape[dim] // 2, *x.shape[dim + 1 :])
        return ops.glu(x, dim, out=ctx.buffer("y", shape, x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        x = ctx.x
        return ops.glu_backward(dy, x, self.dim, out=ctx.gradient("dx", x.shape, dy.dtype, dy))
