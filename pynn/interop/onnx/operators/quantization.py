"""Numbers as small integers with a scale, and products of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import DTYPES, Node
from .convolutions import OPERATORS as CONVOLUTIONS
from .limits import dimension


def _spread(node: Node, parameter: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return scales or zero points as they broadcast against x: one, one per place along an axis, or per block."""
    if parameter.size == 1 and parameter.ndim < 2:
        return parameter.reshape(())
    axis, block = dimension(node, node.get("axis", 1), x.ndim), node.get("block_size", 0)
    if block:
        return parameter.take(np.arange(x.shape[axis]) // block, axis)
    return parameter.reshape([-1 if k == axis else 1 for k in range(x.ndim)])


def _quantized(x: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Return x / scale + zero, rounded to even and limited to the range of the dtype of `zero`."""
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(x / scale) + zero.astype(np.float64), limits.min, limits.max).astype(zero.dtype)


def _quantize(node: Node, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    if zero is None:
        zero = np.zeros(scale.shape, DTYPES[node.get("output_dtype", 0) or 2])  # uint8 by default
    precision = DTYPES.get(node.get("precision", 0), scale.dtype)
    return _quantized(x.astype(precision), _spread(node, scale, x).astype(precision), _spread(node, zero, x))


def _dequantize(node: Node, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    factor = _spread(node, scale, x)
    dtype = DTYPES[node.get("output_dtype")] if node.get("output_dtype", 0) else scale.dtype
    whole = x.astype(np.int64) if zero is None else x.astype(np.int64) - _spread(node, zero, x).astype(np.int64)
    return (whole.astype(factor.dtype) * factor).astype(dtype)


def _quantize_dynamically(node: Node, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low, high = min(x.min(initial=0), 0), max(x.max(initial=0), 0)
    scale = np.asarray((high - low) / 255, np.float32)
    divisor = scale if scale else np.ones((), np.float32)  # of zeros only
    zero = np.asarray(np.clip(np.rint(-low / divisor), 0, 255), np.uint8)
    return _quantized(x, divisor, zero), scale, zero


def _centred(x: np.ndarray, zero: np.ndarray | None, axis: int) -> np.ndarray:
    """Return x - zero, one for all or one per place along an axis."""
    whole = x.astype(np.int64)
    if zero is None:
        return whole
    if zero.ndim == 1 and zero.size > 1:
        zero = zero.reshape([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)])
    return whole - zero.astype(np.int64)


def _matmul_integer(
    node: Node, a: np.ndarray, b: np.ndarray, a_zero: np.ndarray | None = None, b_zero: np.ndarray | None = None
) -> np.ndarray:
    return np.matmul(_centred(a, a_zero, -2), _centred(b, b_zero, -1)).astype(np.int32)


def _qlinear_matmul(
    node: Node,
    a: np.ndarray,
    a_scale: np.ndarray,
    a_zero: np.ndarray,
    b: np.ndarray,
    b_scale: np.ndarray,
    b_zero: np.ndarray,
    y_scale: np.ndarray,
    y_zero: np.ndarray,
) -> np.ndarray:
    product = np.matmul(_centred(a, a_zero, -2), _centred(b, b_zero, -1))
    scales = a_scale.astype(np.float32), b_scale.astype(np.float32)
    left = scales[0].reshape(-1, 1) if scales[0].size > 1 else scales[0].reshape(())
    right = scales[1].reshape(()) if scales[1].size == 1 else scales[1]
    return _quantized(product * left * right, y_scale.astype(np.float32), y_zero)


def _conv_integer(
    node: Node, x: np.ndarray, w: np.ndarray, x_zero: np.ndarray | None = None, w_zero: np.ndarray | None = None
) -> np.ndarray:
    # In float64, which holds sums of products of bytes exactly.
    images, filters = _centred(x, x_zero, 1).astype(np.float64), _centred(w, w_zero, 0).astype(np.float64)
    return np.rint(CONVOLUTIONS["Conv"](node, images, filters)).astype(np.int32)


def _qlinear_conv(
    node: Node,
    x: np.ndarray,
    x_scale: np.ndarray,
    x_zero: np.ndarray,
    w: np.ndarray,
    w_scale: np.ndarray,
    w_zero: np.ndarray,
    y_scale: np.ndarray,
    y_zero: np.ndarray,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    total = _conv_integer(node, x, w, x_zero, w_zero).astype(np.int64)
    per_filter = (-1, *(1,) * (x.ndim - 2))
    if bias is not None:
        total += bias.astype(np.int64).reshape(per_filter)
    scale = w_scale.reshape(per_filter) if w_scale.size > 1 else w_scale.reshape(())
    return _quantized(total * (x_scale * scale), y_scale, y_zero)


OPERATORS: dict[str, Callable[..., Any]] = {
    "ConvInteger": _conv_integer,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _quantize_dynamically,
    "MatMulInteger": _matmul_integer,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "QuantizeLinear": _quantize,
}
