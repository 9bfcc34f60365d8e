"""Channels rearranged into blocks of pixels, and back."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...utils.validation import count
from ..context import Context
from ..recording import replayable
from .dimensions import OverImages


class PixelShuffle(OverImages):
    """Rearrange groups of r * r channels into blocks of r x r pixels: images r times as high and wide.

    Parameters
    ----------
    upscale_factor : int
        r. The number of channels is a multiple of r * r.

    Notes
    -----
    Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN, 2016.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.PixelShuffle(2))(np.arange(4.0).reshape(1, 4, 1, 1))
    array([[[[0., 1.],
             [2., 3.]]]], dtype=float32)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = count(upscale_factor, "upscale_factor")

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x)
        n, channels, height, width = ctx.shape = x.shape
        r = self.upscale_factor
        if channels % r**2:
            raise ValueError(f"PixelShuffle got an input of shape {x.shape}; expected a multiple of {r**2} channels")
        shape = (n, channels // r**2, height * r, width * r)
        return ops.pixel_shuffle(x, r, out=ctx.buffer("y", shape, x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dx = ctx.gradient("dx", ctx.shape, dy.dtype, dy)
        return ops.pixel_unshuffle(dy, self.upscale_factor, out=dx)


class PixelUnshuffle(OverImages):
    """The inverse of `PixelShuffle`: each block of r x r pixels becomes one pixel of r x r channels.

    Parameters
    ----------
    downscale_factor : int
        r. Height and width are multiples of it.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.PixelUnshuffle(2))(np.zeros((1, 3, 8, 6))).shape
    (1, 12, 4, 3)
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = count(downscale_factor, "downscale_factor")

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x)
        n, channels, height, width = ctx.shape = x.shape
        r = self.downscale_factor
        if height % r or width % r:
            raise ValueError(
                f"PixelUnshuffle got an input of shape {x.shape}; expected height and width to be multiples of {r}"
            )
        shape = (n, channels * r**2, height // r, width // r)
        return ops.pixel_unshuffle(x, r, out=ctx.buffer("y", shape, x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dx = ctx.gradient("dx", ctx.shape, dy.dtype, dy)
        return ops.pixel_shuffle(dy, self.downscale_factor, out=dx)
