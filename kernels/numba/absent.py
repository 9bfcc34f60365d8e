"""What compiled functions get instead of None: empty arrays, so that each compiles once per dtype."""

import functools

import numpy as np


def or_empty(array, dtype, dimensions=1):
    """Return `array`, or for None an empty array of that dtype and number of dimensions."""
    return _empty(dtype, dimensions) if array is None else array


@functools.cache
def _empty(dtype, dimensions):
    return np.empty((0,) * dimensions, dtype)
