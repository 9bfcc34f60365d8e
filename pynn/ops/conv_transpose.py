"""Transposed convolution: the gradient of `conv2d` with respect to its images, as a forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..kernels.codes import ActivationCode
from ..utils.validation import count, flag
from ._check import IMAGES, apart, check_shape, floats, output
from ._windows import Pair, pair, reach, windows
from .channels import by_channel
from .matmul import gradient_outputs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_WEIGHTS = ("channels", "filters / groups", "rows", "columns")


def conv_transpose2d(
    x: ArrayLike,
    w: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient of `conv2d` for the output gradient `x`, plus bias: each element of x spreads a window of w.

    out[n, k, i stride + r dilation - padding, ...] is the sum over c, i, r of x[n, c, i, j] w[c, k, r, s].

    Parameters
    ----------
    x : array_like, shape (n, channels, height, width)
    w : array_like, shape (channels, filters / groups, rows, columns)
        Same dtype as `x`.
    bias : array_like, shape (filters,), optional
    stride, padding, groups, dilation
        Those of the convolution whose gradient this is.
    output_padding : int or (int, int)
        Rows and columns added at the end, fewer than the stride: of the sizes that the convolution reduces to that of
        x, it chooses one.
    out : ndarray, shape (n, filters, out_height, out_width), optional
        out_height = (height - 1) stride - 2 padding + dilation (rows - 1) + output_padding + 1.

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or shape; the message names it and the expected one.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), stride=2)
    array([[[[1., 1., 2., 2.]]]])
    """
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    x, w = _operands(x, w)
    before = pair(padding, "padding", minimum=0)
    shape = output_shape(x.shape, w.shape, stride, before, output_padding, groups, dilation)
    y = output(out, "out", shape, x.dtype)
    if bias is not None:
        bias = floats(bias, "bias", like=x, shape=shape[1:2])
    apart({"out": out}, x, w, bias)
    kernels().conv.conv2d_backward_data(x, w, stride, before, dilation, groups, y)
    if bias is not None:
        kernels().channels.add_to_channels(by_channel(y), bias)
    return y


def conv_transpose2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
    dw: np.ndarray | None = None,
    db: np.ndarray | None = None,
    dx: np.ndarray | None = None,
    need_db: bool = True,
    need_dx: bool = True,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return the gradients dw, db and dx of `conv_transpose2d`: dx is the convolution of dy.

    Parameters
    ----------
    dy : array_like, shape (n, filters, out_height, out_width)
    x, w, stride, padding, output_padding, groups, dilation
        As given to the forward pass.
    dw, db, dx : ndarray, optional
        Receive the gradients, in the shapes of `w`, the bias and `x`.
    need_db, need_dx : bool

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.array([[[[3.0]]]]), np.full((1, 1, 1, 2), 5.0)
    >>> dw, db, dx = conv_transpose2d_backward(np.ones((1, 1, 1, 2)), x, w)
    >>> dw.ravel(), db, dx.ravel()
    (array([3., 3.]), array([2.]), array([10.]))
    """
    need_db, need_dx = flag(need_db, "need_db"), flag(need_dx, "need_dx")
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    dy = floats(dy, "dy")
    x, w = _operands(x, w, like=dy)
    before = pair(padding, "padding", minimum=0)
    check_shape(dy, "dy", output_shape(x.shape, w.shape, stride, before, output_padding, groups, dilation))
    dw, db, dx = gradient_outputs(dy, x, w, None, dw, db, dx, need_db, need_dx)
    family = kernels().conv
    family.conv2d_backward_weights(x, dy, stride, before, dilation, groups, dw)
    if db is not None:
        kernels().channels.channel_sum(by_channel(dy), db)
    if dx is not None:
        family.conv2d(dy, w, None, stride, before, dilation, groups, ActivationCode.IDENTITY, 0.0, dx, None)
    return dw, db, dx


def output_shape(
    x: tuple[int, ...],
    w: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    output_padding: int | Pair,
    groups: int,
    dilation: Pair,
) -> tuple[int, int, int, int]:
    """Return the shape of the output of `conv_transpose2d`, given those of x and w; raise ValueError if they misfit."""
    groups, extra = count(groups, "groups"), pair(output_padding, "output_padding", minimum=0)
    if x[1] % groups or x[1] != w[0] or 0 in w or 0 in x[1:]:
        raise ValueError(
            f"x has shape {x} and w {w}; expected (n, channels, height, width) and (channels, filters / groups, rows, "
            f"columns), channels a multiple of groups={groups}"
        )
    if extra[0] >= stride[0] or extra[1] >= stride[1]:
        raise ValueError(f"output_padding is {extra}; expected less than the stride {stride}")
    rows, columns = (
        (size - 1) * step - 2 * before + window + more
        for size, step, before, window, more in zip(
            x[2:], stride, padding, reach((w[2], w[3]), dilation), extra, strict=True
        )
    )
    if min(rows, columns) < 1:
        raise ValueError(
            f"images of {x[2]} x {x[3]} with padding {padding} have outputs of {rows} x {columns}; pad less"
        )
    windows((x[0], x[1], rows, columns), (w[2], w[3]), stride, padding, padding, dilation)  # raises if too large
    return x[0], groups * w[1], rows, columns


def _operands(x: ArrayLike, w: ArrayLike, like: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    x = floats(x, "x", like=like, shape=IMAGES)
    w = floats(w, "w", like=x, shape=_WEIGHTS)
    return x, w
