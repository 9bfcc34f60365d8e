"""Elementwise activations against SciPy in float64: accuracy, extreme values, gradients, output arrays, statistics."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from activation_formulas import FORWARD, SELU_ALPHA, SELU_SCALE, SLOPES
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pynn.kernels.codes import ActivationCode
from scipy import special

import pynn
from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")


class Case(NamedTuple):
    """An activation as the ops have it, and its derivative in float64."""

    name: str
    forward: object
    backward: object
    slope: object  # the derivative, of the input; at NaN what the kernels' specification has there
    parameter: float = 0.0
    needs_input: bool = False  # the backward op reads the input, not the output
    conditioned: bool = False  # the exponent is itself rounded, so the error may grow as the input's error does

    def oracle(self, x):
        return FORWARD[self.name](x, self.parameter)


def of_input(name, forward, backward, conditioned=False):
    """Return the case of an activation whose derivative is computed from the input."""
    return Case(name, forward, backward, lambda x: SLOPES[name](x, 0.0), needs_input=True, conditioned=conditioned)


ALL = (
    Case("relu", ops.relu, ops.relu_backward, lambda x: np.where(x <= 0, 0, 1)),
    Case(
        "leaky_relu",
        partial(ops.leaky_relu, negative_slope=0.2),
        partial(ops.leaky_relu_backward, negative_slope=0.2),
        lambda x: np.where(x < 0, 0.2, 1),
        0.2,
    ),
    Case(
        "elu",
        partial(ops.elu, alpha=0.7),
        partial(ops.elu_backward, alpha=0.7),
        lambda x: np.where(x < 0, 0.7 * np.exp(x), 1),
        0.7,
    ),
    Case("selu", ops.selu, ops.selu_backward, lambda x: SELU_SCALE * np.where(x < 0, SELU_ALPHA * np.exp(x), 1)),
    Case("sigmoid", ops.sigmoid, ops.sigmoid_backward, lambda x: special.expit(x) * special.expit(-x)),
    Case("tanh", ops.tanh, ops.tanh_backward, lambda x: 4 * special.expit(2 * x) * special.expit(-2 * x)),
    Case(
        "softplus",
        partial(ops.softplus, beta=3.0),
        partial(ops.softplus_backward, beta=3.0),
        lambda x: special.expit(3 * x),
        3.0,
        conditioned=True,
    ),
    of_input("gelu", ops.gelu, ops.gelu_backward, conditioned=True),
    of_input(
        "gelu_tanh",
        partial(ops.gelu, approximate="tanh"),
        partial(ops.gelu_backward, approximate="tanh"),
        conditioned=True,
    ),
    of_input("silu", ops.silu, ops.silu_backward),
    of_input("mish", ops.mish, ops.mish_backward),
    Case("logsigmoid", ops.logsigmoid, ops.logsigmoid_backward, lambda x: special.expit(-x), conditioned=True),
    Case(
        "celu",
        partial(ops.celu, alpha=0.7),
        partial(ops.celu_backward, alpha=0.7),
        lambda x: np.where(x < 0, np.exp(x / 0.7), 1),
        0.7,
        conditioned=True,
    ),
    Case("relu6", ops.relu6, ops.relu6_backward, lambda x: np.where((x <= 0) | (x >= 6), 0, 1)),
    Case(
        "hardsigmoid",
        ops.hardsigmoid,
        ops.hardsigmoid_backward,
        lambda x: np.where((x <= -3) | (x >= 3), 0, 1 / 6),
    ),
    of_input("hardswish", ops.hardswish, ops.hardswish_backward),
    Case("softsign", ops.softsign, ops.softsign_backward, lambda x: (1 - np.abs(x / (1 + np.abs(x)))) ** 2),
)
CASES = {each.name: each for each in ALL}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    return CASES[request.param]


def in_float64(f, x):
    with np.errstate(all="ignore"):
        return f(x.astype(np.float64))


def dense_inputs(dtype):
    near = np.linspace(-30, 30, 6001)
    wide = np.logspace(-20, 2, 1001)
    return np.concatenate([near, wide, -wide]).astype(dtype)


#: Without an exponential: they keep denormals.
EXACT = ("relu", "leaky_relu", "relu6", "hardsigmoid", "hardswish", "softsign")


def condition(case, x):
    """Return what an error of 8 ULP in the input does to the result, for activations that round their exponent."""
    return 8 * np.finfo(x.dtype).eps * np.abs(x * in_float64(case.slope, x)) if case.conditioned else 0


def assert_within_ulps(got, want, ulps, extra=0.0):
    """Compare with a float64 result, in ULP of the result's dtype; what is all but denormal is free."""
    info = np.finfo(got.dtype)
    allowed = ulps * np.spacing(np.abs(want).astype(got.dtype)) + 100 * info.smallest_normal + extra
    error = np.abs(got - want)
    worst = np.argmax(error / allowed)
    assert (error <= allowed).all(), f"got {got.flat[worst]!r}, expected {want.flat[worst]!r}"


