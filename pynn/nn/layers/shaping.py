"""Layers that change at most the shape of an array."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...utils.validation import count
from ..context import Context
from ..recording import replayable
from .base import Layer


class Identity(Layer):
    """Return the input: a placeholder where a layer is expected.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.Identity())(np.array([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)
    """

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        return x

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        return dy


class Flatten(Layer):
    """Reshape (batch, ...) to (batch, features), for example images before a linear layer.

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


class Unflatten(Layer):
    """Reshape dimension `dim` to several: the inverse of `Flatten`, for example before a transposed convolution.

    Parameters
    ----------
    dim : int
        At least 1: the batch stays as it is.
    unflattened_size : sequence of int
        The new dimensions; their product is the size of the old one.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.Unflatten(1, (3, 4)))(np.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = count(dim, "dim")
        self.unflattened_size = tuple(count(size, "unflattened_size") for size in unflattened_size)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        sizes = self.unflattened_size
        if x.ndim <= self.dim or x.shape[self.dim] != math.prod(sizes):
            raise ValueError(
                f"Unflatten got an input of shape {x.shape}; expected {math.prod(sizes)} in dimension {self.dim}, "
                f"for {sizes}"
            )
        ctx.shape = x.shape
        return x.reshape(*x.shape[: self.dim], *sizes, *x.shape[self.dim + 1 :])

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        return dy.reshape(ctx.shape)
