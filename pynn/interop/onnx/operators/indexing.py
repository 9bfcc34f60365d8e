"""Elements taken from, and written to, places that other arrays name, by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph import Node
from .limits import dimension

#: How ScatterElements and ScatterND join what they write with what is there.
_JOINED: dict[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _wrapped(places: np.ndarray, size: int) -> np.ndarray:
    """Return places that count from the end as those from the beginning."""
    return np.where(places < 0, places + size, places).astype(np.intp)


def _write(node: Node, x: np.ndarray, places: tuple[np.ndarray, ...], updates: np.ndarray) -> np.ndarray:
    y, how = x.copy(), node.get("reduction", "none")
    if how == "none":
        y[places] = updates
    elif how in _JOINED:
        _JOINED[how].at(y, places, updates)
    else:
        raise UnsupportedError(f"{node} has reduction {how!r}; expected none, {', '.join(_JOINED)}")
    return y


def _scatter_elements(node: Node, x: np.ndarray, places: np.ndarray, updates: np.ndarray) -> np.ndarray:
    axis = dimension(node, node.get("axis", 0), x.ndim)
    at = list(np.ogrid[tuple(slice(size) for size in places.shape)])
    at[axis] = _wrapped(places, x.shape[axis])
    return _write(node, x, tuple(at), updates)


def _scatter_nd(node: Node, x: np.ndarray, places: np.ndarray, updates: np.ndarray) -> np.ndarray:
    columns = np.moveaxis(places, -1, 0)
    return _write(node, x, tuple(_wrapped(at, n) for at, n in zip(columns, x.shape, strict=False)), updates)


def _gather_nd(node: Node, x: np.ndarray, places: np.ndarray) -> np.ndarray:
    shared = node.get("batch_dims", 0)
    rows = np.ogrid[tuple(slice(size) for size in places.shape[:-1])][:shared]
    columns = np.moveaxis(places, -1, 0)
    at = [_wrapped(column, n) for column, n in zip(columns, x.shape[shared:], strict=False)]
    return x[(*rows, *at)]


def _top_k(node: Node, x: np.ndarray, k: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    count, axis = int(node.get("k") if k is None else k.reshape(-1)[0]), node.get("axis", -1)
    keys = np.flip(x, axis) if node.get("largest", 1) else x
    order = np.argsort(keys, axis, kind="stable")  # of equal elements the first comes first
    if node.get("largest", 1):
        order = x.shape[axis] - 1 - np.flip(order, axis)
    order = order.take(np.arange(count), axis)
    return np.take_along_axis(x, order, axis), order.astype(np.int64)


def _compress(node: Node, x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    return np.compress(condition, x, node.get("axis"))


def _reverse_sequence(node: Node, x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    batch, time = node.get("batch_axis", 1), node.get("time_axis", 0)
    y = x.copy()
    for example, length in enumerate(lengths):
        part: list[Any] = [slice(None)] * x.ndim
        part[batch], part[time] = slice(example, example + 1), slice(int(length))
        y[tuple(part)] = np.flip(x[tuple(part)], time)
    return y


def _non_zero(node: Node, x: np.ndarray) -> np.ndarray:
    return np.array(np.nonzero(x), np.int64).reshape(x.ndim, -1)


def _unique(node: Node, x: np.ndarray) -> tuple[np.ndarray, ...]:
    axis = node.get("axis")
    values, first, back, counts = np.unique(x, True, True, True, axis=axis)
    if not node.get("sorted", 1):
        order = np.argsort(first)
        values, first, counts = values.take(order, axis or 0), first[order], counts[order]
        back = np.argsort(order)[back]
    return values, *(array.reshape(-1).astype(np.int64) for array in (first, back, counts))


OPERATORS: dict[str, Callable[..., Any]] = {
    "Compress": _compress,
    "GatherND": _gather_nd,
    "NonZero": _non_zero,
    "ReverseSequence": _reverse_sequence,
    "Scatter": _scatter_elements,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TopK": _top_k,
    "Unique": _unique,
}
