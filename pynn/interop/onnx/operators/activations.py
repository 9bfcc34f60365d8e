"""Activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import ops
from ..graph import Node
from .floats import computed
from .limits import dimension

#: The values of an attribute that is absent.
SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}


def _elementwise(op: Callable[..., np.ndarray], *defaults: tuple[str, Any]) -> Callable[..., np.ndarray]:
    """Return the operator that calls an op with the attributes named, or their defaults."""

    def apply(node: Node, x: np.ndarray) -> np.ndarray:
        (y,) = computed(node, x)
        return op(y, *(node.get(name, default) for name, default in defaults)).astype(x.dtype, copy=False)

    return apply


def _selu(x: np.ndarray, alpha: float, gamma: float) -> np.ndarray:
    return ops.elu(x, alpha) * x.dtype.type(gamma)


def _prelu(node: Node, x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    a, b = computed(node, x, slope)
    # The op's slopes belong to the second dimension; those of ONNX broadcast against all.
    shape = (1,) * (a.ndim - b.ndim) + b.shape
    if a.ndim > 1 and b.size in (1, a.shape[1]) and all(n == 1 for k, n in enumerate(shape) if k != 1):
        return ops.prelu(a, b.reshape(-1)).astype(x.dtype, copy=False)
    return np.where(a >= 0, a, a * b).astype(x.dtype, copy=False)


def _swish(x: np.ndarray, alpha: float) -> np.ndarray:
    return ops.silu(x) if alpha == 1 else x * ops.sigmoid(x * x.dtype.type(alpha))


def _swiglu(node: Node, gate: np.ndarray, x: np.ndarray) -> np.ndarray:
    a, b = computed(node, gate, x)
    return (_swish(a, node.get("alpha", 1.0)) * b).astype(x.dtype, copy=False)


def _hard_sigmoid(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    return np.clip(x * x.dtype.type(alpha) + x.dtype.type(beta), 0, 1)


def _shifted(node: Node, x: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return the logits less their maximum, and the axes of the classes: before opset 13, all from `axis` on."""
    if node.opset >= 13:
        axes: Any = node.get("axis", -1)
    else:
        axes = tuple(range(dimension(node, node.get("axis", 1), x.ndim), x.ndim))
    return x - x.max(axis=axes, keepdims=True), axes


def _softmax(node: Node, x: np.ndarray) -> np.ndarray:
    logits, axes = _shifted(node, x)
    exponential = np.exp(logits)
    return exponential / exponential.sum(axis=axes, keepdims=True)


def _log_softmax(node: Node, x: np.ndarray) -> np.ndarray:
    logits, axes = _shifted(node, x)
    return logits - np.log(np.exp(logits).sum(axis=axes, keepdims=True))


def _erf(node: Node, x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Celu": _elementwise(ops.celu, ("alpha", 1.0)),
    "Elu": _elementwise(ops.elu, ("alpha", 1.0)),
    "Erf": _erf,
    "Gelu": _elementwise(ops.gelu, ("approximate", "none")),
    "HardSigmoid": _elementwise(_hard_sigmoid, ("alpha", 0.2), ("beta", 0.5)),
    "HardSwish": _elementwise(ops.hardswish),
    "LeakyRelu": _elementwise(ops.leaky_relu, ("alpha", 0.01)),
    "LogSoftmax": _log_softmax,
    "Mish": _elementwise(ops.mish),
    "PRelu": _prelu,
    "Relu": _elementwise(ops.relu),
    "Selu": _elementwise(_selu, *SELU.items()),
    "Sigmoid": _elementwise(ops.sigmoid),
    "Softmax": _softmax,
    "Softplus": _elementwise(ops.softplus),
    "Softsign": _elementwise(ops.softsign),
    "SwiGLU": _swiglu,
    "Swish": _elementwise(_swish, ("alpha", 1.0)),
    "Tanh": _elementwise(ops.tanh),
}
