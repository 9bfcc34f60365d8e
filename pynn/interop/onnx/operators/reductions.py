"""Sums, means and extremes over dimensions, by NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Node

#: What a function of NumPy takes besides the array.
Axes = tuple[int, ...] | None


def _over(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return the operator that reduces over axes, which are an attribute or, later, an input."""

    def apply(node: Node, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
        given = node.get("axes") if axes is None else axes
        over: Axes = None if given is None or len(given) == 0 else tuple(int(axis) for axis in given)
        if over is None and node.get("noop_with_empty_axes", 0):
            over = ()
        return np.asarray(function(x, over, bool(node.get("keepdims", 1))), x.dtype)

    return apply


def _least(dtype: np.dtype[Any], largest: bool) -> Any:
    """Return the maximum or minimum of no elements: the value that any element replaces."""
    if dtype.kind == "f":
        return np.inf if largest else -np.inf
    if dtype.kind == "b":
        return largest
    return np.iinfo(dtype).max if largest else np.iinfo(dtype).min


def _max(x: np.ndarray, axis: Axes, keepdims: bool) -> Any:
    return np.max(x, axis, keepdims=keepdims, initial=_least(x.dtype, largest=False))


def _min(x: np.ndarray, axis: Axes, keepdims: bool) -> Any:
    return np.min(x, axis, keepdims=keepdims, initial=_least(x.dtype, largest=True))


def _sum(x: np.ndarray, axis: Axes, keepdims: bool) -> Any:
    return np.sum(x, axis, keepdims=keepdims, dtype=x.dtype)


def _log_sum_exp(x: np.ndarray, axis: Axes, keepdims: bool) -> Any:
    largest = np.where(np.isfinite(peak := _max(x, axis, True)), peak, 0).astype(x.dtype)
    with np.errstate(divide="ignore"):
        total = np.log(_sum(np.exp(x - largest), axis, True)) + largest
    return total if keepdims else np.asarray(total).reshape(np.max(x, axis, initial=0).shape)


def _log_sum(x: np.ndarray, axis: Axes, keepdims: bool) -> Any:
    with np.errstate(divide="ignore"):
        return np.log(_sum(x, axis, keepdims))


def _arg(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return the operator that finds the first extreme, or the last one where asked."""

    def apply(node: Node, x: np.ndarray) -> np.ndarray:
        axis, keepdims = node.get("axis", 0), bool(node.get("keepdims", 1))
        if node.get("select_last_index", 0):
            place = x.shape[axis] - 1 - function(np.flip(x, axis), axis=axis, keepdims=keepdims)
        else:
            place = function(x, axis=axis, keepdims=keepdims)
        return np.asarray(place, np.int64)

    return apply


def _running(function: Callable[..., Any], neutral: int) -> Callable[..., np.ndarray]:
    """Return the operator that reduces what comes before each element, and the element unless it is exclusive."""

    def apply(node: Node, x: np.ndarray, axis: np.ndarray) -> np.ndarray:
        along = int(axis)
        y = np.flip(x, along) if node.get("reverse", 0) else x
        if node.get("exclusive", 0):
            first = np.full_like(y.take([0], along), neutral)
            y = np.concatenate([first, y.take(np.arange(y.shape[along] - 1), along)], along)
        total = function(y, along, dtype=x.dtype)
        return np.flip(total, along) if node.get("reverse", 0) else total

    return apply


def _lp_normalization(node: Node, x: np.ndarray) -> np.ndarray:
    axis, p = node.get("axis", -1), node.get("p", 2)
    norm = _sum(np.abs(x) ** p, (axis,), True) ** (1 / p)
    return np.asarray(np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)), x.dtype)


def _hardmax(node: Node, x: np.ndarray) -> np.ndarray:
    axis = node.get("axis", 1 if node.opset < 13 else -1)
    if node.opset < 13:  # over all dimensions from this one on
        rows = x.reshape(math.prod(x.shape[:axis]), -1)
        return (np.arange(rows.shape[1]) == rows.argmax(axis=1)[:, None]).astype(x.dtype).reshape(x.shape)
    y = np.zeros_like(x)
    np.put_along_axis(y, x.argmax(axis=axis, keepdims=True), 1, axis)
    return y


OPERATORS: dict[str, Callable[..., Any]] = {
    "ArgMax": _arg(np.argmax),
    "ArgMin": _arg(np.argmin),
    "CumProd": _running(np.cumprod, 1),
    "CumSum": _running(np.cumsum, 0),
    "Hardmax": _hardmax,
    "LpNormalization": _lp_normalization,
    "ReduceL1": _over(lambda x, axis, keepdims: _sum(np.abs(x), axis, keepdims)),
    "ReduceL2": _over(lambda x, axis, keepdims: np.sqrt(_sum(np.square(x), axis, keepdims))),
    "ReduceLogSum": _over(_log_sum),
    "ReduceLogSumExp": _over(_log_sum_exp),
    "ReduceMax": _over(_max),
    "ReduceMean": _over(lambda x, axis, keepdims: np.mean(x, axis, keepdims=keepdims)),
    "ReduceMin": _over(_min),
    "ReduceProd": _over(lambda x, axis, keepdims: np.prod(x, axis, keepdims=keepdims, dtype=x.dtype)),
    "ReduceSum": _over(_sum),
    "ReduceSumSquare": _over(lambda x, axis, keepdims: _sum(np.square(x), axis, keepdims)),
}
