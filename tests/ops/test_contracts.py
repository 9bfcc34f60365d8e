"""What all ops promise about their arguments: any layout is read, misfits raise and are named, outputs are checked."""

import inspect
from importlib import import_module
from typing import NamedTuple

import numpy as np
import pytest

from pynn import ops
from pynn.backends.selection import kernels

pytestmark = pytest.mark.usefixtures("backend")

ROWS, INPUTS, UNITS = 6, 5, 4


class Op(NamedTuple):
    """An op as a function of positional arrays and of output keywords."""

    call: object
    shapes: tuple  # of the arrays; "labels" stands for one integer label per row
    outputs: dict  # keyword -> position in the result, and the arrays it must not overlap
    cast: tuple = ()  # positions of float arrays that may have another dtype
    two_dimensional: bool = False


def elementwise(call):
    return Op(call, ((ROWS, UNITS),), {"out": (0, (0,))})


def elementwise_backward(call):
    return Op(call, ((ROWS, UNITS), (ROWS, UNITS)), {"out": (0, (0, 1))})


def batch_norm(x, gamma, beta, **options):
    dtype = np.asarray(x).dtype.type
    return ops.batch_norm(x, gamma, beta, np.zeros(UNITS, dtype), np.ones(UNITS, dtype), **options)


IMAGES, FILTERS = (2, 4, 6, 5), (4, 4, 3, 3)


def batch_norm2d(x, gamma, beta, **options):
    dtype = np.asarray(x).dtype.type
    return ops.batch_norm2d(x, gamma, beta, np.zeros(UNITS, dtype), np.ones(UNITS, dtype), **options)


