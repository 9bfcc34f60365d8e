"""Statistics of a watched training step: outputs per unit, the size of a gradient, the signs within its columns."""

import numpy as np

from .absent import or_empty
from .compiled import njit
from .reductions import square_total


def unit_stats(y, centre, limit, stats, total):
    """Add the sum, sum of squares, active count and saturated count of each column of `y` (2-D) to the rows of `stats`.

    Active means y > 0, saturated further than `limit` from `centre` (see `codes.saturation`). `total`, unless None,
    receives this call's four sums over all columns.
    """
    _unit_stats(y, centre, limit, stats, or_empty(total, np.float64))


def square_sum(x, out):
    """Write the sum of squares of `x` to ``out[0]``."""
    _square_sum(x.reshape(-1), out)


def one_signed(grad, out):
    """Write to ``out[0]`` the share of columns whose nonzero values all have one sign, among columns that have any."""
    _one_signed(grad, out)


@njit()
def _unit_stats(y, centre, limit, stats, total):
    f = y.dtype.type
    middle, most, zero = f(centre), f(limit), f(0)
    new = np.zeros((4, y.shape[1]))
    sums, squares, active, saturated = new[0], new[1], new[2], new[3]
    for n in range(y.shape[0]):
        row = y[n]
        for u in range(row.size):
            value = np.float64(row[u])
            sums[u] += value
            squares[u] += value * value
        for u in range(row.size):
            active[u] += 1.0 if row[u] > zero else 0.0
            saturated[u] += 1.0 if abs(row[u] - middle) > most else 0.0
    for k in range(4):
        kind = 0.0
        for u in range(y.shape[1]):
            kind += new[k, u]
            stats[k, u] += new[k, u]
        if total.size:
            total[k] = kind


@njit()
def _square_sum(x, out):
    out[0] = square_total(x)


@njit()
def _one_signed(grad, out):
    units = grad.shape[1]
    up, down = np.zeros(units, np.bool_), np.zeros(units, np.bool_)
    zero = grad.dtype.type(0)
    for i in range(grad.shape[0]):
        row = grad[i]
        for u in range(units):
            up[u] |= row[u] > zero
            down[u] |= row[u] < zero
    one = any_sign = 0
    for u in range(units):
        one += up[u] != down[u]
        any_sign += up[u] | down[u]
    out[0] = one / any_sign if any_sign else np.nan
