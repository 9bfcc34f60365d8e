"""Transposed convolutional layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...ops._windows import Pair
from ...ops.conv_transpose import output_shape
from ...utils.validation import count, flag
from .. import initializers
from ..context import Context
from ..parameters import data_of
from ..recording import replayable
from .affine import bias_gradient, weight_and_bias
from .dimensions import OverImages, OverSequences

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class ConvTranspose2d(OverImages):
    """The transpose of `Conv2d`, which enlarges images: every pixel spreads a window of weights, and b is added.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
    stride : int or (int, int)
        Distance between the windows of neighbouring pixels: the factor by which images grow.
    padding : int or (int, int)
        Rows and columns cut off on each side.
    output_padding : int or (int, int)
        Rows and columns added at the end, fewer than the stride.
    groups : int
        As in `Conv2d`.
    bias : bool
    dilation : int or (int, int)
    init : str or callable, optional
        Initialiser of the weights, as in `Linear`. By default weights and bias are uniform in +-1/sqrt(fan_in), with
        fan_in = out_channels / groups * window size, as in PyTorch.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    weight : Parameter, shape (in_channels, out_channels / groups, rows, columns)
    bias : Parameter, shape (out_channels,), or None

    Notes
    -----
    x is (n, in_channels, height, width), y (n, out_channels, out_height, out_width), with out_height =
    (height - 1) stride - 2 padding + dilation (rows - 1) + output_padding + 1. Monitor and preflight do not judge its
    initial weights.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> layer = pynn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)
    >>> pynn.Sequential(layer)(np.zeros((2, 8, 16, 16), dtype=np.float32)).shape
    (2, 3, 32, 32)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        *,
        init: initializers.Init | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.in_channels = count(in_channels, "in_channels")
        self.out_channels = count(out_channels, "out_channels")
        self.kernel_size = self._sizes(kernel_size, "kernel_size")
        self.stride = self._sizes(stride, "stride")
        self.padding = self._sizes(padding, "padding", minimum=0)
        self.output_padding = self._sizes(output_padding, "output_padding", minimum=0)
        self.dilation = self._sizes(dilation, "dilation")
        self.groups = count(groups, "groups")
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{name} is {channels}; expected a multiple of groups={self.groups}")
        if any(more >= step for more, step in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"output_padding is {self.output_padding}; expected less than the stride {self.stride}")
        self.init = init
        elements = math.prod(self.kernel_size)
        fans = self.out_channels // self.groups * elements, self.in_channels // self.groups * elements
        shape = self.in_channels, self.out_channels // self.groups, *self.kernel_size
        self.weight, start = weight_and_bias(init, shape, self.out_channels, fans, dtype)
        self.weight.unit_axis, self.weight.groups = 1, self.groups
        self.bias = start if flag(bias, "bias") else None

    def config(self) -> dict[str, Any]:
        return super().config() | {"bias": self.bias is not None}

    def _geometry(self) -> dict[str, Any]:
        """Return the geometry arguments of the ops."""
        return {
            "stride": self._pair(self.stride),
            "padding": self._pair(self.padding, 0),
            "output_padding": self._pair(self.output_padding, 0),
            "groups": self.groups,
            "dilation": self._pair(self.dilation),
        }

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x, self.in_channels)
        ctx.x = x = self._as_images(x)
        weight, geometry = self._as_images(self.weight.data), self._geometry()
        y = ctx.buffer("y", output_shape(x.shape, weight.shape, **geometry), x.dtype)
        return self._from_images(ops.conv_transpose2d(x, weight, bias=data_of(self.bias), out=y, **geometry))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray | None:
        dy = self._as_images(dy)
        db = bias_gradient(self.bias, ctx.dy_sums_to_zero)
        dx = ops.conv_transpose2d_backward(
            dy,
            ctx.x,
            self._as_images(self.weight.data),
            dw=self._as_images(self.weight.grad),
            db=db,
            dx=ctx.gradient("dx", ctx.x.shape, dy.dtype, dy) if ctx.needs_dx else None,
            need_db=db is not None,
            need_dx=ctx.needs_dx,
            **self._geometry(),
        )[2]
        return None if dx is None else self._from_images(dx)


class ConvTranspose1d(OverSequences, ConvTranspose2d):
    """`ConvTranspose2d` over sequences: x is (n, in_channels, length), y (n, out_channels, out_length).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, output_padding, dilation : int
        As in `ConvTranspose2d`, for one dimension.
    groups, bias, init, dtype
        As in `ConvTranspose2d`.

    Attributes
    ----------
    weight : Parameter, shape (in_channels, out_channels / groups, kernel_size)
    bias : Parameter, shape (out_channels,), or None

    Examples
    --------
    >>> import numpy as np, pynn
    >>> layer = pynn.ConvTranspose1d(8, 3, 4, stride=2, padding=1)
    >>> pynn.Sequential(layer)(np.zeros((2, 8, 16), dtype=np.float32)).shape
    (2, 3, 32)
    """
