"""Optimiser updates against PyTorch's parameters after every step, segments, statistics, and walks over gradients."""

import inspect
from functools import partial

import numpy as np
import pytest

import pynn
from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

#: By the name under which PyTorch's values are stored: op, number of state buffers, learning rate, decay, options.
OPTIMIZERS = {
    "sgd": (ops.sgd, 0, 0.1, 0.0, {}),
    "sgd_decay": (ops.sgd, 0, 0.1, 0.05, {}),
    "sgd_momentum": (ops.sgd, 1, 0.05, 0.01, {"momentum": 0.9}),
    "sgd_nesterov": (ops.sgd, 1, 0.05, 0.01, {"momentum": 0.8, "nesterov": True}),
    "adagrad": (ops.adagrad, 1, 0.2, 0.03, {"eps": 1e-10}),
    "rmsprop": (ops.rmsprop, 1, 0.02, 0.03, {"alpha": 0.9, "eps": 1e-8}),
    "rmsprop_momentum": (ops.rmsprop, 2, 0.02, 0.0, {"alpha": 0.95, "eps": 1e-6, "momentum": 0.7}),
    "adam": (ops.adam, 2, 0.01, 0.0, {}),
    "adam_decay": (ops.adam, 2, 0.02, 0.1, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4}),
    "adamw": (ops.adam, 2, 0.02, 0.1, {"beta2": 0.99, "decoupled": True}),
}


class Optimizer:
    """One of the updates with its state, over given segments."""

    def __init__(self, name, size, dtype, bounds=None, rates=None):
        self.op, states, lr, decay, self.options = OPTIMIZERS[name]
        self.state = [np.zeros(size, dtype) for _ in range(states)]
        if self.op in (ops.sgd, ops.rmsprop) and "momentum" not in self.options:
            self.state.append(None)
        self.bounds = np.array([[0, size]] if bounds is None else bounds)
        self.rates = np.array([[lr, decay]] if rates is None else rates)
        self.steps = 0

    def step(self, param, grad, **options):
        self.steps += 1
        counted = {"step": self.steps} if self.op is ops.adam else {}
        self.op(param, grad, *self.state, self.bounds, self.rates, **self.options, **counted, **options)


@pytest.fixture(params=OPTIMIZERS, scope="module")
def name(request):
    return request.param


