"""Enlargement of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...ops._windows import Pair, pair
from ...ops.upsample import factors_of, output_size
from ...utils.validation import choice, flag
from ..context import Context
from ..recording import replayable
from .base import Layer


class Upsample(Layer):
    """Images of another size: each pixel is the nearest one before it, or interpolated between four.

    Parameters
    ----------
    size : int or (int, int), optional
        Height and width of the output.
    scale_factor : float or (float, float), optional
        Instead of `size`: the factor of height and width, rounded down.
    mode : {"nearest", "bilinear"}
    align_corners : bool
        Whether "bilinear" takes the corners of both images for the same points.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.Upsample(scale_factor=2))(np.array([[[[1.0, 2.0]]]]))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]], dtype=float32)
    """

    def __init__(
        self,
        size: int | Pair | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if (size is None) == (scale_factor is None):
            raise ValueError(f"size is {size} and scale_factor {scale_factor}; expected exactly one of them")
        self.size = None if size is None else pair(size, "size")
        self.scale_factor = None if scale_factor is None else factors_of(scale_factor)
        self.mode = choice(mode, "mode", ("nearest", "bilinear"))
        self.align_corners = flag(align_corners, "align_corners")
        if self.align_corners and mode == "nearest":
            raise ValueError('align_corners is True; expected False, or mode="bilinear"')

    def _how(self) -> dict[str, Any]:
        """Return the arguments of the ops."""
        return {
            "size": self.size,
            "scale_factor": self.scale_factor,
            "mode": self.mode,
            "align_corners": self.align_corners,
        }

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        if x.ndim != 4:
            raise ValueError(f"Upsample got an input of shape {x.shape}; expected (batch, channels, height, width)")
        ctx.shape = x.shape
        size = output_size(x.shape, self.size, self.scale_factor)
        return ops.upsample(x, **self._how(), out=ctx.buffer("y", (*x.shape[:2], *size), x.dtype))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        dx = ctx.gradient("dx", ctx.shape, dy.dtype, dy)
        return ops.upsample_backward(dy, ctx.shape, **self._how(), out=dx)
