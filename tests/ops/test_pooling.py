"""Pooling where kernels take ways of their own: whole vectors of narrow and wide images, values that do not compare."""

import numpy as np
import pytest
from cases import case
from pynn.kernels.numpy import pooling as specification

import pynn
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


def test_any_geometry(dtype):
    for seed in range(30):
        with case(seed=seed):
            check_geometry(seed, dtype)


def check_geometry(seed, dtype):
    rng = np.random.default_rng(seed)
    kernel = tuple(rng.integers(1, 5, 2).tolist())
    stride, dilation = tuple(rng.integers(1, 6, 2).tolist()), tuple(rng.integers(1, 4, 2).tolist())
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    size = tuple(int(rng.integers((k - 1) * d + 1, 75)) for k, d in zip(kernel, dilation, strict=True))
    x = images(rng, 3, int(rng.integers(1, 9)), *size, dtype=dtype, awkward=bool(seed % 2))
    named = {"stride": stride, "padding": padding, "ceil_mode": bool(rng.integers(2))}
    y, index = ops.max_pool2d(x, kernel, dilation=dilation, **named)
    want, place = np.empty_like(y), np.empty_like(index)
    specification.max_pool2d(x, kernel, stride, padding, dilation, want, place)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(index, place)
    del named["ceil_mode"]
    dy, gradient = images(rng, *y.shape, dtype=dtype, awkward=False), np.empty_like(x)
    specification.max_pool2d_backward(dy, place, kernel, stride, padding, dilation, gradient)
    np.testing.assert_allclose(
        ops.max_pool2d_backward(dy, index, x.shape, kernel, dilation=dilation, **named), gradient, rtol=1e-5, atol=1e-5
    )


def test_means_of_any_geometry(dtype):
    for seed in range(20):
        with case(seed=seed):
            check_means(seed, dtype)


def check_means(seed, dtype):
    rng = np.random.default_rng(seed)
    kernel, stride = tuple(rng.integers(1, 5, 2).tolist()), tuple(rng.integers(1, 6, 2).tolist())
    padding, counted = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel), bool(seed % 2)
    x = images(rng, 3, int(rng.integers(1, 9)), *rng.integers(4, 75, 2), dtype=dtype, awkward=False)
    named = {"stride": stride, "padding": padding, "count_include_pad": counted}
    tolerance = {"rtol": 0, "atol": 1e-5 if dtype == np.float32 else 1e-13}
    y = ops.avg_pool2d(x, kernel, ceil_mode=bool(seed % 3), **named)
    want, gradient = np.empty_like(y), np.empty_like(x)
    specification.avg_pool2d(x, kernel, stride, padding, counted, want)
    np.testing.assert_allclose(y, want, **tolerance)
    dy = images(rng, *y.shape, dtype=dtype, awkward=False)
    specification.avg_pool2d_backward(dy, kernel, stride, padding, counted, gradient)
    np.testing.assert_allclose(ops.avg_pool2d_backward(dy, x.shape, kernel, **named), gradient, **tolerance)
    size = tuple(rng.integers(1, 9, 2).tolist())
    y = ops.adaptive_avg_pool2d(x, size)
    want, dy = np.empty_like(y), images(rng, *y.shape, dtype=dtype, awkward=False)
    specification.adaptive_avg_pool2d(x, want)
    np.testing.assert_allclose(y, want, **tolerance)
    specification.adaptive_avg_pool2d_backward(dy, gradient)
    np.testing.assert_allclose(ops.adaptive_avg_pool2d_backward(dy, x.shape), gradient, **tolerance)


def everything(x, dy):
    """Return what pooling and batch norm give, forward and backward."""
    for size, stride in ((2, 2), (3, 2)):
        y, index = ops.max_pool2d(x, size, stride=stride)
        yield from (y, index, ops.max_pool2d_backward(y, index, x.shape, size, stride=stride))
        y = ops.avg_pool2d(x, size, stride=stride)
        yield from (y, ops.avg_pool2d_backward(y, x.shape, size, stride=stride))
    y = ops.adaptive_avg_pool2d(x, 3)
    yield from (y, ops.adaptive_avg_pool2d_backward(y, x.shape))
    gamma, beta, mean, var = (np.ones(x.shape[1], x.dtype) for _ in range(4))
    y, mean, rstd = ops.batch_norm2d(x, gamma, beta, mean, var, activation="relu")
    yield from (y, mean, rstd, *ops.batch_norm2d_backward(dy, x, gamma, beta, mean, rstd, activation="relu"))


def test_results_do_not_depend_on_the_number_of_threads(dtype, rng):
    x, dy = rng.normal(size=(2, 41, 5, 20, 40)).astype(dtype)
    before, results = pynn.get_num_threads(), []
    try:
        for threads in (1, 3):
            pynn.set_num_threads(threads)
            results.append(list(everything(x, dy)))
    finally:
        pynn.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, three)
