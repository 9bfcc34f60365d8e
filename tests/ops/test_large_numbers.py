"""Finite numbers whose squares or sums overflow float32, and of float64 up to 1e150: right where the answer fits."""

import itertools
import math

import numpy as np
import pytest
from cases import case

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

#: Powers of ten at which inputs lie, by dtype: around where a square overflows, up to near the largest number.
SIZES = {"float32": (10, 18, 19, 20, 22, 25, 30, 37), "float64": (18, 37, 100, 140, 150)}
#: Rows, images, long and few.
SHAPES = ((70, 19), (5, 7, 6, 5), (3, 4, 300), (4, 3, 2))


def known(x, axes):
    """Return mean and variance over axes, and how to lay them beside x, in extended precision."""
    wide = x.astype(np.longdouble)
    mean = wide.mean(axis=axes, keepdims=True)
    return mean, np.square(wide - mean).mean(axis=axes, keepdims=True)


def sizes():
    return [(dtype, 10.0**power) for dtype, powers in SIZES.items() for power in powers]


@pytest.mark.parametrize(("kind", "size"), sizes())
def test_batch_norm(kind, size, rng):
    for shape, activation in itertools.product(SHAPES, (None, "relu", "tanh")):
        with case(shape, activation=activation):
            check_batch_norm(shape, activation, kind, size, rng)


def check_batch_norm(shape, activation, kind, size, rng):
    x = (rng.normal(size=shape) * size + size / 3).astype(kind)
    dy = rng.normal(size=shape).astype(kind)
    forward, backward = (
        (ops.batch_norm, ops.batch_norm_backward) if len(shape) == 2 else (ops.batch_norm2d, ops.batch_norm2d_backward)
    )
    axes = (0, *range(2, len(shape)))
    beside = [1, shape[1]] + [1] * (len(shape) - 2)
    gamma, beta = (rng.uniform(0.5, 1.5, shape[1]).astype(kind) for _ in range(2))
    running_mean, running_var = np.zeros(shape[1], kind), np.ones(shape[1], kind)
    y, mean, rstd = forward(x, gamma, beta, running_mean, running_var, activation=activation)

    want_mean, var = known(x, axes)
    z = (x - want_mean) / np.sqrt(var + 1e-5)
    before = z * gamma.reshape(beside) + beta.reshape(beside)
    apply = {None: lambda v: v, "relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}[activation]
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if kind == "float32" else {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(y, apply(before).astype(float), **tolerance)
    np.testing.assert_allclose(mean, want_mean.ravel().astype(kind), rtol=1e-5)
    np.testing.assert_allclose(rstd, (1 / np.sqrt(var + 1e-5)).ravel().astype(kind), rtol=1e-4)
    count = x.size // shape[1]
    want_running = (0.9 + 0.1 * var * count / (count - 1)).ravel()
    largest = np.longdouble(np.finfo(kind).max)
    fits = want_running < 0.99 * largest
    np.testing.assert_allclose(running_var[fits], want_running[fits].astype(kind), rtol=1e-4)
    assert np.isinf(running_var[want_running > 1.01 * largest]).all()

    dx, dgamma, dbeta = backward(dy, x, gamma, beta, mean, rstd, activation=activation)
    slope = {None: 1.0, "relu": before > 0, "tanh": 1 - np.tanh(before) ** 2}[activation]
    dz = dy * slope
    np.testing.assert_allclose(dbeta, dz.sum(axes).astype(float), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(dgamma, (dz * z).sum(axes).astype(float), rtol=1e-3, atol=1e-3)
    centred = dz - dz.mean(axes, keepdims=True) - z * (dz * z).mean(axes, keepdims=True)
    scale = gamma.reshape(beside) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose((dx / scale).astype(float), centred.astype(float), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("kind", "size"), sizes())
def test_products_that_overflow_in_the_backward_pass(kind, size, rng):
    x, dy = rng.normal(size=(40, 3)).astype(kind), (rng.normal(size=(40, 3)) * size).astype(kind)
    one, zero = np.ones(3, kind), np.zeros(3, kind)
    _, mean, rstd = ops.batch_norm(x, one, zero, zero.copy(), one.copy())
    _, dgamma, _ = ops.batch_norm_backward(dy, x, one, zero, mean, rstd)
    want = (dy.astype(np.longdouble) * (x - mean.astype(np.longdouble)) * rstd).sum(axis=0)
    np.testing.assert_allclose((dgamma / size).astype(float), (want / size).astype(float), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("kind", "size"), sizes())
def test_group_and_layer_norm(kind, size, rng):
    x = (rng.normal(size=(3, 4, 5)) * size).astype(kind)
    for axes, result in (((1, 2), ops.group_norm(x, 1)), (2, ops.layer_norm(x, (5,)))):
        mean, var = known(x, axes)
        np.testing.assert_allclose(result[0], ((x - mean) / np.sqrt(var + 1e-5)).astype(float), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_infinity_and_nan_stay_in_their_column(kind, rng):
    x = rng.normal(size=(70, 40)).astype(kind)
    x[3, 5], x[4, 7] = np.inf, np.nan
    one, zero = np.ones(40, kind), np.zeros(40, kind)
    y, *_ = ops.batch_norm(x, one, zero, zero.copy(), one.copy())
    assert set(np.flatnonzero(~np.isfinite(y).all(axis=0))) == {5, 7}


@pytest.mark.parametrize(("kind", "size"), [*sizes(), ("float64", 1e160), ("float64", 1e300)])
def test_norms_whose_squares_overflow(kind, size):
    grad = np.array([3, 0, -4], kind) * np.dtype(kind).type(size)
    assert math.isclose(ops.gradient_norm(grad), 5 * size, rel_tol=1e-6)
    weight = np.stack([grad, np.array([0.1, 0.2, 0.3], kind)], axis=1)
    ops.clip_column_norms(weight, 1.0)
    np.testing.assert_allclose(weight, [[0.6, 0.1], [0, 0.2], [-0.8, 0.3]], rtol=1e-5)


def test_norms_of_what_is_not_finite():
    assert ops.gradient_norm(np.array([1.0, np.inf])) == np.inf
    assert np.isnan(ops.gradient_norm(np.array([np.nan, 1e300])))


@pytest.mark.parametrize(("kind", "size"), sizes())
def test_losses_of_large_logits(kind, size):
    logits = np.array([[-size, size, 0]], kind)
    loss, gradient = ops.softmax_cross_entropy(logits, [0])
    assert math.isclose(loss, 2 * size, rel_tol=1e-6)
    np.testing.assert_array_equal(gradient, [[-1, 1, 0]])
    loss, _ = ops.mse(logits, np.zeros_like(logits))
    if size < 1e150:
        assert math.isclose(loss, 2 * size * size / 3, rel_tol=1e-6)


@pytest.mark.parametrize(("kind", "size"), sizes())
def test_watched_sums(kind, size):
    x = np.full((100, 3), size, kind)
    out, stats = np.empty(1), np.zeros((4, 3))
    if size <= 1e150:
        ops.square_sum(x, out)
        ops.unit_stats(x, stats)
        assert math.isclose(out[0], 300 * float(x[0, 0]) ** 2, rel_tol=1e-6)
        np.testing.assert_allclose(stats[1], 100 * float(x[0, 0]) ** 2, rtol=1e-6)
