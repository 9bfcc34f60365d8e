"""Convolution over images (cross-correlation, as in other deep learning libraries), and its backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count, flag
from ._check import IMAGES, apart, check_shape, fits, floats, output
from ._windows import Pair, borders, pair, windows
from .activations import resolve
from .channels import by_channel
from .matmul import activated_gradient, gradient_outputs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_WEIGHTS = ("filters", "channels / groups", "rows", "columns")


def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    activation: str | tuple[str, float | None] | None = None,
    out: np.ndarray | None = None,
    pre_out: np.ndarray | None = None,
) -> np.ndarray:
    """Return f(x * w + bias): filter k's output at (i, j) is the sum of its weights times the window at (i, j).

    out[n, k, i, j] = bias[k] + sum over c, r, s of w[k, c, r, s] x[n, c', i stride + r dilation - padding, j ...],
    where c' is channel c of the filter's group, and x is 0 outside.

    Parameters
    ----------
    x : array_like, shape (n, channels, height, width)
    w : array_like, shape (filters, channels / groups, rows, columns)
        Same dtype as `x`.
    bias : array_like, shape (filters,), optional
    stride, dilation : int or (int, int)
        Distance between windows, and between the elements of a window, for rows and columns.
    padding : int, (int, int), "same" or "valid"
        Zeros on each side. "same" keeps the size (with a stride of 1).
    groups : int
        Number of independent groups of filters and channels; one group per channel is a depthwise convolution.
    activation : str or (str, float), optional
        As in `ops.matmul`.
    out : ndarray, shape (n, filters, out_height, out_width), optional
        Receives the result; must not overlap an input. out_height = floor((height + 2 padding - dilation (rows - 1) -
        1) / stride) + 1.
    pre_out : ndarray, same shape, optional
        Receives the pre-activation, which GELU and SiLU need in their backward pass.

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or shape; the message names it and the expected one.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, np.ones((1, 1, 2, 2)), bias=np.array([0.5]))
    array([[[[ 8.5, 12.5],
             [20.5, 24.5]]]])
    """
    stride, dilation, groups = pair(stride, "stride"), pair(dilation, "dilation"), count(groups, "groups")
    x, w = _operands(x, w)
    before, grid = _check_geometry(x.shape, w.shape, stride, padding, dilation, groups)
    shape = (x.shape[0], w.shape[0], *grid)
    plain = out is not None and fits("ncyx,kdrs,k?->nkij,nkij?", x, w, bias, out, pre_out)
    if not (plain and out is not None and out.shape == shape):
        if bias is not None:
            bias = floats(bias, "bias", like=x, shape=shape[1:2])
        given, out = out, output(out, "out", shape, x.dtype)
        if pre_out is not None:
            output(pre_out, "pre_out", shape, x.dtype)
        apart({"out": given, "pre_out": pre_out}, x, w, bias)
    code, alpha = resolve(activation)
    kernels().conv.conv2d(x, w, bias, stride, before, dilation, groups, code, alpha, out, pre_out)
    return out


def conv2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    dw: np.ndarray | None = None,
    db: np.ndarray | None = None,
    dx: np.ndarray | None = None,
    need_db: bool = True,
    need_dx: bool = True,
    activation: str | tuple[str, float | None] | None = None,
    saved: ArrayLike | None = None,
    dz: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return the gradients dw, db and dx of `conv2d`.

    Parameters
    ----------
    dy : array_like, shape (n, filters, out_height, out_width)
    x, w, stride, padding, dilation, groups
        As given to the forward pass.
    dw, db, dx : ndarray, optional
        Receive the gradients, in the shapes of `w`, the bias and `x`.
    need_db, need_dx, activation, saved, dz
        As in `ops.linear_backward`; `saved` and `dz` have the shape of dy.

    Examples
    --------
    >>> import numpy as np
    >>> dw, db, dx = conv2d_backward(np.ones((1, 1, 1, 1)), np.full((1, 1, 2, 2), 3.0), np.full((1, 1, 2, 2), 5.0))
    >>> dw.ravel(), db, dx.ravel()
    (array([3., 3., 3., 3.]), array([1.]), array([5., 5., 5., 5.]))
    """
    need_db, need_dx = flag(need_db, "need_db"), flag(need_dx, "need_dx")
    stride, dilation, groups = pair(stride, "stride"), pair(dilation, "dilation"), count(groups, "groups")
    if activation is None:
        saved = dz = None
    elif saved is None:
        raise ValueError("conv2d_backward with an activation needs saved=, the array its derivative is computed from")
    dy = floats(dy, "dy", shape=("n", "filters", "out_height", "out_width"))
    x, w = _operands(x, w, like=dy)
    before, grid = _check_geometry(x.shape, w.shape, stride, padding, dilation, groups)
    check_shape(dy, "dy", (x.shape[0], w.shape[0], *grid))
    if saved is not None:
        saved = floats(saved, "saved", like=dy, shape=dy.shape)
    dw, db, dx = gradient_outputs(dy, x, w, saved, dw, db, dx, need_db, need_dx)
    if saved is not None:
        dz = activated_gradient(dz, dy, saved, x, w, dw, db, dx)
        code, alpha = resolve(activation)
        kernels().activations.activate_backward(dy, saved, code, alpha, dz)
        dy = dz
    family = kernels().conv
    family.conv2d_backward_weights(dy, x, stride, before, dilation, groups, dw)
    if db is not None:
        kernels().channels.channel_sum(by_channel(dy), db)
    if dx is not None:
        family.conv2d_backward_data(dy, w, stride, before, dilation, groups, dx)
    return dw, db, dx


def output_shape(
    x: tuple[int, ...], w: tuple[int, ...], stride: Pair, padding: Any, dilation: Pair, groups: int
) -> tuple[int, ...]:
    """Return the shape of the output of `conv2d`, given those of the images and the weights."""
    return x[0], w[0], *_check_geometry(x, w, stride, padding, dilation, groups)[1]


def _operands(x: ArrayLike, w: ArrayLike, like: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    if not fits("ncyx,kdrs", x, w) or like is not None:
        x = floats(x, "x", like=like, shape=IMAGES)
        w = floats(w, "w", like=x, shape=_WEIGHTS)
    return x, w


def _check_geometry(
    x: tuple[int, ...], w: tuple[int, ...], stride: Pair, padding: Any, dilation: Pair, groups: int
) -> tuple[Pair, Pair]:
    """Return the padding before, and the number of rows and columns of windows."""
    filters, depth, *kernel = w
    if x[1] % groups or filters % groups:
        raise ValueError(f"{groups} groups do not divide {x[1]} channels and {filters} filters evenly")
    if depth != x[1] // groups or 0 in w:
        raise ValueError(
            f"w has shape {w}; expected ({filters or 'filters'}, {x[1] // groups}, rows, columns) for "
            f"{x[1]} channels in {groups} groups"
        )
    rows, columns = kernel
    before, after = borders(padding, (rows, columns), stride, dilation)
    return before, windows(x, (rows, columns), stride, before, after, dilation)