@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_every_step_agrees_with_torch(name, dtype, torch_vectors, factor):
    stored = torch_vectors("optim")
    param = stored["start"].astype(dtype)
    optimizer = Optimizer(name, param.size, dtype)
    for step, grad in enumerate(stored["gradients"], start=1):
        given_in = (grad / factor).astype(dtype)
        optimizer.step(param, given_in, grad_scale=factor)
        tolerance = 1e-12 if dtype == np.float64 else 2e-5
        np.testing.assert_allclose(param, stored[f"{name}.step{step}"], rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(given_in, (grad / factor).astype(dtype))


def test_size_does_not_matter(name, dtype, rng):
    eps = np.finfo(dtype).eps
    for size in (0, 1, 7, 16, 33, 1000):
        whole, grad = rng.normal(size=(2, size)).astype(dtype)
        single = whole.copy()
        Optimizer(name, size, dtype).step(whole, grad)
        for i in range(size):
            Optimizer(name, 1, dtype).step(single[i : i + 1], grad[i : i + 1])
        np.testing.assert_allclose(whole, single, rtol=4 * eps, atol=4 * eps, err_msg=f"{size} parameters")


def test_segments_have_their_own_rates_and_gaps_stay_as_they_are(name, dtype, rng):
    bounds, rates = [[3, 20], [20, 20], [24, 61], [64, 90]], [[0.1, 0.0], [9.0, 9.0], [0.01, 0.2], [0.0, 0.0]]
    param, first, second = rng.normal(size=(3, 96)).astype(dtype)
    segments = [slice(3, 20), slice(24, 61), slice(64, 90)]
    gap = np.ones(96, bool)
    for segment in segments:
        gap[segment] = False
    optimizer = Optimizer(name, 96, dtype, bounds, rates)
    for buffer in (param, first, second, *optimizer.state):
        if buffer is not None:
            buffer[gap] = np.nan
    before = param.copy()
    optimizer.step(param, first)
    optimizer.step(param, second)
    for segment, rate in zip(segments, [rates[0], rates[2], rates[3]], strict=True):
        alone = before[segment].copy()
        alone_optimizer = Optimizer(name, alone.size, dtype, rates=[rate])
        alone_optimizer.step(alone, first[segment])
        alone_optimizer.step(alone, second[segment])
        np.testing.assert_allclose(param[segment], alone, rtol=1e-6, atol=1e-7)
    assert (param[segments[0]] != before[segments[0]]).all()
    np.testing.assert_array_equal(param[segments[2]], before[segments[2]])
    for buffer in (param, *optimizer.state):
        assert buffer is None or np.isnan(buffer[gap]).all()


def test_statistics_are_norms_and_watching_changes_no_bit(name, dtype, rng):
    bounds, rates = [[0, 40], [48, 48], [48, 131]], [[0.1, 0.05], [0.1, 0.0], [0.02, 0.0]]
    watched, grad = rng.normal(size=(2, 131)).astype(dtype)
    unwatched = watched.copy()
    one, other = (Optimizer(name, 131, dtype, bounds, rates) for _ in range(2))
    stats = np.full((3, 3), np.nan)
    for _ in range(3):
        before = watched.astype(np.float64)
        one.step(watched, grad, grad_scale=0.5, stats=stats)
        other.step(unwatched, grad, grad_scale=0.5)
        np.testing.assert_array_equal(watched, unwatched)
        for row, (start, stop) in zip(stats, bounds, strict=True):
            here = slice(start, stop)
            update = watched[here].astype(np.float64) - before[here]
            squares = [np.square(a).sum() for a in (before[here], 0.5 * grad[here].astype(np.float64), update)]
            np.testing.assert_allclose(row, squares, rtol=1e-4 if dtype == np.float32 else 1e-10)
    for mine, theirs in zip(one.state, other.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_neither_updates_nor_statistics_depend_on_the_number_of_threads(name, dtype, rng):
    bounds, rates = [[0, 70_001], [70_016, 70_027], [70_032, 300_000]], [[0.1, 0.05], [0.1, 0.0], [0.02, 0.0]]
    start, grad = rng.normal(size=(2, 300_000)).astype(dtype)
    before, found = pynn.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            pynn.set_num_threads(threads)
            param, stats = start.copy(), np.full((3, 3), np.nan)
            optimizer = Optimizer(name, param.size, dtype, bounds, rates)
            optimizer.step(param, grad, grad_scale=0.5, stats=stats)
            found.append((param, stats, *optimizer.state))
    finally:
        pynn.set_num_threads(before)
    for other in found[1:]:
        for expected, array in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_statistics_neither_overflow_in_float32_nor_vanish(dtype, rng, scale):
    param, grad = (scale * rng.normal(size=(2, 1500))).astype(dtype)
    before, stats = param.astype(np.float64), np.full((1, 3), np.nan)
    Optimizer("sgd", 1500, dtype, rates=[[0.5, 0.0]]).step(param, grad, stats=stats)
    expected = [np.square(a, dtype=np.float64).sum() for a in (before, grad, 0.5 * grad)]
    np.testing.assert_allclose(stats[0], expected, rtol=1e-5 if dtype == np.float32 else 1e-10)


def test_steps_of_adam_are_accurate_for_second_moments_of_any_size(dtype):
    """Kernels may approximate the root; it is exact for 0, infinite and NaN, and so is what it divides."""
    numbers = np.finfo(dtype)
    ordinary = np.geomspace(numbers.tiny * 2, numbers.max / 2, 2001, dtype=np.float64)
    second = np.concatenate([ordinary, [0, np.inf, np.nan, numbers.tiny / 8, numbers.max]]).astype(dtype)
    param, first, grad = np.zeros_like(second), np.ones_like(second), np.zeros_like(second)
    ops.adam(param, grad, first, second, np.array([[0, second.size]]), np.array([[0.1, 0.0]]), step=3, eps=1e-6)
    with np.errstate(over="ignore"):
        root = np.sqrt(second.astype(np.longdouble) / (1 - 0.999**3))
    expected = -0.1 * first.astype(np.longdouble) / (1 - 0.9**3) / (root + 1e-6)
    np.testing.assert_allclose(param, expected.astype(dtype), rtol=6 * numbers.eps, atol=numbers.tiny)


def test_nan_gradient_reaches_the_parameter(name, dtype):
    param, grad = np.ones((2, 40), dtype)
    grad[17] = np.nan
    Optimizer(name, 40, dtype).step(param, grad)
    np.testing.assert_array_equal(np.isnan(param), np.arange(40) == 17)


@pytest.mark.parametrize(
    "bounds", [[[0, 5], [4, 8]], [[5, 3]], [[0, 11]], [[-1, 4]]], ids=["overlap", "backwards", "too far", "negative"]
)
def test_bounds_must_ascend_within_the_buffer(name, bounds):
    param = np.ones(10)
    with pytest.raises(ValueError, match="ascending and within the buffer of 10"):
        Optimizer(name, 10, np.float64, bounds, [[0.1, 0.0]] * len(bounds)).step(param, param.copy())


def test_velocity_and_momentum_belong_together():
    param, grad, bounds, rates = np.ones(3), np.ones(3), np.array([[0, 3]]), np.array([[0.1, 0.0]])
    with pytest.raises(ValueError, match="velocity"):
        ops.sgd(param, grad, None, bounds, rates, momentum=0.9)
    with pytest.raises(ValueError, match="velocity"):
        ops.sgd(param, grad, np.zeros(3), bounds, rates)
    with pytest.raises(ValueError, match="velocity"):
        ops.rmsprop(param, grad, np.zeros(3), np.zeros(3), bounds, rates)
    with pytest.raises(ValueError, match="step is 0"):
        ops.adam(param, grad, np.zeros(3), np.zeros(3), bounds, rates, step=0)


def test_a_setting_that_is_text_raises_and_changes_nothing(name):
    param, op = np.ones(4, np.float32), OPTIMIZERS[name][0]
    settings = {"grad_scale", "eps", "alpha", "beta1", "beta2", "momentum", "nesterov", "decoupled"}
    tried = settings & set(inspect.signature(op).parameters)
    assert "grad_scale" in tried
    for setting in sorted(tried):
        optimizer = Optimizer(name, 4, np.float32)
        optimizer.options = {**optimizer.options, setting: "no"}
        with pytest.raises((TypeError, ValueError), match=f"^{setting} is 'no'; expected"):
            optimizer.step(param, param.copy())
    assert (param == 1).all()


@pytest.mark.parametrize("setting", ["l1", "l2"])
def test_a_penalty_that_is_no_float_raises(setting):
    for wrong in ("no", 10**400):
        with pytest.raises(ValueError, match=f"^{setting} is {wrong!r}; expected a number"):
            ops.add_penalty(np.ones(4), np.zeros(4), np.array([[0, 4]]), **{setting: wrong})


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"param": np.ones((3, 1))}, "flat buffer"),
        ({"grad": np.ones(4)}, r"grad has shape \(4,\); expected \(3,\)"),
        ({"grad": np.ones(6)[::2]}, "C-contiguous"),
        ({"grad": np.ones(3, np.float32)}, "grad has dtype float32; expected float64"),
        ({"bounds": np.array([[0, 3]], np.int32)}, "bounds has dtype int32"),
        ({"rates": np.array([[0.1, 0.0]] * 2)}, r"rates has shape \(2, 2\); expected \(1, 2\)"),
        ({"stats": np.zeros((2, 3))}, r"stats has shape \(2, 3\); expected \(1, 3\)"),
        ({"param": np.ones(3, int)}, "float32 or float64"),
    ],
)
def test_wrong_buffers_raise(changed, error):
    arguments = {
        "param": np.ones(3),
        "grad": np.ones(3),
        "velocity": None,
        "bounds": np.array([[0, 3]]),
        "rates": np.array([[0.1, 0.0]]),
    }
    with pytest.raises((TypeError, ValueError), match=error):
        ops.sgd(**arguments | changed)


