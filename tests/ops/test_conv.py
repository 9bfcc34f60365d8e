"""Convolution, pooling and normalisation of images: PyTorch's values, finite differences, any geometry, bad ones."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pynn.kernels.numpy import conv as specification

import pynn
from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture(scope="module")
def vectors(torch_vectors):
    return torch_vectors("conv")


def case(vectors, name, dtype):
    """Return the arguments and the arrays of a stored case."""
    arrays = {key.partition(".")[2]: value for key, value in vectors.items() if key.startswith(f"{name}.")}
    spec = json.loads(str(arrays.pop("spec")))
    return spec, {key: value.astype(dtype) for key, value in arrays.items()}


def close(got, want, dtype):
    scale = max(1, np.abs(want).max())
    np.testing.assert_allclose(got, want, rtol=0, atol=scale * (1e-5 if dtype == np.float32 else 1e-13))


@pytest.mark.parametrize("index", range(5))
def test_conv2d_as_pytorch(index, dtype, vectors):
    options, a = case(vectors, f"conv{index}", dtype)
    close(ops.conv2d(a["x"], a["w"], bias=a["b"], **options), a["y"], dtype)
    for got, want in zip(
        ops.conv2d_backward(a["dy"], a["x"], a["w"], **options), (a["dw"], a["db"], a["dx"]), strict=True
    ):
        close(got, want, dtype)


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("index", range(3))
def test_pooling_as_pytorch(kind, index, dtype, vectors):
    options, a = case(vectors, f"{kind}{index}", dtype)
    kernel, ceil = options.pop("kernel_size"), options.pop("ceil_mode", False)
    if kind == "max":
        y, places = ops.max_pool2d(a["x"], kernel, ceil_mode=ceil, **options)
        dx = ops.max_pool2d_backward(a["dy"], places, a["x"].shape, kernel, **options)
    else:
        y = ops.avg_pool2d(a["x"], kernel, ceil_mode=ceil, **options)
        dx = ops.avg_pool2d_backward(a["dy"], a["x"].shape, kernel, **options)
    close(y, a["y"], dtype)
    close(dx, a["dx"], dtype)


@pytest.mark.parametrize("index", range(2))
def test_adaptive_pooling_as_pytorch(index, dtype, vectors):
    size, a = case(vectors, f"adaptive{index}", dtype)
    close(ops.adaptive_avg_pool2d(a["x"], size), a["y"], dtype)
    close(ops.adaptive_avg_pool2d_backward(a["dy"], a["x"].shape), a["dx"], dtype)


@pytest.mark.parametrize("kind", ["group", "layer"])
@pytest.mark.parametrize("index", range(2))
def test_normalisation_within_examples_as_pytorch(kind, index, dtype, vectors):
    spec, a = case(vectors, f"{kind}{index}", dtype)
    if kind == "group":
        y, *statistics = ops.group_norm(a["x"], spec, a["gamma"], a["beta"])
        gradients = ops.group_norm_backward(a["dy"], a["x"], a["gamma"], *statistics)
    else:
        y, *statistics = ops.layer_norm(a["x"], tuple(spec), a["gamma"], a["beta"])
        gradients = ops.layer_norm_backward(a["dy"], a["x"], tuple(spec), a["gamma"], *statistics)
    close(y, a["y"], dtype)
    for got, want in zip(gradients, (a["dx"], a["dgamma"], a["dbeta"]), strict=True):
        close(got, want, dtype)


def test_batchnorm2d_as_pytorch(dtype, vectors):
    _, a = case(vectors, "batch0", dtype)
    mean, var = np.zeros(4, dtype), np.ones(4, dtype)
    y, *used = ops.batch_norm2d(a["x"], a["gamma"], a["beta"], mean, var)
    close(y, a["y"], dtype)
    close(mean, a["running_mean"], dtype)
    close(var, a["running_var"], dtype)
    gradients = ops.batch_norm2d_backward(a["dy"], a["x"], a["gamma"], a["beta"], *used)
    for got, want in zip(gradients, (a["dx"], a["dgamma"], a["dbeta"]), strict=True):
        close(got, want, dtype)


@st.composite
def geometries(draw):
    """Draw shapes and arguments of a convolution that fits."""
    groups = draw(st.integers(1, 3))
    small = st.integers(1, 3)
    kernel, dilation, stride = (draw(st.tuples(small, small)) for _ in range(3))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    size = draw(st.tuples(st.integers(1, 12), st.integers(1, 35)))
    for axis in (0, 1):
        assume(size[axis] + 2 * padding[axis] >= (kernel[axis] - 1) * dilation[axis] + 1)
    x = draw(st.integers(1, 3)), groups * draw(st.integers(1, 4)), *size
    w = groups * draw(st.integers(1, 14)), x[1] // groups, *kernel
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@st.composite
def three_by_three(draw):
    """Draw shapes and a padding for which the Cython kernels take Winograd's way, or just do not."""
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    size = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    assume(all(length + 2 * before >= 3 for length, before in zip(size, padding, strict=True)))
    groups = draw(st.integers(1, 2))
    channels, filters = draw(st.integers(8, 48)), draw(st.integers(8, 40))
    x, w = (draw(st.integers(1, 5)), groups * channels, *size), (groups * filters, channels, 3, 3)
    return x, w, {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": groups}


@st.composite
def depthwise(draw):
    """Draw shapes and arguments of a convolution with a filter for each channel; large planes are cut into bands."""
    pairs = (st.tuples(st.integers(1, maximum), st.integers(1, maximum)) for maximum in (4, 3, 6))
    kernel, dilation, stride = (draw(pair) for pair in pairs)
    padding = draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))
    size = draw(st.integers(1, 60)), draw(st.integers(1, 70))
    for axis in (0, 1):
        assume(size[axis] + 2 * padding[axis] >= (kernel[axis] - 1) * dilation[axis] + 1)
    channels = draw(st.integers(1, 20))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": channels}
    return (draw(st.integers(1, 3)), channels, *size), (channels, 1, *kernel), options


