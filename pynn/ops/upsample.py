"""Resampling of images to another size, and the gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import flag
from ._check import IMAGES, apart, check_shape, floats, output
from ._windows import MAX_ELEMENTS, Pair, image_shape, pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class _Grid(NamedTuple):
    """Where the pixels of the output lie in the input, as the kernels take it."""

    size: Pair
    scales: tuple[float, float, float, float]
    offset: float
    bilinear: bool


def upsample(
    x: ArrayLike,
    size: int | Pair | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return images of another size: each pixel is the nearest one before it in x, or interpolated between four.

    Parameters
    ----------
    x : array_like, shape (n, channels, height, width)
    size : int or (int, int), optional
        Height and width of the output.
    scale_factor : float or (float, float), optional
        Instead of `size`: floor(height * scale_factor), as in PyTorch.
    mode : {"nearest", "bilinear"}
    align_corners : bool
        Whether "bilinear" takes the corners of both images for the same points, instead of the corners of their
        outermost pixels.
    out : ndarray, optional
        Receives the result.

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype, shape or size; unless exactly one of `size` and `scale_factor` is given.

    Examples
    --------
    >>> import numpy as np
    >>> upsample(np.array([[[[1.0, 2.0]]]]), scale_factor=2)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    align_corners = flag(align_corners, "align_corners")
    x = floats(x, "x", shape=IMAGES)
    grid = _grid(x.shape, size, scale_factor, mode, align_corners)
    y = output(out, "out", (*x.shape[:2], *grid.size), x.dtype)
    apart({"out": out}, x)
    kernels().upsample.upsample(_planes(x), grid.scales, grid.offset, grid.bilinear, _planes(y))
    return y


def upsample_backward(
    dy: ArrayLike,
    shape: tuple[int, ...],
    size: int | Pair | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gradient of the input, whose shape is `shape`; the other arguments are those of `upsample`.

    Examples
    --------
    >>> import numpy as np
    >>> upsample_backward(np.ones((1, 1, 2, 4)), (1, 1, 1, 2), scale_factor=2)
    array([[[[4., 4.]]]])
    """
    align_corners = flag(align_corners, "align_corners")
    dy, shape = floats(dy, "dy"), image_shape(shape)
    grid = _grid(shape, size, scale_factor, mode, align_corners)
    check_shape(dy, "dy", (*shape[:2], *grid.size))
    dx = output(out, "out", shape, dy.dtype)
    apart({"out": out}, dy)
    kernels().upsample.upsample_backward(_planes(dy), grid.scales, grid.offset, grid.bilinear, _planes(dx))
    return dx


def output_size(
    shape: tuple[int, ...], size: int | Pair | None, scale_factor: float | tuple[float, float] | None
) -> Pair:
    """Return height and width of the output for images of a shape."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"size is {size} and scale_factor {scale_factor}; expected exactly one of them")
    if size is not None:
        return pair(size, "size")
    factors = factors_of(scale_factor)
    if any(length * factor >= MAX_ELEMENTS for length, factor in zip(shape[2:], factors, strict=True)):
        raise ValueError(f"scale_factor is {scale_factor!r}, more than can be addressed; expected less")
    height, width = (math.floor(length * factor) for length, factor in zip(shape[2:], factors, strict=True))
    if min(height, width) < 1:
        raise ValueError(f"images of {shape[2]} x {shape[3]} times {factors} have no pixels; expected a larger factor")
    return height, width


def factors_of(scale_factor: object) -> tuple[float, float]:
    """Return the factors of height and width, or raise ValueError unless both are positive numbers."""
    both = tuple(scale_factor) if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    if len(both) != 2 or not all(isinstance(f, int | float) and 0 < f < math.inf for f in both):
        raise ValueError(f"scale_factor is {scale_factor!r}; expected a positive number, or one for rows and columns")
    return float(both[0]), float(both[1])


def _grid(
    shape: tuple[int, ...],
    size: int | Pair | None,
    scale_factor: float | tuple[float, float] | None,
    mode: str,
    align_corners: bool,
) -> _Grid:
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f'mode is {mode!r}; expected "nearest" or "bilinear"')
    if align_corners and mode == "nearest":
        raise ValueError('align_corners is True; expected False, or mode="bilinear"')
    if 0 in shape[2:]:
        raise ValueError(f"x has shape {shape}; expected images with pixels")
    target = output_size(shape, size, scale_factor)
    scales: list[float] = []
    for axis in (0, 1):
        length, count = shape[2 + axis], target[axis]
        if align_corners:
            scales += [length - 1, max(count - 1, 1)]
        else:  # fractions, not their quotients: rounding would take a neighbouring pixel
            scales += [length, count] if scale_factor is None else [1.0, factors_of(scale_factor)[axis]]
    a, b, c, d = map(float, scales)
    return _Grid(target, (a, b, c, d), 0.5 if mode == "bilinear" and not align_corners else 0.0, mode == "bilinear")


def _planes(x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
