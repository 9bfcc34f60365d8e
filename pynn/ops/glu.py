"""The gated linear unit, and its gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count
from ._check import apart, check_shape, floats, output

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def glu(x: ArrayLike, axis: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Return a sigmoid(b), with a and b the first and the second half of x along an axis.

    Parameters
    ----------
    x : array_like
        Its size along `axis` is even.
    axis : int
    out : ndarray, with half that size, optional
        Receives the result.

    References
    ----------
    Dauphin et al., Language Modeling with Gated Convolutional Networks, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> glu(np.array([[1.0, 2.0, 0.0, 100.0]]))
    array([[0.5, 2. ]])
    """
    x = floats(x, "x")
    axis = _axis_of(x.shape, axis)
    y = output(out, "out", _halved(x.shape, axis), x.dtype)
    apart({"out": out}, x)
    if x.size:
        before, size = _sizes(x.shape, axis)
        kernels().glu.glu(x.reshape(before, 2, size), y.reshape(before, size))
    return y


def glu_backward(dy: ArrayLike, x: ArrayLike, axis: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Return dx, in the shape of `x`: dy s for the first half and dy a s (1 - s) for the second, with s = sigmoid(b).

    Examples
    --------
    >>> import numpy as np
    >>> glu_backward(np.ones((1, 2)), np.array([[1.0, 2.0, 0.0, 100.0]]))
    array([[0.5 , 1.  , 0.25, 0.  ]])
    """
    dy = floats(dy, "dy")
    x = floats(x, "x", like=dy)
    axis = _axis_of(x.shape, axis)
    check_shape(dy, "dy", _halved(x.shape, axis))
    dx = output(out, "out", x.shape, x.dtype)
    apart({"out": out}, dy, x)
    if x.size:
        before, size = _sizes(x.shape, axis)
        kernels().glu.glu_backward(dy.reshape(before, size), x.reshape(before, 2, size), dx.reshape(before, 2, size))
    return dx


def _axis_of(shape: tuple[int, ...], axis: int) -> int:
    """Return the axis counted from the front, along which the size must be even."""
    dimensions = len(shape)
    if not -dimensions <= count(axis, "axis", minimum=-64) < dimensions:
        raise ValueError(f"axis is {axis} for x of shape {shape}; expected one of its {dimensions} dimensions")
    if shape[axis] % 2:
        raise ValueError(f"x has shape {shape}; expected an even size along axis {axis}")
    return axis % dimensions


def _halved(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])


def _sizes(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """Return the number of elements before the axis, and of one half of it and those behind."""
    return math.prod(shape[:axis]), math.prod(shape[axis:]) // 2
