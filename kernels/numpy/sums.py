"""The sums that statistics of units and of channels consist of."""

import numpy as np


def add_stats(y, axis, centre, limit, stats, total):
    """Add the four sums of `unit_stats` over one or several dimensions of `y`."""
    new = np.zeros(stats.shape)
    new[0] = y.sum(axis, dtype=np.float64)
    new[1] = np.square(y, dtype=np.float64).sum(axis)
    new[2] = (y > 0).sum(axis)
    if limit < np.inf:
        new[3] = (np.abs(y - centre) > limit).sum(axis)
    stats += new
    if total is not None:
        new.sum(axis=1, out=total)
