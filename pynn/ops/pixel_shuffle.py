"""Channels rearranged into blocks of pixels, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count
from ._check import IMAGES, apart, floats, output

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def pixel_shuffle(x: ArrayLike, upscale_factor: int, out: np.ndarray | None = None) -> np.ndarray:
    """Rearrange groups of r * r channels into blocks of r x r pixels: images r times as high and wide.

    Its gradient is `pixel_unshuffle` of dy.

    Parameters
    ----------
    x : array_like, shape (n, channels * r * r, height, width)
        Channel ``(c * r + i) * r + j`` holds row i and column j of the blocks of channel c.
    upscale_factor : int
        r.
    out : ndarray, shape (n, channels, height * r, width * r), optional
        Receives the result.

    References
    ----------
    Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> pixel_shuffle(np.arange(4.0).reshape(1, 4, 1, 1), 2)
    array([[[[0., 1.],
             [2., 3.]]]])
    """
    x = floats(x, "x", shape=IMAGES)
    (n, channels, height, width), r = x.shape, count(upscale_factor, "upscale_factor")
    if channels % r**2:
        raise ValueError(f"x has {channels} channels; expected a multiple of {r**2}, for upscale_factor={r}")
    y = output(out, "out", (n, channels // r**2, height * r, width * r), x.dtype)
    apart({"out": out}, x)
    if x.size:
        planes = n * channels // r**2
        kernels().pixel_shuffle.pixel_shuffle(
            x.reshape(planes, r, r, height, width), y.reshape(planes, height, r, width, r)
        )
    return y


def pixel_unshuffle(x: ArrayLike, downscale_factor: int, out: np.ndarray | None = None) -> np.ndarray:
    """Return the inverse of `pixel_shuffle`; its gradient is `pixel_shuffle` of dy.

    Parameters
    ----------
    x : array_like, shape (n, channels, height * r, width * r)
    downscale_factor : int
        r.
    out : ndarray, shape (n, channels * r * r, height, width), optional
        Receives the result.

    Examples
    --------
    >>> import numpy as np
    >>> pixel_unshuffle(np.array([[[[0.0, 1.0], [2.0, 3.0]]]]), 2).ravel()
    array([0., 1., 2., 3.])
    """
    x = floats(x, "x", shape=IMAGES)
    (n, channels, height, width), r = x.shape, count(downscale_factor, "downscale_factor")
    if height % r or width % r:
        raise ValueError(f"x has images of {height} x {width}; expected multiples of downscale_factor={r}")
    y = output(out, "out", (n, channels * r**2, height // r, width // r), x.dtype)
    apart({"out": out}, x)
    if x.size:
        planes, rows, columns = n * channels, height // r, width // r
        kernels().pixel_shuffle.pixel_unshuffle(
            x.reshape(planes, rows, r, columns, r), y.reshape(planes, r, r, rows, columns)
        )
    return y