OPS = {
    "relu": elementwise(ops.relu),
    "gelu": elementwise(ops.gelu),
    "sigmoid": elementwise(ops.sigmoid),
    "relu_backward": elementwise_backward(ops.relu_backward),
    "gelu_backward": elementwise_backward(ops.gelu_backward),
    "dropout": elementwise(lambda x, **options: ops.dropout(x, 0.5, (4, 0), **options)),
    "prelu": Op(ops.prelu, ((ROWS, UNITS), (UNITS,)), {"out": (0, (0, 1))}),
    "prelu_backward": Op(
        ops.prelu_backward,
        ((ROWS, UNITS), (ROWS, UNITS), (UNITS,)),
        {"dx": (0, (0, 1, 2)), "dslope": (1, (0, 1, 2))},
    ),
    "maxout": Op(lambda x, **options: ops.maxout(x, 2, **options), ((ROWS, UNITS),), {"out": (0, (0,))}, (), True),
    "maxout_backward": Op(
        lambda dy, x, **options: ops.maxout_backward(dy, x, 2, **options),
        ((ROWS, UNITS), (ROWS, 2 * UNITS)),
        {"out": (0, (0, 1))},
        two_dimensional=True,
    ),
    "matmul": Op(
        lambda a, b, bias, **options: ops.matmul(a, b, bias=bias, **options),
        ((ROWS, INPUTS), (INPUTS, UNITS), (UNITS,)),
        {"out": (0, (0, 1, 2)), "pre_out": (0, (0, 1, 2))},
        two_dimensional=True,
    ),
    "matmul_transposed": Op(
        lambda a, b, **options: ops.matmul(a, b, trans_a=True, activation="silu", **options),
        ((INPUTS, ROWS), (INPUTS, UNITS)),
        {"out": (0, (0, 1))},
        two_dimensional=True,
    ),
    "linear_backward": Op(
        ops.linear_backward,
        ((ROWS, UNITS), (ROWS, INPUTS), (INPUTS, UNITS)),
        {"dw": (0, (0, 1, 2)), "db": (1, (0, 1, 2)), "dx": (2, (0, 1, 2))},
        two_dimensional=True,
    ),
    "batch_norm": Op(
        batch_norm,
        ((ROWS, UNITS), (UNITS,), (UNITS,)),
        {"out": (0, (0, 1, 2)), "mean_out": (1, ()), "rstd_out": (2, ())},
        two_dimensional=True,
    ),
    "batch_norm_backward": Op(
        lambda *arrays, **options: ops.batch_norm_backward(*arrays, activation="tanh", **options),
        ((ROWS, UNITS), (ROWS, UNITS), (UNITS,), (UNITS,), (UNITS,), (UNITS,)),
        {"dx": (0, (0, 1)), "dgamma": (1, ()), "dbeta": (2, ())},
        two_dimensional=True,
    ),
    "add": Op(ops.add, ((ROWS, UNITS), (ROWS, UNITS)), {"out": (0, (0, 1))}),
    "conv2d": Op(
        lambda x, w, bias, **options: ops.conv2d(x, w, bias=bias, padding=1, stride=2, **options),
        (IMAGES, FILTERS, (4,)),
        {"out": (0, (0, 1, 2)), "pre_out": (0, (0, 1, 2))},
    ),
    "conv2d_backward": Op(
        lambda dy, x, w, **options: ops.conv2d_backward(dy, x, w, padding=1, stride=2, **options),
        ((2, 4, 3, 3), IMAGES, FILTERS),
        {"dw": (0, (0, 1, 2)), "db": (1, (0, 1, 2)), "dx": (2, (0, 1, 2))},
    ),
    "max_pool2d": Op(lambda x, **options: ops.max_pool2d(x, 2, **options)[0], (IMAGES,), {"out": (0, (0,))}),
    "avg_pool2d": Op(lambda x, **options: ops.avg_pool2d(x, 3, padding=1, **options), (IMAGES,), {"out": (0, (0,))}),
    "adaptive_avg_pool2d": Op(
        lambda x, **options: ops.adaptive_avg_pool2d(x, 2, **options), (IMAGES,), {"out": (0, (0,))}
    ),
    "avg_pool2d_backward": Op(
        lambda dy, **options: ops.avg_pool2d_backward(dy, IMAGES, 2, **options), ((2, 4, 3, 2),), {"out": (0, (0,))}
    ),
    "batch_norm2d": Op(
        batch_norm2d,
        (IMAGES, (UNITS,), (UNITS,)),
        {"out": (0, (0, 1, 2)), "mean_out": (1, ()), "rstd_out": (2, ())},
    ),
    "batch_norm2d_backward": Op(
        lambda *arrays, **options: ops.batch_norm2d_backward(*arrays, activation="tanh", **options),
        (IMAGES, IMAGES, (UNITS,), (UNITS,), (UNITS,), (UNITS,)),
        {"dx": (0, (0, 1)), "dgamma": (1, ()), "dbeta": (2, ())},
    ),
    "group_norm": Op(
        lambda x, gamma, beta, **options: ops.group_norm(x, 2, gamma, beta, **options),
        (IMAGES, (UNITS,), (UNITS,)),
        {"out": (0, (0, 1, 2)), "mean_out": (1, ()), "rstd_out": (2, ())},
    ),
    "group_norm_backward": Op(
        ops.group_norm_backward,
        (IMAGES, IMAGES, (UNITS,), (2, 2), (2, 2)),
        {"dx": (0, (0, 1)), "dgamma": (1, ()), "dbeta": (2, ())},
    ),
    "layer_norm": Op(
        lambda x, gamma, beta, **options: ops.layer_norm(x, (UNITS,), gamma, beta, **options),
        ((ROWS, UNITS), (UNITS,), (UNITS,)),
        {"out": (0, (0, 1, 2)), "mean_out": (1, ()), "rstd_out": (2, ())},
    ),
    "dropout2d": Op(lambda x, **options: ops.dropout2d(x, 0.5, (4, 0), **options), (IMAGES,), {"out": (0, (0,))}),
    "softmax_cross_entropy": Op(
        lambda logits, targets, weight, sample_weight, **options: ops.softmax_cross_entropy(
            logits, targets, weight=weight, sample_weight=sample_weight, **options
        ),
        ((ROWS, UNITS), "labels", (UNITS,), (ROWS,)),
        {"dlogits": (1, (0, 2, 3))},
        two_dimensional=True,
    ),
    "multiclass_hinge": Op(
        lambda scores, targets, sample_weight, **options: ops.multiclass_hinge(
            scores, targets, sample_weight=sample_weight, **options
        ),
        ((ROWS, UNITS), "labels", (ROWS,)),
        {"dscores": (1, (0, 2))},
        two_dimensional=True,
    ),
    "mse": Op(ops.mse, ((ROWS, UNITS), (ROWS, UNITS)), {"dprediction": (1, (0, 1))}, cast=(1,)),
    "bce_with_logits": Op(ops.bce_with_logits, ((ROWS, UNITS), (ROWS, UNITS)), {"dlogits": (1, (0, 1))}, cast=(1,)),
    "count_correct": Op(ops.count_correct, ((ROWS, UNITS), "labels"), {}, two_dimensional=True),
}