def test_every_activation_has_a_case():
    assert set(CASES) == set(ops.ACTIVATIONS)
    assert {name for name, case in CASES.items() if case.needs_input} == {
        name for name, known in ops.ACTIVATIONS.items() if known.needs_input
    }


def test_forward_is_accurate_to_8_ulp(case, dtype):
    x = dense_inputs(dtype)
    want = in_float64(case.oracle, x)
    assert_within_ulps(case.forward(x), want, 8, condition(case, x))


def test_backward_is_dy_times_the_derivative(case, dtype, rng):
    x = dense_inputs(dtype)
    dy = rng.normal(size=x.shape).astype(dtype)
    saved = x if case.needs_input else case.forward(x)
    want = dy * in_float64(case.slope, x)
    error = np.abs(case.backward(dy, saved) - want)
    assert (error <= 32 * np.finfo(dtype).eps * (1 + np.abs(dy))).all()


def test_backward_is_the_finite_difference_of_forward(case, numeric_gradient):
    x = np.linspace(-4, 4, 40)
    dy = np.cos(x)
    numeric = numeric_gradient(lambda at: (dy * case.forward(at)).sum(), x)
    np.testing.assert_allclose(
        case.backward(dy, x if case.needs_input else case.forward(x)), numeric, rtol=1e-7, atol=1e-9
    )


