"""Batch norm against its formula in float64, PyTorch's values and finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

ACTIVATIONS = [*ops.ACTIVATIONS, ("leaky_relu", 0.3), ("elu", 0.5)]
SHAPES = [(2, 1), (2, 0), (3, 5), (17, 67), (64, 256), (1025, 33)]


def oracle(x, gamma, beta, eps):
    x = x.astype(np.float64)
    rstd = 1 / np.sqrt(x.var(axis=0) + eps)
    return (x - x.mean(axis=0)) * rstd * gamma + beta, x.mean(axis=0), rstd


def arguments(rng, dtype, shape):
    x = rng.normal(size=shape) * rng.uniform(0.5, 3, size=shape[1]) + rng.normal(size=shape[1])
    gamma, beta = rng.uniform(0.5, 2, size=shape[1]), rng.normal(size=shape[1])
    return x.astype(dtype), gamma.astype(dtype), beta.astype(dtype)


def running(dtype, features):
    return np.zeros(features, dtype), np.ones(features, dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training_forward(dtype, tolerance, shape, rng):
    x, gamma, beta = arguments(rng, dtype, shape)
    running_mean, running_var = running(dtype, shape[1])
    y, mean, rstd = ops.batch_norm(x, gamma, beta, running_mean, running_var, momentum=0.2, eps=1e-3)
    want, want_mean, want_rstd = oracle(x, gamma, beta, 1e-3)
    np.testing.assert_allclose(y, want, **tolerance)
    np.testing.assert_allclose(mean, want_mean, **tolerance)
    np.testing.assert_allclose(rstd, want_rstd, **tolerance)
    np.testing.assert_allclose(running_mean, 0.2 * want_mean, **tolerance)
    np.testing.assert_allclose(running_var, 0.8 + 0.2 * x.var(axis=0, ddof=1, dtype=np.float64), **tolerance)
    assert {array.dtype for array in (y, mean, rstd)} == {dtype}


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_inference_uses_the_running_statistics_and_leaves_them_alone(dtype, tolerance, rows, rng):
    x, gamma, beta = arguments(rng, dtype, (rows, 6))
    running_mean, running_var = rng.normal(size=6).astype(dtype), rng.uniform(0.5, 2, size=6).astype(dtype)
    before = running_mean.copy(), running_var.copy()
    y, mean, rstd = ops.batch_norm(x, gamma, beta, running_mean, running_var, training=False)
    want_rstd = 1 / np.sqrt(running_var.astype(np.float64) + 1e-5)
    np.testing.assert_allclose(y, (x - running_mean.astype(np.float64)) * want_rstd * gamma + beta, **tolerance)
    np.testing.assert_array_equal(mean, running_mean)
    np.testing.assert_allclose(rstd, want_rstd, **tolerance)
    np.testing.assert_array_equal((running_mean, running_var), before)


def test_variance_survives_a_large_mean(dtype, rng):
    x = (1e4 + rng.normal(size=(257, 19))).astype(dtype)
    ones, zeros = np.ones(19, dtype), np.zeros(19, dtype)
    y, _, rstd = ops.batch_norm(x, ones, zeros, *running(dtype, 19))
    want, _, want_rstd = oracle(x, ones, zeros, 1e-5)
    # A mean rounded to x's dtype is off by up to eps/2 of 1e4, which shifts y; it must not spoil the variance.
    np.testing.assert_allclose(rstd, want_rstd, rtol=1e-5 if dtype == np.float32 else 1e-10)
    np.testing.assert_allclose(y, want, atol=2e4 * np.finfo(dtype).eps)


def test_constant_columns_give_beta(dtype):
    x = np.full((7, 3), 4.25, dtype)
    beta = np.array([0.5, -1, 2], dtype)
    y, mean, rstd = ops.batch_norm(x, np.ones(3, dtype), beta, *running(dtype, 3), eps=1e-5)
    np.testing.assert_array_equal(y, np.tile(beta, (7, 1)))
    np.testing.assert_array_equal(mean, np.full(3, 4.25))
    np.testing.assert_allclose(rstd, 1e5**0.5, rtol=1e-6)


def test_nan_stays_in_its_column(dtype, rng):
    x, gamma, beta = arguments(rng, dtype, (9, 70))
    x[4, 66] = np.nan
    y, *_ = ops.batch_norm(x, gamma, beta, *running(dtype, 70), activation="relu")
    np.testing.assert_array_equal(np.isnan(y).all(axis=0), np.arange(70) == 66)
    np.testing.assert_array_equal(np.isnan(y).any(axis=0), np.arange(70) == 66)


def test_three_batches_agree_with_torch(torch_vectors):
    stored = torch_vectors("batchnorm")
    gamma, beta = stored["gamma"], stored["beta"]
    running_mean, running_var = running(np.float64, 6)
    for batch, training in enumerate((True, True, False)):
        x, dy = stored["x"][batch], stored["dy"][batch]
        y, mean, rstd = ops.batch_norm(
            x, gamma, beta, running_mean, running_var, momentum=0.2, eps=1e-4, training=training
        )
        dx, dgamma, dbeta = ops.batch_norm_backward(dy, x, gamma, beta, mean, rstd, training=training)
        got = {"y": y, "mean": running_mean, "var": running_var, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}
        for name, value in got.items():
            np.testing.assert_allclose(value, stored[f"{batch}.{name}"], rtol=1e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_fused_activation_equals_the_composition(dtype, tolerance, activation, training, rng):
    x, gamma, beta = arguments(rng, dtype, (21, 70))
    dy = rng.normal(size=x.shape).astype(dtype)
    name, *parameter = [activation] if isinstance(activation, str) else activation
    parameter = ["tanh"] if name == "gelu_tanh" else parameter
    base = name.removesuffix("_tanh")
    forward, backward = getattr(ops, base), getattr(ops, f"{base}_backward")

    z, mean, rstd = ops.batch_norm(x, gamma, beta, *running(dtype, 70), training=training)
    y, *_ = ops.batch_norm(x, gamma, beta, *running(dtype, 70), training=training, activation=activation)
    np.testing.assert_allclose(y, forward(z, *parameter), **tolerance)

    dz = backward(dy, z if ops.ACTIVATIONS[name].needs_input else forward(z, *parameter), *parameter)
    options = {"training": training}
    want = ops.batch_norm_backward(dz, x, gamma, beta, mean, rstd, **options)
    got = ops.batch_norm_backward(dy, x, gamma, beta, mean, rstd, activation=activation, **options)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=10 * tolerance["rtol"], atol=10 * tolerance["atol"])


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_backward_is_the_finite_difference_of_forward(activation, training, numeric_gradient, rng):
    x, gamma, beta = arguments(rng, np.float64, (6, 3))
    weights = rng.normal(size=x.shape)

    def forward(x, gamma, beta):
        return ops.batch_norm(
            x, gamma, beta, np.full(3, 0.3), np.full(3, 1.7), training=training, activation=activation
        )

    _, mean, rstd = forward(x, gamma, beta)
    got = ops.batch_norm_backward(weights, x, gamma, beta, mean, rstd, activation=activation, training=training)
    for at, gradient in enumerate(got):
        given_to = [x, gamma, beta]

        def loss(value, at=at, given_to=given_to):
            return (weights * forward(*given_to[:at], value, *given_to[at + 1 :])[0]).sum()

        numeric = numeric_gradient(loss, given_to[at])
        assert np.linalg.norm(gradient - numeric) < 1e-7 * np.linalg.norm(numeric)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backward_at_every_shape(dtype, tolerance, shape, rng):
    x, gamma, beta = arguments(rng, dtype, shape)
    dy = rng.normal(size=shape).astype(dtype)
    _, mean, rstd = ops.batch_norm(x, gamma, beta, *running(dtype, shape[1]))
    dx, dgamma, dbeta = ops.batch_norm_backward(dy, x, gamma, beta, mean, rstd)
    z = (x.astype(np.float64) - mean) * rstd
    centred = dy - dy.mean(axis=0, dtype=np.float64) - z * (dy * z).mean(axis=0)
    slack = {"rtol": 10 * tolerance["rtol"], "atol": shape[0] ** 0.5 * tolerance["atol"]}
    np.testing.assert_allclose(dx, gamma * rstd * centred, **slack)
    np.testing.assert_allclose(dgamma, (dy * z).sum(axis=0), **slack)
    np.testing.assert_allclose(dbeta, dy.sum(axis=0, dtype=np.float64), **slack)


def test_outputs_handed_in_are_returned_filled(dtype, rng):
    x, gamma, beta = arguments(rng, dtype, (8, 5))
    want = ops.batch_norm(x, gamma, beta, *running(dtype, 5))
    into = [np.full_like(array, np.nan) for array in want]
    got = ops.batch_norm(x, gamma, beta, *running(dtype, 5), out=into[0], mean_out=into[1], rstd_out=into[2])
    want_gradients = ops.batch_norm_backward(x, x, gamma, beta, *want[1:])
    into_gradients = [np.full_like(array, np.nan) for array in want_gradients]
    dx, dgamma, dbeta = into_gradients
    got_gradients = ops.batch_norm_backward(x, x, gamma, beta, *want[1:], dx=dx, dgamma=dgamma, dbeta=dbeta)
    for returned, given_in, wanted in zip(
        (*got, *got_gradients), (*into, *into_gradients), (*want, *want_gradients), strict=True
    ):
        assert returned is given_in
        np.testing.assert_array_equal(returned, wanted)


def test_backward_can_leave_dx_out(dtype, rng):
    x, gamma, beta = arguments(rng, dtype, (8, 5))
    _, mean, rstd = ops.batch_norm(x, gamma, beta, *running(dtype, 5))
    _, dgamma, dbeta = ops.batch_norm_backward(x, x, gamma, beta, mean, rstd)
    dx, *got = ops.batch_norm_backward(x, x, gamma, beta, mean, rstd, need_dx=False)
    assert dx is None
    np.testing.assert_array_equal(got, (dgamma, dbeta))


@given(rows=st.integers(2, 80), features=st.integers(0, 80), seed=st.integers(0, 2**32 - 1))
def test_batches_of_any_size(dtype, tolerance, rows, features, seed):
    x, gamma, beta = arguments(np.random.default_rng(seed), dtype, (rows, features))
    y, *_ = ops.batch_norm(x, gamma, beta, *running(dtype, features), eps=0.1)
    np.testing.assert_allclose(y, oracle(x, gamma, beta, 0.1)[0], **tolerance)


@pytest.mark.parametrize("rows", [0, 1])
def test_training_needs_two_rows(rows):
    x, ones = np.ones((rows, 3)), np.ones(3)
    with pytest.raises(ValueError, match=rf"at least 2 rows .* \({rows}, 3\)"):
        ops.batch_norm(x, ones, ones, ones.copy(), ones.copy())
    with pytest.raises(ValueError, match=rf"at least 2 rows .* \({rows}, 3\)"):
        ops.batch_norm_backward(x, x, ones, ones, ones, ones)


@pytest.mark.parametrize("eps", [0.0, -1e-5, np.nan])
def test_eps_must_be_positive(eps):
    ones = np.ones(3)
    with pytest.raises(ValueError, match="eps is"):
        ops.batch_norm(np.ones((4, 3)), ones, ones, ones.copy(), ones.copy(), eps=eps)
