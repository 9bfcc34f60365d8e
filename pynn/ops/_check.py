"""What every op checks before it calls a kernel: dtype, shape, memory layout, overlap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def floats(x: ArrayLike, name: str, *, like: np.ndarray | None = None, shape: tuple | None = None) -> np.ndarray:
    """Return `x` as an aligned C-contiguous float32 or float64 array, itself where it is one already.

    `like` demands its dtype; `shape` a shape, whose entries may be a text (such as "n") for a free dimension.
    """
    array = x if type(x) is np.ndarray else np.asarray(x)
    dtype = array.dtype
    if dtype.type is not np.float32 and dtype.type is not np.float64:
        raise TypeError(f"{name} has dtype {dtype}; expected float32 or float64")
    if like is not None and dtype.type is not like.dtype.type:
        raise TypeError(f"{name} has dtype {dtype}; expected {like.dtype}, the dtype of the first argument")
    if shape is not None and array.shape != shape:
        check_shape(array, name, shape)
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned and dtype.isnative):
        array = np.array(array, dtype=dtype.newbyteorder("="), order="C")
    return array


def unit_columns(array: np.ndarray) -> np.ndarray:
    """Return the contiguous `array` as (rows, units), units being its last dimension."""
    *rows, units = array.shape or (1,)
    return array.reshape(math.prod(rows), units)


def check_shape(array: np.ndarray, name: str, shape: tuple) -> None:
    """Raise ValueError unless `array` has the shape, in which a text stands for any size."""
    if len(shape) == array.ndim:
        for got, want in zip(array.shape, shape, strict=True):  # half the time of all() over a generator
            if got != want and type(want) is not str:
                break
        else:
            return
    expected = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    raise ValueError(f"{name} has shape {array.shape}; expected {expected}")


def output(out: np.ndarray | None, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `out` if a kernel can write it, or a new array where it is None."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name} is a {type(out).__name__}; expected a NumPy array to write to")
    if out.dtype != dtype:
        raise TypeError(f"{name} has dtype {out.dtype}; expected {dtype}")
    if out.shape != shape:
        raise ValueError(f"{name} has shape {out.shape}; expected {shape}")
    if not out.flags.carray:
        raise ValueError(f"{name} must be writeable, aligned and C-contiguous")
    return out


def no_overlap(out: np.ndarray, name: str, *inputs: np.ndarray | None) -> None:
    """Raise ValueError if `out` shares memory with an input."""
    for array in inputs:
        if array is not None and np.may_share_memory(out, array):
            raise ValueError(f"{name} overlaps an input in memory; the op would read what it has already overwritten")


def same_or_apart(out: np.ndarray, name: str, *inputs: np.ndarray) -> None:
    """Raise ValueError if `out` overlaps an input without being exactly that input's memory (elementwise ops)."""
    for array in inputs:
        if out is not array and np.may_share_memory(out, array) and out.ctypes.data != array.ctypes.data:
            raise ValueError(f"{name} overlaps an input in memory without being the same array")


def labels(targets: ArrayLike, rows: int) -> np.ndarray:
    """Return class labels as int64 (rows,)."""
    array = targets if type(targets) is np.ndarray else np.asarray(targets)
    if array.dtype.kind not in "iu":
        raise TypeError(f"targets have dtype {array.dtype}; expected integer class labels")
    if array.shape != (rows,):
        raise ValueError(f"targets have shape {array.shape}; expected ({rows},), one label per row")
    if array.dtype == np.uint64 and (array > np.iinfo(np.int64).max).any():
        raise ValueError(f"target {array.max()} is not a class; it does not even fit in 64 bits with a sign")
    return np.require(array, np.int64, ["C", "A"])


def positive(value: float, name: str) -> float:
    """Return `value` as a float, or raise ValueError unless it is above 0 and finite."""
    value = float(value)
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value}; expected a positive number")
    return value
