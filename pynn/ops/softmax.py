"""Softmax and its logarithm, over one dimension of the examples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count
from ._check import elementwise_output, floats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def softmax(x: ArrayLike, dim: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Return exp(x) / sum(exp(x)), the sum over dimension `dim`, without overflow for any x.

    Parameters
    ----------
    x : array_like, shape (n, ...)
    dim : int
        Not the first dimension: that is the batch. 1 is the channels of images.
    out : ndarray, optional
        Receives the result; may be `x`.

    Raises
    ------
    ValueError
        If `dim` is the batch, or not a dimension of x.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.log([[1.0, 2.0, 5.0]]))
    array([[0.125, 0.25 , 0.625]])
    """
    return _forward(x, dim, False, out)


def softmax_backward(dy: ArrayLike, y: ArrayLike, dim: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Return y (dy - sum(dy y)), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    return _backward(dy, y, dim, False, out)


def log_softmax(x: ArrayLike, dim: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Return x - log(sum(exp(x))): the logarithm of `softmax`, accurate where that is tiny.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.array([[0.0, -1000.0]]))
    array([[    0., -1000.]])
    """
    return _forward(x, dim, True, out)


def log_softmax_backward(dy: ArrayLike, y: ArrayLike, dim: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy - exp(y) sum(dy), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax_backward(np.array([[1.0, 0.0]]), np.log([[0.5, 0.5]]))
    array([[ 0.5, -0.5]])
    """
    return _backward(dy, y, dim, True, out)


def _forward(x: ArrayLike, dim: int, log: bool, out: np.ndarray | None) -> np.ndarray:
    x = floats(x, "x")
    shape = _around(x.shape, dim)
    y = elementwise_output(out, x)
    kernels().softmax.softmax(x.reshape(shape), log, y.reshape(shape))
    return y


def _backward(dy: ArrayLike, y: ArrayLike, dim: int, log: bool, out: np.ndarray | None) -> np.ndarray:
    dy = floats(dy, "dy")
    y = floats(y, "y", like=dy, shape=dy.shape)
    shape = _around(dy.shape, dim)
    dx = elementwise_output(out, dy, y)
    kernels().softmax.softmax_backward(dy.reshape(shape), y.reshape(shape), log, dx.reshape(shape))
    return dx


def _around(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    """Return the shape as (what is before `dim`, `dim`, what is after it)."""
    count(dim, "dim", minimum=-len(shape))
    at = dim + len(shape) if dim < 0 else dim
    if not 1 <= at < len(shape):
        raise ValueError(f"dim is {dim} for an array of shape {shape}; expected a dimension after the first, the batch")
    return math.prod(shape[:at]), shape[at], math.prod(shape[at + 1 :])
