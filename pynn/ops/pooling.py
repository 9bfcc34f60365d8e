"""Max and mean pooling over windows of images, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import flag
from ._check import IMAGES, apart, fits, floats, output
from ._windows import Pair, adaptive_shape, image_shape, pair, pooled_shape, pooling_window

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_INDEX = np.dtype(np.uint16)


def max_pool2d(
    x: ArrayLike,
    kernel: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
    need_index: bool = True,
    out: np.ndarray | None = None,
    index_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the largest element of each window, and its index within the window, in row-major order.

    Parameters
    ----------
    x : array_like, shape (n, channels, height, width)
    kernel : int or (int, int)
        The window's height and width.
    stride : int or (int, int), optional
        Distance between windows; the kernel size by default.
    padding : int or (int, int)
        Padding on each side, at most half a window; it is never the largest element.
    dilation : int or (int, int)
    ceil_mode : bool
        Whether a last window may extend beyond the padding.
    need_index : bool
        False skips the indices (None is returned), for use without a backward pass.
    out, index_out : ndarray, optional
        Receive the results; `index_out` is uint16.

    Examples
    --------
    >>> import numpy as np
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    (array([[[[ 5.,  7.],
             [13., 15.]]]]), array([[[[3, 3],
             [3, 3]]]], dtype=uint16))
    """
    ceil_mode, need_index = flag(ceil_mode, "ceil_mode"), flag(need_index, "need_index")
    kernel, step, padding, dilation = pooling_window(kernel, stride, padding, dilation)
    if kernel[0] * kernel[1] > np.iinfo(_INDEX).max:
        raise ValueError(f"a window of {kernel} has more than {np.iinfo(_INDEX).max} elements, the maximum")
    fine = fits("nchw->ncij", x, out)
    if not fine:
        x = floats(x, "x", shape=IMAGES)
    shape = pooled_shape(x.shape, kernel, step, padding, dilation, ceil_mode)
    y = out if fine and out.shape == shape else _pooled(out, shape, x)
    index = output(index_out, "index_out", shape, _INDEX) if need_index else None
    apart({"out": out, "index_out": index_out if need_index else None}, x)
    if y.size:  # without images, the number of windows is unbounded; likewise below
        kernels().pooling.max_pool2d(x, kernel, step, padding, dilation, y, index)
    return y, index