def assert_as_specified(x, w, dtype, rng, **options):
    """Compare `conv2d` and its gradients with the specification in float64."""
    x, w = rng.normal(size=x).astype(dtype), rng.normal(size=w).astype(dtype)
    y = ops.conv2d(x, w, **options)
    dy = rng.normal(size=y.shape).astype(dtype)
    dw, db, dx = ops.conv2d_backward(dy, x, w, **options)
    exact = [array.astype(np.float64) for array in (x, w, dy)]
    geometry = options["stride"], options["padding"], options["dilation"], options["groups"]
    want = {name: np.empty(array.shape) for name, array in (("y", y), ("dw", dw), ("dx", dx))}
    specification.conv2d(exact[0], exact[1], None, *geometry, 0, 0.0, want["y"], None)
    specification.conv2d_backward_weights(exact[2], exact[0], *geometry, want["dw"])
    specification.conv2d_backward_data(exact[2], exact[1], *geometry, want["dx"])
    for name, got in (("y", y), ("dw", dw), ("dx", dx)):
        close(got, want[name], dtype)
    close(db, exact[2].sum(axis=(0, 2, 3)), dtype)


@given(geometry=geometries(), seed=st.integers(0, 2**32 - 1))
def test_conv2d_of_any_geometry_as_specified(geometry, seed, dtype):
    x, w, options = geometry
    assert_as_specified(x, w, dtype, np.random.default_rng(seed), **options)


@given(geometry=three_by_three(), seed=st.integers(0, 2**32 - 1))
def test_conv2d_with_many_channels_as_specified(geometry, seed, dtype):
    x, w, options = geometry
    assert_as_specified(x, w, dtype, np.random.default_rng(seed), **options)


@given(geometry=depthwise(), seed=st.integers(0, 2**32 - 1))
def test_conv2d_of_each_channel_by_itself_as_specified(geometry, seed, dtype):
    x, w, options = geometry
    assert_as_specified(x, w, dtype, np.random.default_rng(seed), **options)