OUTPUTS = [(name, keyword) for name, op in OPS.items() for keyword in op.outputs]


def arguments(op, dtype, rng):
    return [
        rng.integers(UNITS, size=ROWS) if shape == "labels" else rng.uniform(0.1, 0.9, size=shape).astype(dtype)
        for shape in op.shapes
    ]


def results(op, arrays, **outputs):
    result = op.call(*arrays, **outputs)
    return result if isinstance(result, tuple) else (result,)


def expected_output(name, keyword, dtype, rng):
    """Return the op, its arguments and what it should write to the keyword's array."""
    op = OPS[name]
    arrays = arguments(op, dtype, rng)
    return op, arrays, results(op, arrays)[op.outputs[keyword][0]]


@pytest.mark.parametrize("name", OPS)
def test_any_memory_layout_is_read_and_left_alone(name, layout, dtype, rng):
    op = OPS[name]
    arrays = arguments(op, dtype, rng)
    moved = [layout(array) for array in arrays]
    for got, want in zip(results(op, moved), results(op, arrays), strict=True):
        np.testing.assert_array_equal(got, want)
        assert np.asarray(got).dtype == np.asarray(want).dtype
    for array, original in zip(moved, arrays, strict=True):
        np.testing.assert_array_equal(array, original)


@pytest.fixture
def kernel_arguments(monkeypatch):
    """Record what the kernels are called with."""
    seen = []

    def recorded(kernel):
        def call(*arguments):
            seen.extend(arguments)
            return kernel(*arguments)

        return call

    for family in (
        "activations",
        "batchnorm",
        "channels",
        "conv",
        "dropout",
        "groupnorm",
        "losses",
        "matmul",
        "pooling",
    ):
        module = getattr(kernels(), family)
        for name, _ in inspect.getmembers(import_module(f"pynn.kernels.numpy.{family}"), inspect.isfunction):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, recorded(getattr(module, name)))
    return seen


@pytest.mark.parametrize("name", OPS)
def test_kernels_get_contiguous_aligned_native_arrays(name, layout, dtype, kernel_arguments, rng):
    op = OPS[name]
    op.call(*[layout(array) for array in arguments(op, dtype, rng)])
    arrays = [argument for argument in kernel_arguments if isinstance(argument, np.ndarray)]
    assert len(arrays) >= len(op.shapes)
    for array in arrays:
        assert array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
        assert array.dtype in (dtype, np.float64, np.int64, np.uint64, np.uint16)  # float64: weights of rows


