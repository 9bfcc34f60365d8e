"""Pooling layers: maximum and mean over windows of images and of sequences."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...ops._windows import Pair, pooled_shape, pooling_window
from ...utils.validation import flag
from ..context import Context
from ..recording import replayable
from .dimensions import OverImages, OverSequences


class MaxPool2d(OverImages):
    """The largest element of each window of each channel.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        By default `kernel_size`: adjacent windows.
    padding : int or (int, int)
        How far windows may extend beyond the image, at most half the window.
    dilation : int or (int, int)
    ceil_mode : bool
        Whether the last window may extend beyond the border.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.MaxPool2d(2))(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]], dtype=float32)
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = self._sizes(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else self._sizes(stride, "stride")
        self.padding = self._sizes(padding, "padding", minimum=0)
        self.dilation = self._sizes(dilation, "dilation")
        self.ceil_mode = flag(ceil_mode, "ceil_mode")
        pooling_window(*self._window())  # raises if invalid

    def _window(self) -> tuple[Pair, Pair, Pair, Pair]:
        """Return kernel, stride, padding and dilation as the ops take them."""
        padding = self._pair(self.padding, 0)
        return self._pair(self.kernel_size), self._pair(self.stride), padding, self._pair(self.dilation)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x)
        x = self._as_images(x)
        ctx.shape = x.shape
        kernel, stride, padding, dilation = self._window()
        shape = pooled_shape(x.shape, kernel, stride, padding, dilation, self.ceil_mode)
        y, ctx.index = ops.max_pool2d(
            x,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=self.ceil_mode,
            out=ctx.buffer("y", shape, x.dtype),
            index_out=ctx.buffer("index", shape, np.uint16),
        )
        return self._from_images(y)

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dy = self._as_images(dy)
        kernel, stride, padding, dilation = self._window()
        dx = ops.max_pool2d_backward(
            dy,
            ctx.index,
            ctx.shape,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            out=ctx.gradient("dx", ctx.shape, dy.dtype, dy),
        )
        return self._from_images(dx)


class MaxPool1d(OverSequences, MaxPool2d):
    """`MaxPool2d` over sequences: x is (n, channels, length).

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int
        As in `MaxPool2d`, for one dimension.
    ceil_mode : bool
        As in `MaxPool2d`.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.MaxPool1d(2))(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    array([[[3., 2.]]], dtype=float32)
    """