def max_pool2d_backward(
    dy: ArrayLike,
    index: np.ndarray,
    shape: tuple[int, ...],
    kernel: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient of `max_pool2d`: dy where the largest elements were, 0 elsewhere.

    Parameters
    ----------
    dy : array_like, shape (n, channels, out_height, out_width)
    index : ndarray, uint16, same shape
        As returned by the forward pass.
    shape : (n, channels, height, width)
        Shape of the forward pass's x.
    kernel, stride, padding, dilation
        As given to the forward pass.
    out : ndarray, optional
        Receives the result.

    Examples
    --------
    >>> import numpy as np
    >>> y, index = max_pool2d(np.array([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
    >>> max_pool2d_backward(np.ones((1, 1, 1, 1)), index, (1, 1, 2, 2), 2)
    array([[[[0., 1.],
             [0., 0.]]]])
    """
    kernel, step, padding, dilation = pooling_window(kernel, stride, padding, dilation)
    dy, dx = _gradients(dy, shape, out)
    _check_grid(dy, shape, kernel, step, padding, dilation)
    index = output(index, "index", dy.shape, _INDEX)
    apart({"out": out}, index)
    if dx.size:
        kernels().pooling.max_pool2d_backward(dy, index, kernel, step, padding, dilation, dx)
    return dx


def avg_pool2d(
    x: ArrayLike,
    kernel: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mean of each window.

    Parameters
    ----------
    x, kernel, stride, padding, ceil_mode
        As in `max_pool2d`.
    count_include_pad : bool
        Whether the zeros of the padding count towards the mean.
    out : ndarray, optional
        Receives the result.

    Examples
    --------
    >>> import numpy as np
    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    ceil_mode, count_include_pad = flag(ceil_mode, "ceil_mode"), flag(count_include_pad, "count_include_pad")
    kernel, step, padding, _ = pooling_window(kernel, stride, padding)
    x = floats(x, "x", shape=IMAGES)
    shape = pooled_shape(x.shape, kernel, step, padding, ceil=ceil_mode)
    y = _pooled(out, shape, x)
    if y.size:
        kernels().pooling.avg_pool2d(x, kernel, step, padding, count_include_pad, y)
    return y


def avg_pool2d_backward(
    dy: ArrayLike,
    shape: tuple[int, ...],
    kernel: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    count_include_pad: bool = True,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient of `avg_pool2d`: dy is spread evenly over each window.

    Examples
    --------
    >>> import numpy as np
    >>> avg_pool2d_backward(np.ones((1, 1, 1, 1)), (1, 1, 2, 2), 2)
    array([[[[0.25, 0.25],
             [0.25, 0.25]]]])
    """
    count_include_pad = flag(count_include_pad, "count_include_pad")
    kernel, step, padding, _ = pooling_window(kernel, stride, padding)
    dy, dx = _gradients(dy, shape, out)
    _check_grid(dy, shape, kernel, step, padding)
    if dx.size:
        kernels().pooling.avg_pool2d_backward(dy, kernel, step, padding, count_include_pad, dx)
    return dx


def adaptive_avg_pool2d(x: ArrayLike, size: int | Pair = 1, out: np.ndarray | None = None) -> np.ndarray:
    """Return the means over `size` rows and columns of windows that cover the image; 1 gives the mean of each channel.

    Along n elements, window i of m is [floor(i n / m), ceil((i + 1) n / m)).

    Examples
    --------
    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 1)
    array([[[[7.5]]]])
    """
    grid = pair(size, "size")
    x = floats(x, "x", shape=IMAGES)
    y = _pooled(out, adaptive_shape(x.shape, grid), x)
    if y.size:
        kernels().pooling.adaptive_avg_pool2d(x, y)
    return y


def adaptive_avg_pool2d_backward(dy: ArrayLike, shape: tuple[int, ...], out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `adaptive_avg_pool2d` for images of that shape.

    Examples
    --------
    >>> import numpy as np
    >>> adaptive_avg_pool2d_backward(np.ones((1, 1, 1, 1)), (1, 1, 2, 2))
    array([[[[0.25, 0.25],
             [0.25, 0.25]]]])
    """
    dy, dx = _gradients(dy, shape, out)
    adaptive_shape(dx.shape, pair(dy.shape[2:], "size"))
    if dx.size:
        kernels().pooling.adaptive_avg_pool2d_backward(dy, dx)
    return dx


def _pooled(out: np.ndarray | None, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    y = output(out, "out", shape, x.dtype)
    apart({"out": out}, x)
    return y


def _gradients(dy: ArrayLike, shape: tuple[int, ...], out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return dy, and the array for the gradient of images of that shape."""
    if fits("ncij->nchw", dy, out) and out.shape == shape:
        return dy, out
    images = image_shape(shape)
    dy = floats(dy, "dy", shape=(*images[:2], "out_height", "out_width"))
    dx = output(out, "out", images, dy.dtype)
    apart({"out": out}, dy)
    return dy, dx


def _check_grid(
    dy: np.ndarray, shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> None:
    """Raise ValueError unless dy has the shape of pooled images, with or without ``ceil_mode``."""
    images = tuple(shape)
    expected = pooled_shape(images, kernel, stride, padding, dilation)
    if dy.shape not in (expected, pooled_shape(images, kernel, stride, padding, dilation, ceil=True)):
        raise ValueError(f"dy has shape {dy.shape}; expected {expected} for images of shape {tuple(shape)}")