def test_gradient_must_not_overlap_the_parameters():
    param = np.ones(6)
    with pytest.raises(ValueError, match="grad overlaps"):
        ops.sgd(param[:4], param[2:], None, np.array([[0, 4]]), np.array([[0.1, 0.0]]))


@pytest.mark.parametrize("size", [0, 1, 5, 64, 100_003])
def test_gradient_norm(dtype, size, rng):
    grad = rng.normal(size=size).astype(dtype)
    want = np.linalg.norm(grad.astype(np.float64))
    assert ops.gradient_norm(grad) == pytest.approx(want, rel=1e-6 if dtype == np.float32 else 1e-13)


def test_gradient_norm_neither_overflows_in_float32_nor_hides_nan():
    grad = np.array([3e30, 4e30], np.float32)
    assert ops.gradient_norm(grad) == pytest.approx(5e30)
    grad[0] = np.nan
    assert np.isnan(ops.gradient_norm(grad))


@pytest.mark.parametrize("size", [0, 1, 37])
def test_clip_values(dtype, size, rng):
    grad = (3 * rng.normal(size=size)).astype(dtype)
    want = np.clip(grad, dtype.type(-1.5), dtype.type(1.5))
    ops.clip_values(grad, 1.5)
    np.testing.assert_array_equal(grad, want)


