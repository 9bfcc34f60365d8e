"""Softmax and its logarithm as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ... import ops
from ..context import Context
from ..recording import replayable
from .base import Layer
from .dimensions import within_example


class Softmax(Layer):
    """exp(x) / sum(exp(x)): numbers above 0 whose sum over dimension `dim` is 1.

    `CrossEntropyLoss` applies the softmax itself: a network trained with it ends with a linear layer.

    Parameters
    ----------
    dim : int
        The last dimension by default; 1 is the channels of images. Not 0, the batch.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.Softmax())(np.log([[1.0, 3.0]])).round(3)
    array([[0.25, 0.75]], dtype=float32)
    """

    op: ClassVar[Callable[..., np.ndarray]] = staticmethod(ops.softmax)
    op_backward: ClassVar[Callable[..., np.ndarray]] = staticmethod(ops.softmax_backward)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = within_example(dim)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        ctx.y = type(self).op(x, self.dim, out=ctx.buffer("y", x.shape, x.dtype))
        return ctx.y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        return type(self).op_backward(dy, ctx.y, self.dim, out=ctx.gradient("dx", dy.shape, dy.dtype, dy))


class LogSoftmax(Softmax):
    """x - log(sum(exp(x))): the logarithm of `Softmax`, accurate where that is tiny.

    Parameters
    ----------
    dim : int
        As in `Softmax`.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.LogSoftmax())(np.array([[0.0, -1000.0]]))
    array([[    0., -1000.]], dtype=float32)
    """

    op, op_backward = staticmethod(ops.log_softmax), staticmethod(ops.log_softmax_backward)
