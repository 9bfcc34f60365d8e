"""The checks of every op before it calls a kernel: dtype, shape, memory layout, overlap.

`fits` is a fast compiled check of all arrays of an op. If it returns False, the op runs the full check with the other
functions here, which convert an argument, allocate an output or raise the error.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..utils.arrays import as_array
from ..utils.validation import number, ready

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def fits(signature: str, *arrays: object) -> Literal[False]:
    """Return whether the arrays need no full check; without compiled kernels, return False.

    The return type makes a type checker assume that every op runs the full check, whose results have the right types.
    """
    return False


def segments_fit(bounds: object, size: int) -> Literal[False]:
    """Return whether the bounds of segments need no full check; without compiled kernels, return False."""
    return False


with contextlib.suppress(ImportError):  # built without a C compiler
    from ..kernels.cython.arguments import fits, segments_fit  # type: ignore[no-redef]  # noqa: F401 - for the ops

#: The shape of images, see `floats`.
IMAGES = ("n", "channels", "height", "width")

_SINGLE, _DOUBLE, _INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


def floats(x: ArrayLike, name: str, *, like: np.ndarray | None = None, shape: tuple | None = None) -> np.ndarray:
    """Return `x` as an aligned C-contiguous float32 or float64 array, without a copy if it is one.

    The array must have the dtype of `like` and the shape `shape`, in which a string (such as "n") matches any size.
    """
    array = x if type(x) is np.ndarray else as_array(x, name)
    dtype = array.dtype
    # Comparing identity takes half the time of comparing equality. It nearly always suffices, but the dtype of an
    # unpickled array is another object.
    if (dtype is not _SINGLE and dtype is not _DOUBLE) or (like is not None and dtype is not like.dtype):
        array = _native(array, name, like)
    if shape is not None and array.shape != shape:
        check_shape(array, name, shape)
    flags = array.flags
    if not (flags.carray or (flags.c_contiguous and flags.aligned)):
        array = np.array(array, order="C")
    return array


def _native(array: np.ndarray, name: str, like: np.ndarray | None) -> np.ndarray:
    """Return `array` with NumPy's own dtype object, a copy if its bytes must be swapped, or raise TypeError."""
    kind = array.dtype.type
    if kind is not np.float32 and kind is not np.float64:
        raise TypeError(f"{name} has dtype {array.dtype}; expected float32 or float64")
    if like is not None and kind is not like.dtype.type:
        raise TypeError(f"{name} has dtype {array.dtype}; expected {like.dtype}, the dtype of the first argument")
    return array.view(kind) if array.dtype.isnative else array.astype(kind)


def unit_columns(array: np.ndarray) -> np.ndarray:
    """Return the contiguous `array` as (rows, units), where units is its last dimension."""
    *rows, units = array.shape or (1,)
    return array.reshape(math.prod(rows), units)


def check_shape(array: np.ndarray, name: str, shape: tuple) -> None:
    """Raise ValueError unless `array` has the shape `shape`, in which a string matches any size."""
    got = array.shape
    if len(got) == len(shape) == 2:  # takes half the time of the general case
        if (got[0] == shape[0] or type(shape[0]) is str) and (got[1] == shape[1] or type(shape[1]) is str):
            return
    elif len(got) == len(shape) and all(g == w or type(w) is str for g, w in zip(got, shape, strict=True)):
        return
    expected = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    raise ValueError(f"{name} has shape {array.shape}; expected {expected}")


def output(out: np.ndarray | None, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `out` if a kernel can write it, or a new array if it is None."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):  # whose mask would stay as it was
        raise TypeError(f"{name} is a {type(out).__name__}; expected a NumPy array to write to")
    if out.dtype != dtype:
        raise TypeError(f"{name} has dtype {out.dtype}; expected {dtype}")
    if out.shape != shape:
        raise ValueError(f"{name} has shape {out.shape}; expected {shape}")
    if not out.flags.carray:
        raise ValueError(f"{name} must be writeable, aligned and C-contiguous")
    return out


def required(array: np.ndarray | None, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `array` if a kernel can write it; unlike `output`, raise TypeError for None."""
    if array is None:
        raise TypeError(f"{name} is None; expected a NumPy array of shape {shape} to write to")
    return output(array, name, shape, dtype)


def apart(outputs: dict[str, np.ndarray | None], *inputs: np.ndarray | None) -> None:
    """Raise ValueError if an output shares memory with an input, or with another output."""
    given = [(name, out) for name, out in outputs.items() if out is not None]
    for at, (name, out) in enumerate(given):
        for array in inputs:
            if array is not None and _may_overlap(out, array):
                raise ValueError(
                    f"{name} overlaps an input in memory; the op would read values that it has already overwritten"
                )
        for other, array in given[:at]:
            if _may_overlap(out, array):
                raise ValueError(f"{name} overlaps {other} in memory; pass separate arrays")


def same_or_apart(out: np.ndarray, name: str, *inputs: np.ndarray) -> None:
    """Raise ValueError if `out` overlaps an input but is not exactly that input's memory (elementwise ops)."""
    for array in inputs:
        if out is not array and _may_overlap(out, array) and out.ctypes.data != array.ctypes.data:
            raise ValueError(f"{name} overlaps an input in memory without being the same array")


def elementwise_output(out: np.ndarray | None, *inputs: np.ndarray) -> np.ndarray:
    """Return `out` if an elementwise kernel can write it, or a new array like the first input if it is None."""
    result = output(out, "out", inputs[0].shape, inputs[0].dtype)
    if out is not None:
        same_or_apart(result, "out", *inputs)
    return result


def _may_overlap(a: np.ndarray, b: np.ndarray) -> bool:
    if a is not b and a.base is None and b.base is None:  # both own their memory; 4 times as fast
        return False
    return np.may_share_memory(a, b)


def labels(targets: ArrayLike, rows: int) -> np.ndarray:
    """Return class labels as an int64 array of shape (rows,)."""
    if type(targets) is np.ndarray and targets.dtype is _INT64 and targets.shape == (rows,) and targets.flags.carray:
        return targets  # the usual case, in a third of the time
    array = as_array(targets, "targets")
    if array.dtype.kind not in "iu":
        raise TypeError(f"targets have dtype {array.dtype}; expected integer class labels")
    if array.shape != (rows,):
        raise ValueError(f"targets have shape {array.shape}; expected ({rows},), one label per row")
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and (array > np.iinfo(np.int64).max).any():
        raise ValueError(f"target {array.max()} is not a class: it exceeds the range of int64")
    return ready(array, _INT64)


def positive(value: float, name: str) -> float:
    """Return `value` as a float, or raise ValueError unless it is a number above 0 and finite."""
    if type(value) is float and 0 < value < math.inf:  # the usual case, in a third of the time
        return value
    return number(value, name, above=0)
