"""Activations beyond a fixed elementwise function: PReLU and Maxout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count
from ._check import apart, check_shape, floats, output, same_or_apart

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def _prelu_operands(x: np.ndarray, slope: ArrayLike) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return x's shape as (n, units, positions), and the slope."""
    n, units, *positions = x.shape if x.ndim > 1 else (1, x.size)
    slope = floats(slope, "slope", like=x)
    if slope.shape not in ((1,), (units,)):
        raise ValueError(f"slope has shape {slope.shape}; expected (1,) or ({units},)")
    return (n, units, math.prod(positions)), slope


def prelu(x: ArrayLike, slope: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return x where x >= 0, else slope * x, with a learned slope (He et al. 2015).

    Parameters
    ----------
    x : array_like, shape (n, units, ...)
        Images have a slope per channel, as in PyTorch; a 1-D array is one example of `units` values.
    slope : array_like, shape (1,) or (units,)
    out : ndarray, optional
        Receives the result; may be `x`.

    Examples
    --------
    >>> import numpy as np
    >>> prelu(np.array([[-1.0, -1.0, 2.0]]), np.array([0.1, 0.2, 0.3]))
    array([[-0.1, -0.2,  2. ]])
    """
    x = floats(x, "x")
    shape, slope = _prelu_operands(x, slope)
    y = output(out, "out", x.shape, x.dtype)
    if out is not None:
        same_or_apart(y, "out", x)
        apart({"out": out}, slope)
    if x.size:
        kernels().parametric.prelu(x.reshape(shape), slope, y.reshape(shape))
    return y


def prelu_backward(
    dy: ArrayLike,
    x: ArrayLike,
    slope: ArrayLike,
    *,
    dx: np.ndarray | None = None,
    dslope: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return dx = dy (1 where x >= 0, else slope), and dslope = the sum of dy x over negative x.

    Examples
    --------
    >>> import numpy as np
    >>> prelu_backward(np.ones((1, 2)), np.array([[-3.0, 2.0]]), np.array([0.1]))
    (array([[0.1, 1. ]]), array([-3.]))
    """
    dy = floats(dy, "dy")
    x = floats(x, "x", like=dy, shape=dy.shape)
    shape, slope = _prelu_operands(x, slope)
    input_gradient = output(dx, "dx", x.shape, x.dtype)
    slope_gradient = output(dslope, "dslope", slope.shape, x.dtype)
    if dx is not None:
        same_or_apart(input_gradient, "dx", dy)
    apart({"dx": dx, "dslope": dslope}, x, slope)
    apart({"dslope": dslope}, dy)
    kernels().parametric.prelu_backward(
        dy.reshape(shape), x.reshape(shape), slope, input_gradient.reshape(shape), slope_gradient
    )
    return input_gradient, slope_gradient


def _check_pieces(x: np.ndarray, pieces: int) -> int:
    check_shape(x, "x", ("n", "units * pieces"))
    if x.shape[1] % count(pieces, "pieces"):
        raise ValueError(f"x has {x.shape[1]} columns; expected a multiple of pieces ({pieces})")
    return x.shape[1] // pieces


def maxout(x: ArrayLike, pieces: int, out: np.ndarray | None = None) -> np.ndarray:
    """Return the maximum over the pieces of each unit (Goodfellow et al. 2013).

    Parameters
    ----------
    x : array_like, shape (n, pieces * units)
        Column ``j * units + u`` is piece j of unit u.
    pieces : int
    out : ndarray, shape (n, units), optional
        Receives the result.

    Examples
    --------
    >>> import numpy as np
    >>> maxout(np.array([[1.0, 5.0, 3.0, 4.0]]), 2)
    array([[3., 5.]])
    """
    x = floats(x, "x")
    units = _check_pieces(x, pieces)
    y = output(out, "out", (x.shape[0], units), x.dtype)
    apart({"out": out}, x)
    if x.size:  # without units, `pieces` is unbounded
        kernels().parametric.maxout(x, pieces, y)
    return y


def maxout_backward(dy: ArrayLike, x: ArrayLike, pieces: int, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy at the piece that was the maximum (the first on ties), 0 at the others; shape of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> maxout_backward(np.ones((1, 2)), np.array([[1.0, 5.0, 3.0, 4.0]]), 2)
    array([[0., 1., 1., 0.]])
    """
    dy = floats(dy, "dy")
    x = floats(x, "x", like=dy)
    units = _check_pieces(x, pieces)
    check_shape(dy, "dy", (x.shape[0], units))
    dx = output(out, "out", x.shape, x.dtype)
    apart({"out": out}, dy, x)
    if x.size:
        kernels().parametric.maxout_backward(dy, x, pieces, dx)
    return dx