@pytest.mark.parametrize("name", OPS)
def test_nested_lists_are_read(name, rng):
    op = OPS[name]
    arrays = arguments(op, np.float64, rng)
    for got, want in zip(results(op, [array.tolist() for array in arrays]), results(op, arrays), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("wrong", [np.int64, np.float16, np.complex128, np.bool_])
def test_other_dtypes_raise(name, wrong, dtype, rng):
    op = OPS[name]
    for at, shape in enumerate(op.shapes):
        if shape != "labels" and at not in op.cast:
            arrays = arguments(op, dtype, rng)
            arrays[at] = arrays[at].astype(wrong)
            with pytest.raises(TypeError, match=f"has dtype {np.dtype(wrong)}; expected float32 or float64"):
                op.call(*arrays)


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if len(op.shapes) > 1 + len(op.cast)])
def test_mixed_dtypes_raise(name, dtype, rng):
    op = OPS[name]
    other = np.float32 if dtype == np.float64 else np.float64
    for at, shape in enumerate(op.shapes):
        if at and shape != "labels":
            arrays = arguments(op, dtype, rng)
            arrays[at] = arrays[at].astype(other)
            with pytest.raises(TypeError, match=f"has dtype {np.dtype(other)}; expected {dtype}"):
                op.call(*arrays)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "multiclass_hinge", "count_correct"])
@pytest.mark.parametrize("wrong", [np.float32, np.bool_])
def test_labels_must_be_integers(name, wrong, rng):
    scores, labels, *rest = arguments(OPS[name], np.float64, rng)
    with pytest.raises(TypeError, match=f"targets have dtype {np.dtype(wrong)}; expected integer"):
        OPS[name].call(scores, labels.astype(wrong), *rest)


# The numbers of images and filters of a convolution are free.
@pytest.mark.parametrize("name", [name for name, op in OPS.items() if len(op.shapes) > 1 and name != "conv2d"])
def test_shapes_that_do_not_fit_raise_and_both_are_named(name, dtype, rng):
    op = OPS[name]
    for at in range(1, len(op.shapes)):
        arrays = arguments(op, dtype, rng)
        arrays[at] = np.concatenate([arrays[at], arrays[at][:1]])
        with pytest.raises(ValueError, match=r"; expected \(") as caught:
            op.call(*arrays)
        assert any(f"shape {array.shape}; expected" in str(caught.value) for array in (arrays[at], arrays[0]))


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.two_dimensional])
def test_a_third_dimension_raises(name, dtype, rng):
    first, *rest = arguments(OPS[name], dtype, rng)
    with pytest.raises(ValueError, match=r"has shape \(1, \d+, \d+\); expected \("):
        OPS[name].call(first[None], *rest)


@pytest.mark.parametrize(("name", "keyword"), OUTPUTS)
def test_output_handed_in_is_filled(name, keyword, dtype, rng):
    op, arrays, want = expected_output(name, keyword, dtype, rng)
    out = np.full_like(want, np.nan)
    op.call(*arrays, **{keyword: out})
    np.testing.assert_array_equal(out, want)


FAMILIES = [import_module(f"pynn.ops.{name}") for name in ("activations", "batchnorm", "dropout", "losses", "matmul")]


@pytest.mark.parametrize("name", OPS)
def test_a_closer_look_changes_nothing(name, dtype, rng, monkeypatch):
    op = OPS[name]
    arrays = arguments(op, dtype, rng)
    want = results(op, arrays)
    given = {keyword: np.full_like(want[at], np.nan) for keyword, (at, _) in op.outputs.items()}
    op.call(*arrays, **given)
    for family in FAMILIES:
        monkeypatch.setattr(family, "fits", lambda *_: False)
    looked_at = {keyword: np.full_like(want[at], np.nan) for keyword, (at, _) in op.outputs.items()}
    for got in (results(op, arrays), results(op, arrays, **looked_at)):
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(one, other)
    for keyword, array in looked_at.items():
        np.testing.assert_array_equal(given[keyword], array)


@pytest.mark.parametrize(
    "name",
    ["relu", "gelu_backward", "dropout", "matmul", "matmul_transposed", "linear_backward", "batch_norm",
     "batch_norm_backward", "softmax_cross_entropy"],
)  # fmt: skip
def test_plain_arrays_get_no_closer_look(name, dtype, rng, monkeypatch):
    pytest.importorskip("pynn.kernels.cython.arguments", reason="without compiled kernels every array gets one")
    op = OPS[name]
    arrays = arguments(op, dtype, rng)
    want = results(op, arrays)
    given = {keyword: np.empty_like(want[at]) for keyword, (at, _) in op.outputs.items()}
    for family in FAMILIES:
        monkeypatch.delattr(family, "floats")
    op.call(*arrays, **given)


