"""Gated linear units against SciPy's sigmoid in float64, over every dimension, and finite differences."""

import numpy as np
import pytest
from scipy import special

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

SHAPES = [((7, 10), -1), ((3, 2), 1), ((2, 8, 5, 3), 1), ((2, 3, 130), 2), ((40, 700), 1), ((4, 3), 0)]


def oracle(x, axis):
    a, b = np.split(x.astype(float), 2, axis=axis)
    return a * special.expit(b)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_forward_is_the_formula(shape, axis, dtype, tolerance, rng):
    x = (rng.normal(size=shape) * 5).astype(dtype)
    y = ops.glu(x, axis)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, oracle(x, axis), **tolerance)


@pytest.mark.parametrize(("shape", "axis"), SHAPES[:-2])
def test_gradient_against_finite_differences(shape, axis, rng):
    x = rng.normal(size=shape)
    dy = rng.normal(size=oracle(x, axis).shape)
    numeric = np.empty_like(x)
    for index in np.ndindex(*shape):
        step = np.zeros_like(x)
        step[index] = 1e-6
        numeric[index] = (dy * (oracle(x + step, axis) - oracle(x - step, axis))).sum() / 2e-6
    np.testing.assert_allclose(ops.glu_backward(dy, x, axis), numeric, rtol=1e-6, atol=1e-8)


def test_far_from_zero(dtype):
    """Neither end of the sigmoid overflows."""
    x = np.array([[2.0, 2.0, 1e4, -1e4]], dtype)
    np.testing.assert_array_equal(ops.glu(x), [[2, 0]])
    np.testing.assert_array_equal(ops.glu_backward(np.ones((1, 2), dtype), x), [[1, 0, 0, 0]])


@pytest.mark.parametrize(
    ("shape", "axis", "said"),
    [
        ((2, 3), -1, r"x has shape \(2, 3\); expected an even size along axis -1"),
        ((2, 4), 2, "axis is 2 for x of shape"),
        ((2, 4), 0.5, "axis is 0.5"),
    ],
)
def test_what_makes_no_sense_is_refused(shape, axis, said):
    with pytest.raises(ValueError, match=said):
        ops.glu(np.ones(shape), axis)
