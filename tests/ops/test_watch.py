"""What a watched step looks at, against NumPy in float64."""

import numpy as np
import pytest
from cases import case
from pynn.kernels.codes import ActivationCode

from pynn import ops

SHAPES = [(0, 3), (1, 1), (2, 5), (7, 8), (33, 17), (64, 40), (300, 65)]


@pytest.mark.parametrize("code", [ActivationCode.IDENTITY, ActivationCode.TANH, ActivationCode.SIGMOID])
def test_unit_stats_are_numpys(backend, dtype, rng, code):
    for shape in [*SHAPES, (4, 3, 5, 7)]:
        with case(shape):
            check_unit_stats(shape, code, dtype, rng)


def check_unit_stats(shape, code, dtype, rng):
    y = rng.uniform(-1, 1, size=shape).astype(dtype)
    if code == ActivationCode.SIGMOID:
        y = np.abs(y)
    limit = np.dtype(dtype).type(0.98)
    far = np.abs(2 * y - 1) > limit if code == ActivationCode.SIGMOID else np.abs(y) > limit
    saturated = far if code != ActivationCode.IDENTITY else np.zeros(shape)
    exact = y.astype(np.float64)
    within_unit = (0, *range(2, y.ndim))
    want = np.stack([figure.sum(axis=within_unit) for figure in (exact, np.square(exact), y > 0, saturated)])
    stats, total = np.ones((4, shape[1])), np.full(4, np.nan)
    before = y.copy()
    ops.unit_stats(y, stats, code=code, total=total)
    np.testing.assert_allclose(stats - 1, want, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(total, want.sum(axis=1), rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(y, before)


def test_unit_stats_take_any_shape_and_pass_nan_on(backend, dtype):
    stats = np.zeros((4, 2))
    ops.unit_stats(np.array([[[1, 2], [np.nan, 3]]], dtype), stats)  # channels
    np.testing.assert_array_equal(stats, [[3, np.nan], [5, np.nan], [2, 1], [0, 0]])


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25, 0.0])
def test_square_sum_is_numpys(backend, dtype, rng, scale):
    for size in (0, 1, 31, 32, 33, 511, 512, 513, 2000):
        x = (scale * rng.normal(size=size)).astype(dtype)
        out = np.full(1, np.nan)
        ops.square_sum(x, out)
        want = np.square(x, dtype=np.float64).sum()
        np.testing.assert_allclose(out[0], want, rtol=2e-6, err_msg=f"{size} elements")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_square_sum_passes_what_is_not_finite_on(backend, dtype, value):
    x, out = np.ones(700, dtype), np.zeros(1)
    x[300] = value
    ops.square_sum(x, out)
    np.testing.assert_array_equal(out, [value])


@pytest.mark.parametrize("shape", [*SHAPES[1:], (100, 9), (9, 100)])
def test_one_signed_is_numpys(backend, dtype, rng, shape):
    grad = rng.normal(size=shape).astype(dtype)
    grad[:, ::2] = np.abs(grad[:, ::2])
    grad[:, ::5] = 0
    up, down = (grad > 0).any(axis=0), (grad < 0).any(axis=0)
    known = up | down
    out = np.zeros(1)
    ops.one_signed(grad, out)
    np.testing.assert_equal(out[0], (up ^ down).sum() / known.sum() if known.any() else np.nan)


def test_one_signed_finds_a_late_sign(backend, dtype):
    grad = np.ones((1000, 20), dtype)
    out = np.zeros(1)
    grad[-1, 7] = grad[3, 19] = -1
    ops.one_signed(grad, out)
    assert out[0] == 18 / 20


def test_share_correct_counts_what_is_not_ignored(backend, dtype):
    scores = np.array([[1, 2, 3], [3, 2, 1], [1, 3, 2]], dtype)
    out = np.zeros(1)
    ops.share_correct(scores, [2, 1, -100], out)
    assert out[0] == 0.5
    ops.share_correct(scores, [7, 7, 7], out, ignore_index=7)
    assert np.isnan(out[0])


def test_what_receives_results_is_checked():
    with pytest.raises(ValueError, match=r"total has shape \(3,\); expected \(4,\)"):
        ops.unit_stats(np.ones((2, 2)), np.zeros((4, 2)), total=np.zeros(3))
    with pytest.raises(TypeError, match="out has dtype float32; expected float64"):
        ops.square_sum(np.ones(2), np.zeros(1, np.float32))
    with pytest.raises(ValueError, match=r"grad has shape \(2,\); expected \(fan_in, units\)"):
        ops.one_signed(np.ones(2), np.zeros(1))
