"""Borders of zeros around images and sequences."""

from __future__ import annotations

import math

import numpy as np

from ... import ops
from ...ops._windows import MAX_ELEMENTS
from ...utils.validation import count
from ..context import Context
from ..recording import replayable
from .dimensions import OverImages, OverSequences


class ZeroPad2d(OverImages):
    """Images with zeros around them.

    Parameters
    ----------
    padding : int or (int, int, int, int)
        Columns to the left and right, rows above and below, in PyTorch's order; negative numbers cut off.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.ZeroPad2d((1, 0, 0, 1)))(np.array([[[[1.0, 2.0]]]]))
    array([[[[0., 1., 2.],
             [0., 0., 0.]]]], dtype=float32)
    """

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__()
        sides = 2 * len(self.positions)
        given = tuple(padding) if isinstance(padding, tuple | list) else (padding,) * sides
        if len(given) != sides:
            expected = "(left, right, top, bottom)" if sides == 4 else "(left, right)"
            raise ValueError(f"padding is {padding!r}; expected a number, or {expected}")
        self.padding = tuple(count(size, "padding", minimum=1 - MAX_ELEMENTS) for size in given)

    def _sides(self) -> tuple[int, int, int, int]:
        """Return the padding of images: left, right, top, bottom."""
        left, right, top, bottom = (*self.padding, 0, 0)[:4]
        return left, right, top, bottom

    @replayable
    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        self._check_input(x)
        images = self._as_images(x)
        left, right, top, bottom = self._sides()
        n, channels, height, width = ctx.shape = images.shape
        shape = (n, channels, height + top + bottom, width + left + right)
        if min(shape[2:]) < 1 or max(1, n) * max(1, channels) * shape[2] * shape[3] > MAX_ELEMENTS:
            kind = type(self).__name__
            raise ValueError(f"{kind} cannot make images of {shape[2]} x {shape[3]} of an input of shape {x.shape}")
        if not any(self.padding):
            return x
        return self._from_images(_moved(images, top, left, ctx.buffer("y", shape, x.dtype), ctx, "wide"))

    @replayable
    def backward(self, dy: np.ndarray, ctx: Context) -> np.ndarray:
        if not any(self.padding):
            return dy
        left, _, top, _ = self._sides()
        images = self._as_images(dy)
        dx = ctx.gradient("dx", ctx.shape, dy.dtype, dy)
        return self._from_images(_moved(images, -top, -left, dx, ctx, "dwide"))


class ZeroPad1d(OverSequences, ZeroPad2d):
    """Sequences with zeros at their ends: x is (n, channels, length).

    Parameters
    ----------
    padding : int or (int, int)
        Elements before and after; negative numbers cut off.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> pynn.Sequential(pynn.ZeroPad1d((2, -1)))(np.array([[[1.0, 2.0, 3.0]]]))
    array([[[0., 0., 1., 2.]]], dtype=float32)
    """


def _moved(x: np.ndarray, down: int, right: int, out: np.ndarray, ctx: Context, buffer: str) -> np.ndarray:
    """Write the pixels of x to `out`, moved by `down` rows and `right` columns, and zeros elsewhere.

    `buffer` names the memory for images that have moved to the right only.
    """
    n, channels, height, width = x.shape
    if not right and width == out.shape[3]:
        wide = x
    elif not down and height == out.shape[2]:
        return _shifted(x, n * channels * height, right, out)
    else:
        between = ctx.buffer(buffer, (n, channels, height, out.shape[3]), x.dtype)
        wide = _shifted(x, n * channels * height, right, between)
    return _shifted(wide, n * channels, down * out.shape[3], out)


def _shifted(x: np.ndarray, rows: int, by: int, out: np.ndarray) -> np.ndarray:
    """Write x to `out`, both cut into `rows` rows: each moved to the right by `by` elements, zeros elsewhere."""
    width, room = (math.prod(array.shape) // max(rows, 1) for array in (x, out))
    source, target = x.reshape(rows, width), out.reshape(rows, room)
    ops.zero(out.reshape(-1))
    start, stop = max(0, -by), min(width, room - by)
    if start < stop:
        ops.copy_columns(source, target, start=start, width=stop - start, out_start=start + by)
    return out
