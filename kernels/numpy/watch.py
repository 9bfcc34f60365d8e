"""Statistics of a watched training step: outputs per unit, the size of a gradient, the signs within its columns."""

import numpy as np

from .optim import sum_of_squares
from .quiet import quiet
from .sums import add_stats


@quiet
def unit_stats(y, centre, limit, stats, total):
    """Add the sum, sum of squares, active count and saturated count of each column of `y` (2-D) to the rows of `stats`.

    Active means y > 0, saturated further than `limit` from `centre` (see `codes.saturation`). `total`, unless None,
    receives this call's four sums over all columns.
    """
    add_stats(y, 0, centre, limit, stats, total)


@quiet
def square_sum(x, out):
    """Write the sum of squares of `x` to ``out[0]``."""
    out[0] = sum_of_squares(x)


@quiet
def one_signed(grad, out):
    """Write to ``out[0]`` the share of columns whose nonzero values all have one sign, among columns that have any."""
    up, down = (grad > 0).any(axis=0), (grad < 0).any(axis=0)
    out[0] = np.count_nonzero(up ^ down) / max(np.count_nonzero(up | down), 1) if (up | down).any() else np.nan
