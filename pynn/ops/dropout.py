"""Inverted dropout without a stored mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count as whole
from ..utils.validation import fraction, shortened
from ._check import apart, elementwise_output, fits, floats, output, required
from .channels import by_channel, check_channels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_UINT64 = np.dtype(np.uint64)
#: A position in a stream of random numbers: seed and offset.
Draw = np.ndarray | Sequence[int]


def dropout(x: ArrayLike, p: float, draw: Draw, out: np.ndarray | None = None) -> np.ndarray:
    """Return x with each element zeroed with probability `p` and the others divided by 1 - p.

    The mask is a function of a seed and of an offset plus the element's position (a SplitMix64 stream, the same on
    every backend). So no mask is stored: `dropout_backward` with the same seed and offset selects the same elements.

    Parameters
    ----------
    x : array_like
        Any shape.
    p : float
        In [0, 1].
    draw : (int, int), or ndarray, uint64, shape (2,)
        Seed, in [0, 2**64), and offset, in [0, 2**63). Advance the offset by `x.size` from call to call for independent
        masks, as `advance` does.
    out : ndarray, optional
        Receives the result; may be `x`.

    References
    ----------
    Srivastava et al., Dropout, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> dropout(np.ones(8), 0.5, (1, 0))
    array([2., 2., 2., 0., 0., 2., 2., 2.])
    """
    if not fits("*->*?", x, out):
        x = floats(x, "x")
        out = elementwise_output(out, x)
    elif out is None:
        out = np.empty(x.shape, x.dtype)
    share, numbers = fraction(p, "p"), as_draw(draw)
    apart({"out": out}, numbers)
    kernels().dropout.dropout(x, share, numbers, out)
    return out


def dropout_backward(dy: ArrayLike, p: float, draw: Draw, out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `dropout`: the same elements zeroed and scaled in dy.

    Examples
    --------
    >>> import numpy as np
    >>> dropout_backward(np.ones(8), 0.5, (1, 0))
    array([2., 2., 2., 0., 0., 2., 2., 2.])
    """
    return dropout(dy, p, draw, out)


def dropout2d(x: ArrayLike, p: float, draw: Draw, out: np.ndarray | None = None) -> np.ndarray:
    """Return x with each channel of each example zeroed with probability `p` and the others divided by 1 - p.

    Neighbouring pixels are strongly correlated, so dropping single pixels has little effect (Tompson et al. 2015).

    Parameters
    ----------
    x : array_like, shape (n, channels, ...)
    p, draw, out
        As in `dropout`; a channel takes one number of the stream, in order.

    Examples
    --------
    >>> import numpy as np
    >>> dropout2d(np.ones((1, 4, 2)), 0.5, (1, 0))[0, :, 0]
    array([2., 2., 2., 0.])
    """
    x = floats(x, "x")
    check_channels(x, "x")
    y = elementwise_output(out, x)
    share, numbers = fraction(p, "p"), as_draw(draw)
    apart({"out": out}, numbers)
    if x.size:
        kernels().dropout.dropout_channels(by_channel(x), share, numbers, by_channel(y))
    return y


def dropout2d_backward(dy: ArrayLike, p: float, draw: Draw, out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `dropout2d`: the same channels zeroed and scaled in dy.

    Examples
    --------
    >>> import numpy as np
    >>> dropout2d_backward(np.ones((1, 4, 2)), 0.5, (1, 0))[0, :, 0]
    array([2., 2., 2., 0.])
    """
    return dropout2d(dy, p, draw, out)


def advance(stream: np.ndarray, count: int, out: np.ndarray | None = None) -> np.ndarray:
    """Return the position of the stream, for `dropout`, and advance the stream by `count` elements.

    Parameters
    ----------
    stream : ndarray, uint64, shape (2,)
        Seed and offset; the offset grows by `count`.
    count : int
    out : ndarray, uint64, shape (2,), optional
        Receives the result.

    Examples
    --------
    >>> import numpy as np
    >>> stream = np.array([7, 0], np.uint64)
    >>> advance(stream, 10), advance(stream, 5)
    (array([7, 0], dtype=uint64), array([ 7, 10], dtype=uint64))
    """
    required(stream, "stream", (2,), _UINT64)
    draw = output(out, "out", (2,), _UINT64)
    apart({"stream": stream, "out": out})
    if whole(count, "count", minimum=0) >= 2**63:
        raise ValueError(f"count is {count}; expected a number of elements in [0, 2**63)")
    kernels().dropout.advance(stream, count, draw)
    return draw


def as_draw(draw: Draw) -> np.ndarray:
    """Return seed and offset as uint64 (2,), without a copy if `draw` is such an array."""
    if isinstance(draw, np.ndarray) and draw.dtype == np.uint64 and draw.shape == (2,) and draw.flags.carray:
        return draw
    if np.shape(draw) != (2,):
        raise ValueError(f"draw is {shortened(repr(draw))}; expected a seed and an offset, (int, int)")
    seed, offset = (whole(number, name, minimum=0) for number, name in zip(draw, ("seed", "offset"), strict=True))
    if not (seed < 2**64 and offset < 2**63):
        raise ValueError(f"seed and offset are {seed} and {offset}; expected 64-bit non-negative integers")
    return np.array([seed, offset], np.uint64)
