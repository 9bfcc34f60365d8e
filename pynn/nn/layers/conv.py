"""Convolutional layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...ops._windows import Pair, borders
from ...ops.conv import output_shape
from ...utils.validation import count, flag
from .. import initializers
from ..context import Context
from ..parameters import data_of
from ..recording import applies_activation, replayable
from .affine import bias_gradient, output_buffers, weight_and_bias
from .dimensions import OverImages, OverSequences

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Conv2d(OverImages):
    """y = x * W + b: every filter's weighted sum over the window at each position of the image.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
        Rows and columns of the window.
    stride : int or (int, int)
        Distance between windows.
    padding : int, (int, int), "same" or "valid"
        Zeros around the image; "same" keeps its size.
    dilation : int or (int, int)
        Distance between the elements of a window.
    groups : int
        Channels and filters are split into independent groups; ``groups=in_channels`` is a depthwise convolution.
    bias : bool
        Whether to add b.
    init : str or callable, optional
        Initialiser of the weights, as in `Linear`. By default weights and bias are uniform in +-1/sqrt(fan_in), as in
        PyTorch, with fan_in = in_channels / groups * window size.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels / groups, rows, columns)
    bias : Parameter, shape (out_channels,), or None

    Notes
    -----
    x is (n, in_channels, height, width), y (n, out_channels, out_height, out_width), with out_height =
    floor((height + 2 padding - dilation (rows - 1) - 1) / stride) + 1. CS231n, Convolutional Networks.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> layer = pynn.Conv2d(3, 8, 3, padding=1)
    >>> pynn.Sequential(layer)(np.zeros((2, 3, 32, 32), dtype=np.float32)).shape
    (2, 8, 32, 32)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        init: initializers.Init | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.in_channels = count(in_channels, "in_channels")
        self.out_channels = count(out_channels, "out_channels")
        self.kernel_size = self._sizes(kernel_size, "kernel_size")
        self.stride = self._sizes(stride, "stride")
        self.padding = padding if isinstance(padding, str) else self._sizes(padding, "padding", minimum=0)
        self.dilation = self._sizes(dilation, "dilation")
        self.groups = count(groups, "groups")
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{name} is {channels}; expected a multiple of groups={self.groups}")
        self.borders()  # raises if invalid
        self.init = init
        elements = math.prod(self.kernel_size)
        fans = self.in_channels // self.groups * elements, self.out_channels // self.groups * elements
        shape = self.out_channels, self.in_channels // self.groups, *self.kernel_size
        self.weight, start = weight_and_bias(init, shape, self.out_channels, fans, dtype)
        self.bias = start if flag(bias, "bias") else None

    def _geometry(self) -> dict[str, Any]:
        """Return the geometry arguments of the ops."""
        return {
            "stride": self._pair(self.stride),
            "padding": self.padding if isinstance(self.padding, str) else self._pair(self.padding, 0),
            "dilation": self._pair(self.dilation),
            "groups": self.groups,
        }

    def borders(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return how many zeros lie before and after the image, in each of its dimensions."""
        geometry, rank = self._geometry(), len(self.positions)
        kernel = self._pair(self.kernel_size)
        before, after = borders(geometry["padding"], kernel, geometry["stride"], geometry["dilation"])
        return before[-rank:], after[-rank:]

    def config(self) -> dict[str, Any]:
        return super().config() | {"bias": self.bias is not None}

    @applies_activation
    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x, self.in_channels)
        ctx.x = x = self._as_images(x)
        weight, bias = ctx.folded or (self.weight.data, data_of(self.bias))
        weight, geometry = self._as_images(weight), self._geometry()
        shape = output_shape(x.shape, weight.shape, **geometry)
        y, pre = output_buffers(ctx, shape, x.dtype)
        ops.conv2d(x, weight, bias=bias, activation=ctx.activation, out=y, pre_out=pre, **geometry)
        return self._from_images(y)

    @applies_activation
    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        dy = self._as_images(dy)
        db = bias_gradient(self.bias, ctx.dy_sums_to_zero)
        dz = None if ctx.activation is None else ctx.gradient("dz", dy.shape, dy.dtype, dy)
        dx = ops.conv2d_backward(
            dy,
            ctx.x,
            self._as_images(self.weight.data),
            dw=self._as_images(self.weight.grad),
            db=db,
            dx=ctx.gradient("dx", ctx.x.shape, dy.dtype, dy, dz) if ctx.needs_dx else None,
            need_db=db is not None,
            need_dx=ctx.needs_dx,
            activation=ctx.activation,
            saved=None if ctx.activation is None else ctx.saved,
            dz=dz,
            **self._geometry(),
        )[2]
        return None if dx is None else self._from_images(dx)


class Conv1d(OverSequences, Conv2d):
    """`Conv2d` over sequences: x is (n, in_channels, length), y (n, out_channels, out_length).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int
        As in `Conv2d`, for one dimension; `padding` may be "same" or "valid".
    groups, bias, init, dtype
        As in `Conv2d`.

    Attributes
    ----------
    weight : Parameter, shape (out_channels, in_channels / groups, kernel_size)
    bias : Parameter, shape (out_channels,), or None

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.Conv1d(2, 4, 3))(np.zeros((1, 2, 10), dtype=np.float32)).shape
    (1, 4, 8)
    """
