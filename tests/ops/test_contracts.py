"""What all ops promise about the arrays that they read: any layout is read, and misfits raise and are named."""

import inspect
import itertools
from importlib import import_module

import numpy as np
import pytest
from cases import case
from fuzz.arrays import LAYOUTS
from op_contracts import OPS, arguments, results
from pynn.kernels import MODULES

from pynn import ops
from pynn.backends.selection import kernels

pytestmark = pytest.mark.usefixtures("backend")


@pytest.mark.parametrize("name", OPS)
def test_any_memory_layout_is_read_and_left_alone(name, dtype, rng):
    op = OPS[name]
    arrays = arguments(op, dtype, rng)
    expected = results(op, arrays)
    for layout, laid_out in LAYOUTS.items():
        with case(layout):
            moved = [laid_out(array) for array in arrays]
            for got, want in zip(results(op, moved), expected, strict=True):
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

    for family in MODULES:
        module = getattr(kernels(), family)
        specified = import_module(f"pynn.kernels.numpy.{family}")
        for name, kernel in inspect.getmembers(specified, inspect.isfunction):
            if kernel.__module__ == specified.__name__ and hasattr(module, name):
                monkeypatch.setattr(module, name, recorded(getattr(module, name)))
    return seen


@pytest.mark.parametrize("name", OPS)
def test_kernels_get_contiguous_aligned_native_arrays(name, dtype, kernel_arguments, rng):
    op = OPS[name]
    for layout, laid_out in LAYOUTS.items():
        with case(layout):
            kernel_arguments.clear()
            op.call(*[laid_out(array) for array in arguments(op, dtype, rng)])
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
def test_other_dtypes_raise(name, dtype, rng):
    op = OPS[name]
    floats = [at for at, shape in enumerate(op.shapes) if shape != "labels" and at not in op.cast]
    for wrong, at in itertools.product(("int64", "float16", "complex128", "bool"), floats):
        arrays = arguments(op, dtype, rng)
        arrays[at] = arrays[at].astype(wrong)
        with (
            case(wrong=wrong, argument=at),
            pytest.raises(TypeError, match=f"has dtype {wrong}; expected float32 or float64"),
        ):
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


#: Settings that `OPS` itself gives a value.
GIVEN = {
    ("dropout", "p"), ("dropout2d", "p"), ("group_norm", "groups"), ("maxout", "pieces"), ("maxout_backward", "pieces"),
    ("merge_gradients", "count"),
}  # fmt: skip
#: The other settings that are numbers or switches.
SETTINGS = [
    (name, setting.name)
    for name in OPS.keys() & set(ops.__all__)
    for setting in inspect.signature(getattr(ops, name)).parameters.values()
    if setting.annotation in ("float", "int", "bool") and (name, setting.name) not in GIVEN
]


@pytest.mark.parametrize(("name", "setting"), sorted(SETTINGS))
def test_a_setting_that_is_text_raises_and_is_named(name, setting, rng):
    with pytest.raises((TypeError, ValueError), match=f"^{setting} is 'no'; expected"):
        OPS[name].call(*arguments(OPS[name], np.float32, rng), **{setting: "no"})


#: The modules of ops with the fast check.
FAMILIES = [
    module for name, module in inspect.getmembers(ops, inspect.ismodule) if name[0] != "_" and hasattr(module, "fits")
]


@pytest.mark.parametrize("name", OPS)
def test_a_closer_look_changes_nothing(name, dtype, rng, monkeypatch):
    op = OPS[name]
    arrays = arguments(op, dtype, rng)
    want = results(op, arrays)
    given = {keyword: np.full_like(want[at], np.nan) for keyword, at in op.outputs.items()}
    op.call(*arrays, **given)
    for family in FAMILIES:
        monkeypatch.setattr(family, "fits", lambda *_: False)
    looked_at = {keyword: np.full_like(want[at], np.nan) for keyword, at in op.outputs.items()}
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
    given = {keyword: np.empty_like(want[at]) for keyword, at in op.outputs.items()}
    for family in FAMILIES:
        monkeypatch.delattr(family, "floats", raising=False)
    op.call(*arrays, **given)
