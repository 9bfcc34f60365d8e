"""Pooling where kernels take ways of their own: whole vectors of narrow and wide images, values that do not compare."""

import numpy as np
import pytest
from pynn.kernels.numpy import pooling as specification

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

#: NaN, both infinities, both zeros, and few other values, so that many are equal.
AWKWARD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1.0, -1.0, 2.0])
WIDTHS = (2, 3, 4, 5, 7, 8, 9, 14, 15, 16, 17, 24, 28, 31, 32, 33, 48, 63, 64, 66)


def images(rng, *shape, dtype, awkward):
    values = rng.choice(AWKWARD, size=shape) if awkward else rng.normal(size=shape)
    return values.astype(dtype)


@pytest.mark.parametrize("awkward", [False, True])
@pytest.mark.parametrize("window", [(2, 2), (3, 2), (2, 1), (3, 3)], ids=str)
def test_max_pooling_of_any_width(window, awkward, dtype, rng):
    size, stride = window
    for width in WIDTHS:
        if width < size:
            continue
        x = images(rng, 3, 2, max(size, width % 11), width, dtype=dtype, awkward=awkward)
        y, index = ops.max_pool2d(x, size, stride=stride)
        want, place = np.empty_like(y), np.empty_like(index)
        specification.max_pool2d(x, (size, size), (stride, stride), (0, 0), (1, 1), want, place)
        np.testing.assert_array_equal(y, want)
        np.testing.assert_array_equal(index, place)
        np.testing.assert_array_equal(ops.max_pool2d(x, size, stride=stride, need_index=False)[0], want)
        dy, gradient = images(rng, *y.shape, dtype=dtype, awkward=awkward), np.empty_like(x)
        specification.max_pool2d_backward(dy, place, (size, size), (stride, stride), (0, 0), (1, 1), gradient)
        dx = ops.max_pool2d_backward(dy, index, x.shape, size, stride=stride, out=np.full_like(x, 7))
        np.testing.assert_allclose(dx, gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (2, 1), (3, 3), (4, 4)], ids=str)
def test_mean_pooling_of_any_width(window, dtype, rng):
    size, stride = window
    tolerance = {"rtol": 0, "atol": 1e-6 if dtype == np.float32 else 1e-14}
    for width in WIDTHS:
        if width < size:
            continue
        x = images(rng, 3, 2, max(size, width % 11), width, dtype=dtype, awkward=False)
        y = ops.avg_pool2d(x, size, stride=stride)
        want = np.empty_like(y)
        specification.avg_pool2d(x, (size, size), (stride, stride), (0, 0), True, want)
        np.testing.assert_allclose(y, want, **tolerance)
        dy, gradient = images(rng, *y.shape, dtype=dtype, awkward=False), np.empty_like(x)
        specification.avg_pool2d_backward(dy, (size, size), (stride, stride), (0, 0), True, gradient)
        dx = ops.avg_pool2d_backward(dy, x.shape, size, stride=stride, out=np.full_like(x, 7))
        np.testing.assert_allclose(dx, gradient, **tolerance)