class AvgPool2d(OverImages):
    """The mean of each window of each channel.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As in `MaxPool2d`.
    count_include_pad : bool
        Whether the zeros of the padding count in the mean.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.AvgPool2d(2))(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]], dtype=float32)
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = self._sizes(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else self._sizes(stride, "stride")
        self.padding = self._sizes(padding, "padding", minimum=0)
        self.ceil_mode = flag(ceil_mode, "ceil_mode")
        self.count_include_pad = flag(count_include_pad, "count_include_pad")
        pooling_window(*self._window())  # raises if invalid

    def _window(self) -> tuple[Pair, Pair, Pair]:
        """Return kernel, stride and padding as the ops take them."""
        return self._pair(self.kernel_size), self._pair(self.stride), self._pair(self.padding, 0)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x)
        x = self._as_images(x)
        ctx.shape = x.shape
        kernel, stride, padding = self._window()
        y = ops.avg_pool2d(
            x,
            kernel,
            stride=stride,
            padding=padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
            out=ctx.buffer("y", pooled_shape(x.shape, kernel, stride, padding, ceil=self.ceil_mode), x.dtype),
        )
        return self._from_images(y)

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dy = self._as_images(dy)
        kernel, stride, padding = self._window()
        dx = ops.avg_pool2d_backward(
            dy,
            ctx.shape,
            kernel,
            stride=stride,
            padding=padding,
            count_include_pad=self.count_include_pad,
            out=ctx.gradient("dx", ctx.shape, dy.dtype, dy),
        )
        return self._from_images(dx)


class AvgPool1d(OverSequences, AvgPool2d):
    """`AvgPool2d` over sequences: x is (n, channels, length).

    Parameters
    ----------
    kernel_size, stride, padding : int
        As in `AvgPool2d`, for one dimension.
    ceil_mode, count_include_pad : bool
        As in `AvgPool2d`.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.AvgPool1d(2))(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    array([[[2., 1.]]], dtype=float32)
    """


class AdaptiveAvgPool2d(OverImages):
    """Mean over windows chosen to give a fixed output size for any image size.

    Parameters
    ----------
    output_size : int or (int, int)
        1 gives the mean of each channel (global average pooling).

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.AdaptiveAvgPool2d(1))(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4))
    array([[[[7.5]]]], dtype=float32)
    """

    def __init__(self, output_size: int | Pair) -> None:
        super().__init__()
        self.output_size = self._sizes(output_size, "output_size")

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x)
        x = self._as_images(x)
        ctx.shape = x.shape
        size = self._pair(self.output_size)
        y = ops.adaptive_avg_pool2d(x, size, out=ctx.buffer("y", (*x.shape[:2], *size), x.dtype))
        return self._from_images(y)

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dy = self._as_images(dy)
        dx = ops.adaptive_avg_pool2d_backward(dy, ctx.shape, out=ctx.gradient("dx", ctx.shape, dy.dtype, dy))
        return self._from_images(dx)


class AdaptiveAvgPool1d(OverSequences, AdaptiveAvgPool2d):
    """`AdaptiveAvgPool2d` over sequences: x is (n, channels, length).

    Parameters
    ----------
    output_size : int
        1 gives the mean of each channel.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.AdaptiveAvgPool1d(2))(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    array([[[2., 1.]]], dtype=float32)
    """


class AdaptiveMaxPool2d(OverImages):
    """The largest element of each of the adjacent windows that divide an image into a grid of fixed size.

    Parameters
    ----------
    output_size : int or (int, int)
        1 gives the largest element of each channel (global max pooling).

    Notes
    -----
    Height and width must be multiples of `output_size`. PyTorch also takes others, with windows that overlap.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.AdaptiveMaxPool2d(2))(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]], dtype=float32)
    """

    def __init__(self, output_size: int | Pair) -> None:
        super().__init__()
        self.output_size = self._sizes(output_size, "output_size")

    def _window(self, shape: tuple[int, ...]) -> Pair:
        """Return rows and columns of the windows in images of a shape."""
        (rows, columns), (height, width) = self._pair(self.output_size), shape[2:]
        if 0 in (height, width) or height % rows or width % columns:
            name, sizes = type(self).__name__, tuple(shape[-len(self.output_size) :])
            raise ValueError(f"{name} cannot divide {sizes} evenly into {self.output_size} windows")
        return height // rows, width // columns

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x)
        x = self._as_images(x)
        ctx.shape = x.shape
        shape = (*x.shape[:2], *self._pair(self.output_size))
        out, index = ctx.buffer("y", shape, x.dtype), ctx.buffer("index", shape, np.uint16)
        y, ctx.index = ops.max_pool2d(x, self._window(x.shape), out=out, index_out=index)
        return self._from_images(y)

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dy = self._as_images(dy)
        dx = ctx.gradient("dx", ctx.shape, dy.dtype, dy)
        return self._from_images(ops.max_pool2d_backward(dy, ctx.index, ctx.shape, self._window(ctx.shape), out=dx))


class AdaptiveMaxPool1d(OverSequences, AdaptiveMaxPool2d):
    """`AdaptiveMaxPool2d` over sequences: x is (n, channels, length).

    Parameters
    ----------
    output_size : int
        A divisor of the length; 1 gives the largest element of each channel.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.AdaptiveMaxPool1d(1))(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    array([[[3.]]], dtype=float32)
    """
