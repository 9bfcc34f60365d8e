"""Pooling layers: maximum and mean over windows of images."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...ops._windows import Pair, pair, pooled_shape, pooling_window
from ..context import Context
from ..recording import replayable
from .base import Layer


def _check_images(layer: Layer, x: np.ndarray) -> None:
    if x.ndim != 4:
        kind = type(layer).__name__
        raise ValueError(f"{kind} got an input of shape {x.shape}; expected (batch, channels, height, width)")


class MaxPool2d(Layer):
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
        window = pooling_window(kernel_size, stride, padding, dilation)
        self.kernel_size, self.stride, self.padding, self.dilation = window
        self.ceil_mode = bool(ceil_mode)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        _check_images(self, x)
        ctx.shape = x.shape
        window = self.kernel_size, self.stride, self.padding, self.dilation
        shape = pooled_shape(x.shape, *window, self.ceil_mode)
        y, ctx.index = ops.max_pool2d(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
            out=ctx.buffer("y", shape, x.dtype),
            index_out=ctx.buffer("index", shape, np.uint16),
        )
        return y

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        return ops.max_pool2d_backward(
            dy,
            ctx.index,
            ctx.shape,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            out=ctx.gradient("dx", ctx.shape, dy.dtype, dy),
        )


class AvgPool2d(Layer):
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
        self.kernel_size, self.stride, self.padding, _ = pooling_window(kernel_size, stride, padding)
        self.ceil_mode = bool(ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        _check_images(self, x)
        ctx.shape = x.shape
        shape = pooled_shape(x.shape, self.kernel_size, self.stride, self.padding, ceil=self.ceil_mode)
        return ops.avg_pool2d(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
            out=ctx.buffer("y", shape, x.dtype),
        )

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        return ops.avg_pool2d_backward(
            dy,
            ctx.shape,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
            out=ctx.gradient("dx", ctx.shape, dy.dtype, dy),
        )


class AdaptiveAvgPool2d(Layer):
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
        self.output_size = pair(output_size, "output_size")

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        _check_images(self, x)
        ctx.shape = x.shape
        shape = (*x.shape[:2], *self.output_size)
        return ops.adaptive_avg_pool2d(x, self.output_size, out=ctx.buffer("y", shape, x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        return ops.adaptive_avg_pool2d_backward(dy, ctx.shape, out=ctx.gradient("dx", ctx.shape, dy.dtype, dy))
