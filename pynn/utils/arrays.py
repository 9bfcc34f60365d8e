"""Conversion of user data to plain arrays of numbers; unsupported data raise an error that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .validation import ready, shortened

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: The accepted types in a column of Python objects.
INTEGERS = (int, np.integer, np.bool_)
REALS = (Real, np.bool_, Decimal)
#: Rows checked for NaN at a time, to bound the temporary memory.
CHUNK = 4096


def numeric(value: Any, name: str, expected: str = "expected numbers") -> np.ndarray:
    """Return `value` as an array of floats, integers or booleans; `value` itself if it already is one.

    Object arrays of numbers (a table that mixes floats and booleans, `decimal.Decimal`, pandas' nullable integers) are
    converted.

    Raises
    ------
    ValueError
        If a value is masked or missing, or rows differ in length.
    TypeError
        For sparse matrices, text, dates, complex numbers and anything else that is not an array of numbers.
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return value
    array = _dense(value, name)
    if array.dtype.kind == "O":
        array = _converted(array, value, name, expected)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{_has_dtype(name, array)}; {expected}{_remedy(array)}")
    return array


def example_weights(value: Any, rows: int, dtype: np.dtype, name: str = "sample_weight") -> np.ndarray:
    """Return the weights of `rows` examples, or raise an error that names the row without a valid one."""
    array = numeric(value, name)
    if array.shape != (rows,):
        raise ValueError(f"{name} has shape {array.shape}; expected ({rows},), one weight per example")
    with np.errstate(over="ignore"):
        weights = ready(array, dtype)
    good = (weights >= 0) & (weights < np.inf)
    if not good.all():
        row = int(good.argmin())
        raise ValueError(f"{name} is {array[row]} in row {row}; expected a finite number of at least 0")
    return weights


def check_weights_fit(weights: Any, dtype: np.dtype, name: str) -> None:
    """Raise ValueError if finite weights are infinite in `dtype`: they would make every loss 0 or NaN."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(np.asarray(weights, dtype=np.float64).astype(dtype))
    if not finite.all():
        raise ValueError(
            f"{name} is {shortened(weights)}, too large for {dtype}; expected weights of at most "
            f"{np.finfo(dtype).max:.4g}: divide all by the same number, or use a float64 model"
        )


def total_weight(rows: int, weights: np.ndarray | None) -> float:
    """Return the total weight of `rows` examples: of 1 each without weights, else summed in float64."""
    return float(rows if weights is None else weights.sum(dtype=np.float64))


def refuse_masked(value: Any, name: str) -> None:
    """Raise ValueError if `value` is a masked array with masked values, which NumPy would take for others."""
    if not isinstance(value, np.ma.MaskedArray) or value.dtype.names is not None:
        return
    mask = np.ma.getmaskarray(value)
    if mask.any():
        where = _place(np.argwhere(mask)[0], value)
        raise ValueError(
            f"{_has(name)} {mask.sum()} masked values, the first {where}: fill them, {name}.filled(...), or remove "
            "these rows"
        )


def _dense(value: Any, name: str) -> np.ndarray:
    if hasattr(value, "nnz") and not isinstance(value, np.ndarray):
        dense = "toarray" if hasattr(value, "toarray") else "todense"
        raise TypeError(f"{name} is a sparse {type(value).__name__}; expected a dense array: {name}.{dense}()")
    if isinstance(value, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in value):
        value = np.ma.stack(value)
    refuse_masked(value, name)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name} is ragged: its rows differ in length; expected rows of one shape") from error
        raise TypeError(f"{name} is a {type(value).__name__} that NumPy cannot convert: {error}") from error


def _converted(array: np.ndarray, value: Any, name: str, expected: str) -> np.ndarray:
    """Return objects as numbers, or raise an error that names the first one that is not a number."""
    kinds = {type(item) for item in array.flat}
    try:
        if kinds and all(issubclass(kind, INTEGERS) for kind in kinds):
            return array.astype(bool if kinds <= {bool, np.bool_} else np.int64)
        if all(issubclass(kind, REALS) for kind in kinds):
            return array.astype(np.float64)
    except OverflowError:
        raise ValueError(f"{name} holds an integer out of range of int64; {expected}") from None
    at, item = next((at, item) for at, item in np.ndenumerate(array) if not isinstance(item, REALS))
    where = _place(at, value)
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        raise ValueError(f"{_has(name)} a missing value, {item},{where and ' ' + where}: fill it, or remove this row")
    shown = repr(item) if len(repr(item)) <= 40 else f"a {type(item).__name__}"
    raise TypeError(f"{_has_dtype(name, array)}, such as {shown} {where}; {expected}{_remedy(np.asarray(item))}")


def _has(name: str) -> str:
    return f"{name} {'have' if name.endswith('targets') else 'has'}"


def _has_dtype(name: str, array: np.ndarray) -> str:
    return f"{_has(name)} dtype {array.dtype}"


def _place(at: Sequence[int] | np.ndarray, value: Any) -> str:
    """Describe the position of a value, with the name of its column if it is in a table."""
    if len(at) == 0:
        return ""
    names = getattr(value, "columns", None)
    row, *columns = (int(index) for index in at)
    if names is not None and len(columns) == 1:
        return f"in row {row}, column {list(names)[columns[0]]!r}"
    return f"in row {row}" + (f", column {', '.join(map(str, columns))}" if columns else "")


def _remedy(array: np.ndarray) -> str:
    """Return advice on values that are not numbers, if there is any."""
    known = {
        "U": "; encode text as numbers first",
        "S": "; encode text as numbers first",
        "c": "; pass real and imaginary parts as features",
        "V": "; convert fields to columns with numpy.lib.recfunctions.structured_to_unstructured(...)",
        "M": "; convert dates to numbers first, such as days since a fixed date",
        "m": "; divide by a unit first, such as numpy.timedelta64(1, 's')",
    }
    return known.get(array.dtype.kind, "")


def is_absent(value: Any) -> bool:
    """Return whether a cell or label is missing: None, NaN, or pandas' NA or NaT."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def first_row(wrong: np.ndarray) -> int:
    """Return the index of the first row with any True element, or -1."""
    rows = wrong.reshape(len(wrong), -1).any(axis=1) if wrong.size else np.zeros(0, bool)
    return int(rows.argmax()) if rows.any() else -1


def as_array(value: ArrayLike, name: str) -> np.ndarray:
    """Return `value` as an array of any dtype; raise if any element is masked, or if it is sparse or ragged."""
    return value if type(value) is np.ndarray else _dense(value, name)


def check_finite(array: np.ndarray, name: str, first_row: int = 0) -> np.ndarray:
    """Return `array`, or raise ValueError naming the first row with a NaN or an infinity.

    `first_row` is the index of the array's first row if the array is part of a larger one.
    """
    if array.dtype.kind != "f":
        return array
    for start in range(0, len(array) if array.ndim else 0, CHUNK):
        finite = np.isfinite(array[start : start + CHUNK])
        if finite.all():
            continue
        where = np.argwhere(~finite)[0]
        value = "a NaN" if np.isnan(array[start + where[0], *where[1:]]) else "an infinity"
        column = f", column {', '.join(map(str, where[1:]))}" if len(where) > 1 else ""
        raise ValueError(f"{name} has {value} in row {first_row + start + where[0]}{column}")
    return array


def non_finite_row(x: ArrayLike, y: ArrayLike, dtype: np.dtype | None = None) -> str | None:
    """Describe the first row of a batch with a NaN or an infinity, as numbers of `dtype` if given, or return None."""
    for given, where in ((np.asarray(x), "inputs"), (np.asarray(y), "targets")):
        if given.dtype.kind != "f":
            continue
        with np.errstate(over="ignore"):
            array = given if dtype is None else given.astype(dtype, copy=False)
        if (row := first_row(~np.isfinite(array))) >= 0:
            cast = f" as {dtype}" if np.isfinite(given[row]).all() else ""
            return f"row {row} of the batch's {where} has a NaN or an infinity{cast}"
    return None


def is_one_hot(target: np.ndarray) -> bool:
    """Return whether targets are rows of zeros with a one, for two classes or more."""
    if target.ndim != 2 or target.shape[1] < 2:
        return False
    return bool((target.max(axis=1) == 1).all() and (np.count_nonzero(target, axis=1) == 1).all())


def digest(arrays: Iterable[np.ndarray], size: int = 8) -> str:
    """Return a digest, of `size` bytes, of the arrays' dtypes, shapes and values.

    Examples
    --------
    >>> digest([np.zeros(3)]) == digest([np.zeros(3)]), digest([np.zeros(3)]) == digest([np.zeros((3, 1))])
    (True, False)
    """
    found = hashlib.blake2b(digest_size=size)
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return found.hexdigest()