def test_extreme_inputs(case, dtype):
    info = np.finfo(dtype)
    x = np.array(
        [np.nan, np.inf, -np.inf, 0, -0.0, 89, -89, 104, -104, 700, -700, 1e4, -1e4, info.max, info.min], dtype
    )
    got = case.forward(x)
    want = in_float64(lambda at: case.oracle(at).astype(dtype), x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_allclose(got, want, rtol=16 * info.eps, atol=info.smallest_normal)


def test_extreme_inputs_backward(case, dtype):
    info = np.finfo(dtype)
    x = np.array([np.nan, np.inf, -np.inf, 0, 89, -89, 104, -104, 700, -700, 1e4, -1e4, 1e25, -1e25], dtype)
    got = case.backward(np.ones_like(x), x if case.needs_input else case.forward(x))
    want = in_float64(lambda at: case.slope(at).astype(dtype), x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_allclose(got, want, rtol=16 * info.eps, atol=2 * info.eps)


def test_nan_gradient_passes_through(case):
    dy = np.full(3, np.nan)
    got = case.backward(dy, np.array([0.5, 0.25, 0.75]))
    assert np.isnan(got).all()


def test_denormals_are_kept_or_count_as_zero(case, dtype):
    """Compiled kernels of what takes exponentials count them as 0, which is as fast as other numbers."""
    info = np.finfo(dtype)
    x = info.smallest_subnormal * np.array([1, 2, 3, 1000, -1, -2, -1000, 4097], dtype)
    allowed = 2 * info.smallest_subnormal
    if pynn.get_backend() == "cython" and case not in [CASES[name] for name in EXACT]:
        allowed = info.smallest_normal
    want = in_float64(case.oracle, x)
    assert (np.abs(case.forward(x) - want) <= allowed + 8 * info.eps * np.abs(want)).all()
    assert x[0] * dtype.type(2) != 0, "denormals still count as 0 after the call"


def test_every_shape(case, dtype, rng):
    for shape in ((), (0,), (1,), (7,), (0, 3), (3, 0), (17, 5), (2, 3, 4), (33, 31), (70_001,)):
        x = rng.normal(size=shape).astype(dtype)
        y = case.forward(x)
        assert y.shape == shape and y.dtype == dtype
        np.testing.assert_allclose(y, in_float64(case.oracle, x), rtol=32 * np.finfo(dtype).eps, err_msg=f"{shape}")
        dx = case.backward(x, y)
        assert dx.shape == shape and dx.dtype == dtype


def test_out_is_filled_and_returned_and_may_be_the_input(case, dtype, rng):
    x = rng.normal(size=(23, 19)).astype(dtype)  # more than a block, and no multiple of a vector
    y = case.forward(x)
    out = np.full_like(x, np.nan)
    assert case.forward(x, out=out) is out
    np.testing.assert_array_equal(out, y)
    in_place = x.copy()
    assert case.forward(in_place, out=in_place) is in_place
    np.testing.assert_array_equal(in_place, y)


def test_backward_out_may_be_either_input(case, dtype, rng):
    saved, dy = rng.uniform(0.1, 0.9, size=(2, 23, 19)).astype(dtype)
    dx = case.backward(dy, saved)
    for at in (0, 1):
        arguments = [dy.copy(), saved.copy()]
        assert case.backward(*arguments, out=arguments[at]) is arguments[at]
        np.testing.assert_array_equal(arguments[at], dx)
    np.testing.assert_array_equal(arguments[0], dy)


def test_bits_do_not_depend_on_an_elements_place(case, dtype, rng):
    """A compiler has other code for the last elements of a span, which fill no vector, than for the first."""
    x, dy = (3 * rng.normal(size=(2, 331))).astype(dtype)
    saved = x if case.needs_input else case.forward(x)
    for length in (1, 3, 13):
        parts = [slice(start, start + length) for start in range(0, len(x), length)]
        np.testing.assert_array_equal(np.concatenate([case.forward(x[p]) for p in parts]), case.forward(x))
        dx = np.concatenate([case.backward(dy[p], saved[p]) for p in parts])
        np.testing.assert_array_equal(dx, case.backward(dy, saved))


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu"])
def test_zero_keeps_its_sign(name, dtype):
    zeros = np.array([0.0, -0.0] * 17, dtype)
    np.testing.assert_array_equal(np.signbit(getattr(ops, name)(zeros)), np.signbit(zeros))


@pytest.mark.parametrize("shape", [(30, 7), (5, 7, 6)], ids=["features", "channels"])
def test_statistics_of_the_output(case, shape, dtype, rng):
    y = case.forward((4 * rng.normal(size=shape)).astype(dtype))
    code = {ops.tanh: ActivationCode.TANH, ops.sigmoid: ActivationCode.SIGMOID}.get(case.forward, 0)
    stats = np.zeros((4, 7))
    ops.unit_stats(y, stats, code=code)
    rows = np.moveaxis(y, 1, -1).reshape(-1, 7).astype(np.float64)
    limit = {ops.tanh: np.abs(rows) > 0.98, ops.sigmoid: np.abs(2 * rows - 1) > 0.98}
    saturated = limit.get(case.forward, np.zeros_like(rows))
    want = np.stack([rows.sum(axis=0), np.square(rows).sum(axis=0), (rows > 0).sum(axis=0), saturated.sum(axis=0)])
    np.testing.assert_allclose(stats, want, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(stats[2:], want[2:])
    ops.unit_stats(y, stats, code=code)
    np.testing.assert_allclose(stats, 2 * want, rtol=1e-6, atol=1e-6)


@given(
    x=hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=0, max_side=40),
        elements=st.floats(-50, 50, width=32),
    )
)
def test_any_array(case, x):
    y = case.forward(x)
    want = in_float64(case.oracle, x)
    assert y.shape == x.shape and y.dtype == x.dtype
    assert_within_ulps(y, want, 8, condition(case, x))


@pytest.mark.parametrize(
    "call",
    [
        partial(ops.leaky_relu, negative_slope=0.0),
        partial(ops.leaky_relu, negative_slope=-1.0),
        partial(ops.elu, alpha=np.inf),
        partial(ops.softplus, beta=np.nan),
        partial(ops.celu, alpha=0.0),
        partial(ops.hardtanh, min_val=1.0, max_val=1.0),
        partial(ops.hardtanh, max_val=np.nan),
        partial(ops.gelu, approximate="erf"),
    ],
)
def test_bad_parameter_raises(call):
    with pytest.raises(ValueError, match="expected"):
        call(np.ones(3))
