"""RMS norm against float64 formulas and finite differences."""

import numpy as np
import pytest

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

SHAPES = [((6, 5), (5,)), ((3, 4, 33), (33,)), ((3, 4, 6), (4, 6)), ((2, 1), (1,)), ((40, 700), (700,))]


def oracle(x, shape, gamma, eps):
    axes = tuple(range(-len(shape), 0))
    return gamma * x / np.sqrt(np.square(x).mean(axis=axes, keepdims=True) + eps)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(("shape", "over"), SHAPES)
def test_forward_is_the_formula(shape, over, affine, dtype, tolerance, rng):
    x = (rng.normal(size=shape) * 3 + 1).astype(dtype)
    gamma = rng.normal(size=over).astype(dtype) if affine else None
    y, rstd = ops.rms_norm(x, over, gamma, eps=1e-3)
    wide = x.astype(float)
    np.testing.assert_allclose(y, oracle(wide, over, 1.0 if gamma is None else gamma.astype(float), 1e-3), **tolerance)
    rows = wide.reshape(-1, int(np.prod(over)))
    np.testing.assert_allclose(rstd[:, 0], 1 / np.sqrt(np.square(rows).mean(axis=1) + 1e-3), **tolerance)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(("shape", "over"), SHAPES[:-1])
def test_gradients_against_finite_differences(shape, over, affine, rng):
    x, dy, gamma = rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=over) if affine else None
    _, rstd = ops.rms_norm(x, over, gamma, eps=1e-2)
    dx, dgamma = ops.rms_norm_backward(dy, x, over, gamma, rstd)
    assert (dgamma is None) == (gamma is None)
    for array, gradient in ((x, dx), (gamma, dgamma)) if affine else ((x, dx),):
        for index in np.ndindex(*array.shape):
            kept, values = array[index], []
            for step in (1e-6, -1e-6):
                array[index] = kept + step
                values.append((dy * oracle(x, over, gamma if affine else 1.0, 1e-2)).sum())
            array[index] = kept
            assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-8)
    only = ops.rms_norm_backward(dy, x, over, gamma, rstd, need_dx=False)
    assert only[0] is None
    if affine:
        np.testing.assert_array_equal(only[1], dgamma)


@pytest.mark.parametrize(
    ("shape", "over", "said"),
    [
        ((2, 3), (4,), r"x has shape \(2, 3\); expected \(..., 4\)"),
        ((3,), (3,), "x has shape"),
        ((2, 3), (), r"shape is \(\); expected the sizes of the last dimensions"),
    ],
)
def test_what_does_not_fit_is_refused(shape, over, said):
    with pytest.raises(ValueError, match=said):
        ops.rms_norm(np.ones(shape), over)
