"""Matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import ops
from ..graph import Node
from .floats import computed


def _matmul(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind != "f":
        return np.matmul(a, b)
    left, right = computed(node, a, b)
    if left.ndim == right.ndim == 2:
        return ops.matmul(left, right).astype(a.dtype, copy=False)
    if right.ndim == 2 and left.ndim > 2:  # one matrix for all: a single product
        rows = ops.matmul(left.reshape(-1, left.shape[-1]), right)
        return rows.reshape(*left.shape[:-1], right.shape[1]).astype(a.dtype, copy=False)
    return np.asarray(np.matmul(left, right), a.dtype)


def _gemm(node: Node, a: np.ndarray, b: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    trans_a, trans_b = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    if a.dtype.kind != "f":
        product = (a.T if trans_a else a) @ (b.T if trans_b else b) * int(alpha)
        return np.asarray(product if c is None else product + c * int(beta), a.dtype)
    left, right, added = computed(node, a, b, c)
    width = right.shape[0 if trans_b else 1]
    vector = alpha == beta == 1 and added is not None and added.shape in ((width,), (1, width))
    bias = added.reshape(-1) if vector else None
    y = ops.matmul(left, right, trans_a=trans_a, trans_b=trans_b, bias=bias)
    if alpha != 1:
        y *= y.dtype.type(alpha)
    if added is not None and not vector:
        y = y + added * y.dtype.type(beta)
    return y.astype(a.dtype, copy=False)


def _einsum(node: Node, *arrays: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum(node.get("equation"), *arrays), arrays[0].dtype)


OPERATORS: dict[str, Callable[..., Any]] = {"Einsum": _einsum, "Gemm": _gemm, "MatMul": _matmul}