def test_specification_is_the_sum_in_its_docstring(rng):
    x, w = rng.normal(size=(1, 4, 6, 7)), rng.normal(size=(4, 2, 3, 2))
    y = ops.conv2d(x, w, stride=(2, 1), padding=(1, 2), dilation=(1, 3), groups=2)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    for k, i, j in np.ndindex(y.shape[1:]):
        window = padded[0, k // 2 * 2 : k // 2 * 2 + 2, 2 * i : 2 * i + 3, j : j + 4 : 3]
        assert y[0, k, i, j] == pytest.approx((w[k] * window).sum(), abs=1e-13)


def test_large_enough_for_blocks_in_every_direction(dtype, rng):
    for shape, filters in (((3, 5, 70, 80), 13), ((2, 140, 9, 9), 30), ((33, 8, 4, 4), 40)):
        x, w = rng.normal(size=shape).astype(dtype), rng.normal(size=(filters, shape[1], 3, 3)).astype(dtype)
        y, want = ops.conv2d(x, w, padding=1), np.empty((shape[0], filters, *shape[2:]))
        one = (1, 1)
        specification.conv2d(x.astype(float), w.astype(float), None, one, one, one, 1, 0, 0.0, want, None)
        close(y, want, dtype)
        want_dw = np.empty(w.shape)
        specification.conv2d_backward_weights(y.astype(float), x.astype(float), one, one, one, 1, want_dw)
        close(ops.conv2d_backward(y, x, w, padding=1, need_dx=False)[0], want_dw, dtype)


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("activation", ["relu", "gelu", ("leaky_relu", 0.3)])
def test_conv2d_applies_an_activation(activation, groups, dtype, tolerance, rng):
    x, w, dy = (rng.normal(size=size).astype(dtype) for size in ((2, 4, 6, 5), (4, 4 // groups, 3, 3), (2, 4, 6, 5)))
    bias, options = rng.normal(size=4).astype(dtype), {"padding": 1, "groups": groups}
    name, *argument = (activation,) if isinstance(activation, str) else activation
    before = ops.conv2d(x, w, **options) + bias[:, None, None]
    pre = np.empty_like(before)
    y = ops.conv2d(x, w, bias=bias, activation=activation, pre_out=pre, **options)
    np.testing.assert_allclose(y, getattr(ops, name)(before, *argument), **tolerance)
    np.testing.assert_allclose(pre, before, **tolerance)
    saved = before if name == "gelu" else y
    dz = getattr(ops, f"{name}_backward")(dy, saved, *argument)
    got = ops.conv2d_backward(dy, x, w, activation=activation, saved=saved, **options)
    for one, other in zip(got, ops.conv2d_backward(dz, x, w, **options), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nan_passes_through(dtype):
    x = np.zeros((1, 1, 4, 4), dtype)
    x[0, 0, 1, 2] = np.nan
    assert np.isnan(ops.conv2d(x, np.ones((1, 1, 2, 2), dtype))).sum() == 4
    pooled, places = ops.max_pool2d(x, 2)
    assert np.isnan(pooled[0, 0, 0, 1]) and places[0, 0, 0, 1] == 2
    assert np.isnan(ops.avg_pool2d(x, 2)).sum() == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_its_windows_and_no_others(value, dtype, rng):
    """Also by Winograd's way, whose sums of products cancel terms: an infinity may come out as NaN."""
    x, w = rng.normal(size=(2, 24, 8, 8)).astype(dtype), rng.normal(size=(26, 24, 3, 3)).astype(dtype)
    for row, column in ((0, 0), (3, 4), (4, 3), (7, 7)):
        bad = x.copy()
        bad[1, 5, row, column] = value
        want = np.zeros((2, 26, 8, 8), bool)
        want[1, :, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = True
        np.testing.assert_array_equal(~np.isfinite(ops.conv2d(bad, w, padding=1)), want)
        dw, _, dx = ops.conv2d_backward(bad, x, w.transpose(1, 0, 2, 3)[:, :24], padding=1)
        np.testing.assert_array_equal(~np.isfinite(dx), want[:, :24])
        assert not np.isfinite(dw[5, :, 1, 1]).any() and np.isfinite(np.delete(dw, 5, axis=0)).all()


def test_of_equal_elements_the_first_is_the_largest(dtype):
    _, places = ops.max_pool2d(np.zeros((1, 1, 4, 4), dtype), 2)
    assert not places.any()
    _, places = ops.max_pool2d(np.full((1, 1, 2, 2), -np.inf, dtype), 3, stride=2, padding=1)
    assert places.ravel().tolist() == [4]


def test_batchnorm_statistics_survive_a_large_offset(dtype, rng):
    x = (1e4 + rng.normal(size=(6, 3, 5, 7))).astype(dtype)
    y, mean, _ = ops.batch_norm2d(x, np.ones(3, dtype), np.zeros(3, dtype), np.zeros(3, dtype), np.ones(3, dtype))
    exact = x.astype(float)
    want = (exact - exact.mean(axis=(0, 2, 3), keepdims=True)) / exact.std(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(y, want, atol=2e-3 if dtype == np.float32 else 1e-4)


BAD = [
    (lambda x: ops.conv2d(x, np.ones((4, 2, 5, 3))), r"height 5 .* image of height 4 with padding 0 and 0"),
    (lambda x: ops.conv2d(x, np.ones((4, 2, 3, 3)), dilation=(1, 3)), r"width 7 \(kernel 3, dilation 3\)"),
    (lambda x: ops.conv2d(x, np.ones((4, 2, 3, 3)), groups=4), "4 groups do not divide 2 channels and 4 filters"),
    (lambda x: ops.conv2d(x, np.ones((4, 3, 3, 3))), r"w has shape \(4, 3, 3, 3\); expected \(4, 2, rows, columns\)"),
    (lambda x: ops.conv2d(x[0], np.ones((4, 2, 3, 3))), r"x has shape \(2, 4, 6\); expected \(n, channels"),
    (lambda x: ops.conv2d(x, np.ones((4, 2, 3, 3)), stride=0), "stride is 0"),
    (lambda x: ops.conv2d(x, np.ones((4, 2, 3, 3)), stride=(1, 1, 1)), "expected a number or a pair"),
    (lambda x: ops.conv2d(x, np.ones((4, 2, 3, 3)), stride=2, padding="same"), r'"same" needs a stride of 1'),
    (lambda x: ops.conv2d(x, np.ones((4, 2, 3, 3)), padding="all"), "padding is 'all'"),
    (lambda x: ops.max_pool2d(x, 2, padding=2), r"padding \(2, 2\) is more than half"),
    (lambda x: ops.max_pool2d(x, 5), "height 5 .* image of height 4"),
    (lambda x: ops.max_pool2d(x, (300, 300)), "more than 65535 elements"),
    (lambda x: ops.avg_pool2d(x[0], 2), r"x has shape \(2, 4, 6\)"),
    (lambda x: ops.group_norm(x, 3), "3 groups do not divide 2 channels"),
    (lambda x: ops.layer_norm(x, (4, 5)), r"x has shape \(1, 2, 4, 6\); expected \(..., 4, 5\)"),
    (lambda x: ops.batch_norm2d(x[0, 0], *[np.ones(4)] * 4), "with at least one axis after the channels"),
]


@pytest.mark.parametrize("index", range(len(BAD)))
def test_bad_geometry_raises_with_the_numbers(index):
    call, message = BAD[index]
    with pytest.raises(ValueError, match=message):
        call(np.ones((1, 2, 4, 6)))


MODELS = {
    "conv": lambda: [pynn.Conv2d(2, 4, 3, padding=1), pynn.Tanh(), pynn.Flatten(), pynn.Linear(80, 3)],
    "groups": lambda: [
        pynn.Conv2d(2, 4, (3, 2), 2, (1, 0), dilation=(1, 2), groups=2), pynn.Flatten(), pynn.Linear(16, 3),
    ],
    "norms": lambda: [
        pynn.Conv2d(2, 4, 3, bias=False), pynn.BatchNorm2d(4), pynn.SiLU(), pynn.GroupNorm(2, 4),
        pynn.LayerNorm((2, 3)), pynn.Flatten(), pynn.Linear(24, 3),
    ],
    "pools": lambda: [
        pynn.Conv2d(2, 3, 3, padding="same"), pynn.MaxPool2d(3, 1, 1), pynn.AvgPool2d(2, padding=1),
        pynn.AdaptiveAvgPool2d((2, 1)), pynn.Dropout2d(0.3), pynn.Flatten(), pynn.Linear(6, 3),
    ],
    "residual": lambda: [
        pynn.Residual(pynn.Sequential(pynn.Conv2d(2, 2, 3, padding=1), pynn.Tanh(), pynn.Conv2d(2, 2, 3, padding=1))),
        pynn.Residual(pynn.Conv2d(2, 4, 3, 2, 1), pynn.Conv2d(2, 4, 1, 2)), pynn.Tanh(), pynn.AdaptiveAvgPool2d(1),
        pynn.Flatten(), pynn.Linear(4, 3),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_gradients_against_finite_differences(name, rng):
    pynn.manual_seed(3)
    model = pynn.Sequential(*MODELS[name]())
    checks = pynn.gradcheck(model, pynn.CrossEntropyLoss(), rng.normal(size=(5, 2, 4, 5)), [0, 1, 2, 1, 0])
    assert all(check.ok(1e-7) for check in checks), checks


def test_gradients_of_sequences_against_finite_differences(rng):
    pynn.manual_seed(3)
    model = pynn.Sequential(
        pynn.Conv1d(2, 4, 3, padding="same", bias=False), pynn.BatchNorm1d(4), pynn.Tanh(), pynn.Conv1d(4, 3, 2, 2),
        pynn.Flatten(), pynn.Linear(12, 3),
    )  # fmt: skip
    checks = pynn.gradcheck(model, pynn.CrossEntropyLoss(), rng.normal(size=(4, 2, 8)), [0, 1, 2, 1])
    assert all(check.ok(1e-7) for check in checks), checks