@pytest.mark.parametrize(("name", "keyword"), OUTPUTS)
def test_output_that_cannot_be_written_raises(name, keyword, dtype, rng):
    op, arrays, want = expected_output(name, keyword, dtype, rng)
    read_only = np.empty_like(want)
    read_only.flags.writeable = False
    for unusable in (np.empty((*want.shape[:-1], 2 * want.shape[-1]), dtype)[..., ::2], read_only):
        with pytest.raises(ValueError, match=f"{keyword} must be writeable, aligned and C-contiguous"):
            op.call(*arrays, **{keyword: unusable})
    other = np.dtype(np.float32 if dtype == np.float64 else np.float64)
    for wrong in (other, dtype.newbyteorder(), np.dtype(int)):
        with pytest.raises(TypeError, match=f"{keyword} has dtype {wrong}; expected {dtype}"):
            op.call(*arrays, **{keyword: np.empty(want.shape, wrong)})
    with pytest.raises(TypeError, match=f"{keyword} is a list"):
        op.call(*arrays, **{keyword: want.tolist()})
    longer = np.empty((want.shape[0] + 1, *want.shape[1:]), dtype)
    with pytest.raises(ValueError, match=f"{keyword} has shape") as caught:
        op.call(*arrays, **{keyword: longer})
    assert str(longer.shape) in str(caught.value) and f"expected {want.shape}" in str(caught.value)


@pytest.mark.parametrize(("name", "keyword"), OUTPUTS)
def test_output_that_overlaps_an_input_raises(name, keyword, dtype, rng):
    op, arrays, want = expected_output(name, keyword, dtype, rng)
    for at in op.outputs[keyword][1]:
        memory = np.empty(arrays[at].size + want.size, dtype)
        shared = memory[: arrays[at].size].reshape(arrays[at].shape)
        shared[...] = arrays[at]
        moved = [*arrays[:at], shared, *arrays[at + 1 :]]
        with pytest.raises(ValueError, match=f"{keyword} overlaps an input"):
            op.call(*moved, **{keyword: memory[1 : 1 + want.size].reshape(want.shape)})


def test_only_elementwise_ops_may_write_onto_their_input(dtype):
    square = np.ones((UNITS, UNITS), dtype)
    for call in (
        lambda: ops.matmul(square, square.copy(), out=square),
        lambda: ops.matmul(square.copy(), square, pre_out=square),
        lambda: ops.maxout(square, 1, out=square),
        lambda: ops.softmax_cross_entropy(square, [0] * UNITS, dlogits=square),
        lambda: ops.mse(square, square.copy(), dprediction=square),
    ):
        with pytest.raises(ValueError, match="overlaps"):
            call()


def test_outputs_of_one_call_must_not_overlap(dtype):
    square, memory = np.ones((UNITS, UNITS), dtype), np.empty((UNITS, UNITS), dtype)
    for call in (
        lambda: ops.matmul(square, square, out=memory, pre_out=memory),
        lambda: ops.linear_backward(square, square, square, dw=memory, db=memory[0]),
        lambda: ops.linear_backward(square, square, square, dw=memory, dx=memory),
        lambda: ops.prelu_backward(square, square, square[0], dx=memory, dslope=memory[0]),
    ):
        with pytest.raises(ValueError, match="overlaps"):
            call()


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, UNITS), np.float32), np.zeros((3, UNITS)), np.zeros((4, 2 * UNITS))[:, ::2]]
)
def test_statistics_need_four_contiguous_float64_rows(wrong):
    with pytest.raises((TypeError, ValueError), match=r"stats (has .*; expected|must be .* C-contiguous)"):
        ops.unit_stats(np.ones((ROWS, UNITS)), wrong)