def test_clip_values_keeps_nan_and_clips_infinity(dtype):
    grad = np.array([np.nan, np.inf, -np.inf, 0.5], dtype)
    ops.clip_values(grad, 2.0)
    np.testing.assert_array_equal(grad, np.array([np.nan, 2, -2, 0.5], dtype))


def test_add_penalty(dtype, tolerance, rng):
    param, grad = rng.normal(size=(2, 50)).astype(dtype)
    param[[3, 30]] = 0
    before, bounds = grad.copy(), np.array([[0, 7], [10, 41]])
    penalty = ops.add_penalty(param, grad, bounds, l1=0.3, l2=0.7)
    inside = np.r_[0:7, 10:41]
    w = param[inside].astype(np.float64)
    assert penalty == pytest.approx((0.3 * np.abs(w) + 0.35 * w**2).sum(), rel=tolerance["rtol"])
    want = before.astype(np.float64)
    want[inside] += 0.3 * np.sign(w) + 0.7 * w
    np.testing.assert_allclose(grad, want, **tolerance)
    outside = np.setdiff1d(np.arange(50), inside)
    np.testing.assert_array_equal(grad[outside], before[outside])


@pytest.mark.parametrize("shape", [(1, 1), (0, 3), (3, 0), (7, 5), (65, 130)], ids=str)
def test_clip_column_norms(dtype, tolerance, shape, rng):
    weight = (rng.normal(size=shape) * rng.uniform(0.01, 2, size=shape[1])).astype(dtype)
    before = weight.astype(np.float64)
    norms = np.linalg.norm(before, axis=0)
    ops.clip_column_norms(weight, 1.5)
    np.testing.assert_allclose(weight, before * np.minimum(1, 1.5 / np.maximum(norms, 1e-30)), **tolerance)
    np.testing.assert_array_equal(weight[:, norms < 1.5], before[:, norms < 1.5])


@pytest.mark.parametrize("limit", [0.0, -1.0, np.nan])
@pytest.mark.parametrize(
    "clip", [partial(ops.clip_values, np.ones(4)), partial(ops.clip_column_norms, np.ones((2, 2)))]
)
def test_limits_must_be_positive(clip, limit):
    with pytest.raises(ValueError, match=r"limit is .* expected a positive number"):
        clip(limit)


def test_clip_column_norms_writes_only_to_what_kernels_can_write():
    with pytest.raises(ValueError, match="C-contiguous"):
        ops.clip_column_norms(np.asfortranarray(np.ones((3, 2))), 1.0)
    with pytest.raises(ValueError, match=r"weight has shape \(3,\); expected \(fan_in, units\)"):
        ops.clip_column_norms(np.ones(3), 1.0)
