"""Inverted dropout without a stored mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backend import kernels
from ._check import floats, output, same_or_apart

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def dropout(x: ArrayLike, p: float, seed: int, offset: int = 0, out: np.ndarray | None = None) -> np.ndarray:
    """Return x with each element zeroed with probability `p` and the others divided by 1 - p.

    Which elements stay is a function of `seed` and of the element's position after `offset` alone (a SplitMix64 stream,
    the same on every backend): no mask is stored, and `dropout_backward` with the same numbers meets the same elements.

    Parameters
    ----------
    x : array_like
        Any shape.
    p : float
        In [0, 1].
    seed, offset : int
        In [0, 2**64) and [0, 2**63). Advance `offset` by `x.size` from call to call for independent masks.
    out : ndarray, optional
        Receives the result; may be `x`.

    References
    ----------
    Srivastava et al., Dropout, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> dropout(np.ones(8), 0.5, seed=1)
    array([2., 2., 2., 0., 0., 2., 2., 2.])
    """
    x = floats(x, "x")
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}; expected a probability in [0, 1]")
    if not (0 <= seed < 2**64 and 0 <= offset < 2**63):
        raise ValueError(f"seed and offset are {seed} and {offset}; expected 64-bit non-negative integers")
    y = output(out, "out", x.shape, x.dtype)
    if out is not None:
        same_or_apart(y, "out", x)
    kernels().dropout.dropout(x, float(p), seed, offset, y)
    return y


def dropout_backward(dy: ArrayLike, p: float, seed: int, offset: int = 0, out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `dropout`: the same elements zeroed and scaled in dy.

    Examples
    --------
    >>> import numpy as np
    >>> dropout_backward(np.ones(8), 0.5, seed=1)
    array([2., 2., 2., 0., 0., 2., 2., 2.])
    """
    return dropout(dy, p, seed, offset, out)
