"""Arithmetic, comparison and conversion, element by element, by NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph import DTYPES, Node


def _of(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return the operator that calls a function of NumPy and keeps the dtype."""

    def apply(node: Node, *arrays: np.ndarray) -> np.ndarray:
        return np.asarray(function(*arrays), arrays[0].dtype)

    return apply


def _tells(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return the operator that calls a function of NumPy whose result is bool."""

    def apply(node: Node, *arrays: np.ndarray) -> np.ndarray:
        return np.asarray(function(*arrays), bool)

    return apply


def _folded(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return the operator of any number of inputs that a function of two reduces."""

    def apply(node: Node, *arrays: np.ndarray) -> np.ndarray:
        return np.asarray(functools.reduce(function, arrays), arrays[0].dtype)

    return apply


def _div(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f":
        return np.asarray(a / b, a.dtype)
    quotient = a // b  # rounds down; ONNX rounds towards zero
    return np.asarray(quotient + ((a % b != 0) & ((a < 0) != (b < 0))), a.dtype)


def _mod(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((np.fmod if node.get("fmod", 0) else np.mod)(a, b), a.dtype)


def _pow(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.power(a, b), a.dtype)


def _mean(node: Node, *arrays: np.ndarray) -> np.ndarray:
    return np.asarray(functools.reduce(np.add, arrays) / len(arrays), arrays[0].dtype)


def _clip(node: Node, x: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None) -> np.ndarray:
    lower = node.get("min") if low is None else low
    upper = node.get("max") if high is None else high
    y = x if lower is None else np.maximum(x, lower)
    return np.asarray(y if upper is None else np.minimum(y, upper), x.dtype)


def _cast(node: Node, x: np.ndarray) -> np.ndarray:
    dtype = DTYPES.get(node.get("to"))
    if dtype is None:
        raise UnsupportedError(f"{node} converts to an element type that NumPy does not have")
    return x.astype(dtype)


def _bit_cast(node: Node, x: np.ndarray) -> np.ndarray:
    dtype = DTYPES[node.get("to")]
    if dtype.itemsize != x.dtype.itemsize:
        raise ValueError(f"{node} reads {x.dtype} as {dtype}; expected a type of as many bits")
    return x.view(dtype)


def _cast_like(node: Node, x: np.ndarray, like: np.ndarray) -> np.ndarray:
    return x.astype(like.dtype)


def _thresholded(node: Node, x: np.ndarray) -> np.ndarray:
    return np.where(x > node.get("alpha", 1.0), x, 0).astype(x.dtype)


def _shrink(node: Node, x: np.ndarray) -> np.ndarray:
    limit, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    return np.where(x < -limit, x + bias, np.where(x > limit, x - bias, 0)).astype(x.dtype)


def _is_inf(node: Node, x: np.ndarray) -> np.ndarray:
    wanted = (x > 0) if not node.get("detect_negative", 1) else np.ones(x.shape, bool)
    return np.asarray(np.isinf(x) & wanted & ((x < 0) | bool(node.get("detect_positive", 1))))


def _bit_shift(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((np.left_shift if node.get("direction") == "LEFT" else np.right_shift)(a, b), a.dtype)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Abs": _of(np.abs),
    "Acos": _of(np.arccos),
    "Acosh": _of(np.arccosh),
    "Add": _of(np.add),
    "And": _tells(np.logical_and),
    "Asin": _of(np.arcsin),
    "Asinh": _of(np.arcsinh),
    "Atan": _of(np.arctan),
    "Atanh": _of(np.arctanh),
    "BitCast": _bit_cast,
    "BitShift": _bit_shift,
    "BitwiseAnd": _of(np.bitwise_and),
    "BitwiseNot": _of(np.bitwise_not),
    "BitwiseOr": _of(np.bitwise_or),
    "BitwiseXor": _of(np.bitwise_xor),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Ceil": _of(np.ceil),
    "Clip": _clip,
    "Cos": _of(np.cos),
    "Cosh": _of(np.cosh),
    "Div": _div,
    "Equal": _tells(np.equal),
    "Exp": _of(np.exp),
    "Floor": _of(np.floor),
    "Greater": _tells(np.greater),
    "GreaterOrEqual": _tells(np.greater_equal),
    "IsInf": _is_inf,
    "IsNaN": _tells(np.isnan),
    "Less": _tells(np.less),
    "LessOrEqual": _tells(np.less_equal),
    "Log": _of(np.log),
    "Max": _folded(np.maximum),
    "Mean": _mean,
    "Min": _folded(np.minimum),
    "Mod": _mod,
    "Mul": _of(np.multiply),
    "Neg": _of(np.negative),
    "Not": _tells(np.logical_not),
    "Or": _tells(np.logical_or),
    "Pow": _pow,
    "Reciprocal": _of(np.reciprocal),
    "Round": _of(np.round),
    "Shrink": _shrink,
    "Sign": _of(np.sign),
    "Sin": _of(np.sin),
    "Sinh": _of(np.sinh),
    "Sqrt": _of(np.sqrt),
    "Sub": _of(np.subtract),
    "Sum": _folded(np.add),
    "Tan": _of(np.tan),
    "ThresholdedRelu": _thresholded,
    "Where": lambda node, condition, x, y: np.where(condition, x, y),
    "Xor": _tells(np.logical_xor),
}
