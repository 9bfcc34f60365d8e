"""Statistics of a watched training step: outputs per unit, the size of a gradient, the signs within its columns.

Each op writes to arrays that the caller passes, so that a recorded step can include it; none changes its inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..kernels.codes import ActivationCode, saturation
from ._check import apart, floats, output, required, unit_columns
from .channels import by_channel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_FLOAT64 = np.dtype(np.float64)


def unit_stats(
    y: ArrayLike,
    stats: np.ndarray,
    *,
    code: ActivationCode = ActivationCode.IDENTITY,
    total: np.ndarray | None = None,
) -> None:
    """Add each unit's sum, sum of squares, active count and saturated count to `stats` (4, units).

    The units of `y` are its last dimension, or, with more than two dimensions, the second one: the channels.

    Active means y > 0. Saturated (counted only for sigmoid and tanh, see `code`) means within 2% of a limit, as a share
    of half the range. `total` (4,), unless None, receives the sums over all units of this call alone.

    Examples
    --------
    >>> import numpy as np
    >>> stats = np.zeros((4, 2))
    >>> unit_stats(np.array([[1.0, -1.0], [3.0, -2.0]]), stats)
    >>> stats
    array([[ 4., -3.],
           [10.,  5.],
           [ 2.,  0.],
           [ 0.,  0.]])
    """
    y = floats(y, "y")
    centre, limit = saturation(ActivationCode(code))
    required(stats, "stats", (4, unit_count(y)), _FLOAT64)
    apart({"stats": stats}, y)
    if total is not None:
        apart({"stats": stats, "total": output(total, "total", (4,), _FLOAT64)}, y)
    if y.ndim > 2:
        kernels().channels.channel_stats(by_channel(y), centre, limit, stats, total)
    else:
        kernels().watch.unit_stats(unit_columns(y), centre, limit, stats, total)


def unit_count(y: np.ndarray) -> int:
    """Return the number of units of an output: its columns, or the channels of images."""
    return y.shape[1] if y.ndim > 1 else y.size if y.ndim else 1


def square_sum(x: ArrayLike, out: np.ndarray) -> None:
    """Write the sum of the squares of `x` to `out` (1,), in float64.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(1)
    >>> square_sum(np.array([3.0, 4.0]), out)
    >>> out
    array([25.])
    """
    x = floats(x, "x")
    apart({"out": required(out, "out", (1,), _FLOAT64)}, x)
    kernels().watch.square_sum(x, out)


def one_signed(grad: ArrayLike, out: np.ndarray) -> None:
    """Write to `out` (1,) the share of the columns of `grad` (fan_in, units) whose gradients all have one sign.

    Zeros have no sign, columns of zeros do not count, and without other columns the share is NaN. (CS231n, Neural
    Networks Part 1: with inputs of one sign, the weights of a unit can only rise or fall together, and zig-zag.)

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(1)
    >>> one_signed(np.array([[1.0, 1.0, 0.0], [2.0, -1.0, 0.0]]), out)
    >>> out
    array([0.5])
    """
    grad = floats(grad, "grad", shape=("fan_in", "units"))
    apart({"out": required(out, "out", (1,), _FLOAT64)}, grad)
    kernels().watch.one_signed(grad, out)
