"""PReLU and Maxout against their formulas, and their gradients against finite differences."""

import numpy as np
import pytest

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

SHAPES = [(1, 1), (0, 4), (3, 0), (5, 7), (33, 65), (5,), (2, 3, 5), (3, 4, 5, 17), (2, 0, 3, 3)]


def units(shape):
    return shape[1] if len(shape) > 1 else shape[0]


def per_unit(slope, shape):
    """Return the slopes so that they broadcast over (n, units, ...)."""
    return slope.reshape(-1, *[1] * (len(shape) - 2))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_prelu(dtype, shape, shared, rng):
    x = rng.normal(size=shape).astype(dtype)
    slope = rng.normal(size=1 if shared else units(shape)).astype(dtype)
    y = ops.prelu(x, slope)
    np.testing.assert_array_equal(y, np.where(x < 0, per_unit(slope, shape) * x, x))
    assert y.dtype == dtype
    assert ops.prelu(x, slope, out=x) is x
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_prelu_backward(dtype, tolerance, shape, shared, rng):
    x, dy = rng.normal(size=(2, *shape)).astype(dtype)
    x.flat[::3] = 0  # where the derivative is 1
    slope = rng.normal(size=1 if shared else units(shape)).astype(dtype)
    dx, dslope = ops.prelu_backward(dy, x, slope)
    np.testing.assert_array_equal(dx, np.where(x < 0, per_unit(slope, shape) * dy, dy))
    at_slope = np.where(x < 0, dy.astype(np.float64) * x, 0)
    others = (0, *range(2, x.ndim)) if x.ndim > 1 else ()
    want = at_slope.sum().reshape(1) if shared else at_slope.sum(axis=others)
    np.testing.assert_allclose(dslope, want, rtol=tolerance["rtol"], atol=10 * tolerance["atol"])
    total = np.ones_like(dslope)
    in_place, given_in = ops.prelu_backward(dy, x, slope, dx=dy, dslope=total)
    assert in_place is dy and given_in is total
    np.testing.assert_array_equal(dy, dx)
    np.testing.assert_array_equal(total, dslope)


def test_prelu_passes_nan(dtype):
    x = np.array([[np.nan, -1.0]], dtype)
    np.testing.assert_array_equal(ops.prelu(x, np.array([0.5], dtype)), np.array([[np.nan, -0.5]], dtype))


def test_prelu_refuses_a_slope_of_another_size():
    with pytest.raises(ValueError, match=r"slope has shape \(2,\); expected \(1,\) or \(3,\)"):
        ops.prelu(np.ones((4, 3)), np.ones(2))


@pytest.mark.parametrize("shape", [(1, 1), (0, 4), (3, 0), (5, 7), (33, 65)], ids=str)
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout(dtype, shape, pieces, rng):
    rows, units = shape
    x = rng.integers(-3, 4, size=(rows, pieces * units)).astype(dtype)  # small integers: many ties
    dy = rng.normal(size=shape).astype(dtype)
    stacked = x.reshape(rows, pieces, units)
    y = ops.maxout(x, pieces)
    np.testing.assert_array_equal(y, stacked.max(axis=1))
    winner = np.arange(pieces)[:, None] == stacked.argmax(axis=1)[:, None, :]
    want = np.where(winner, dy[:, None, :], 0).reshape(x.shape)
    out = np.full_like(x, np.nan)
    assert ops.maxout_backward(dy, x, pieces, out=out) is out
    np.testing.assert_array_equal(out, want)


def test_maxout_passes_nan(dtype):
    x = np.array([[1, np.nan, np.nan, 5]], dtype)
    np.testing.assert_array_equal(ops.maxout(x, 2), np.full((1, 2), np.nan))
    np.testing.assert_array_equal(ops.maxout_backward(np.ones((1, 2), dtype), x, 2), [[0, 1, 1, 0]])


@pytest.mark.parametrize("pieces", [0, 3, -1])
def test_maxout_refuses_pieces_that_do_not_divide(pieces):
    with pytest.raises(ValueError, match=r"4 columns|pieces is"):
        ops.maxout(np.ones((2, 4)), pieces)
