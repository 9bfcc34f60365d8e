"""Normalisation and dropout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import ops
from ..graph import Node
from .floats import computed
from .limits import affordable, dimension


def _batch_norm(node: Node, x: np.ndarray, *statistics: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
    arrays = computed(node, x, *statistics)
    flat = arrays[0].reshape(*x.shape[:2], -1) if x.ndim > 2 else arrays[0]
    normalize = ops.batch_norm2d if x.ndim > 2 else ops.batch_norm
    eps, training = node.get("epsilon", 1e-5), bool(node.get("training_mode", 0))
    gamma, beta, mean, var = (array.astype(flat.dtype) for array in arrays[1:])
    if not training:
        y, *_ = normalize(flat, gamma, beta, mean, var, eps=eps, training=False)
        return y.reshape(x.shape).astype(x.dtype, copy=False)
    # ONNX weights the old statistics by its momentum, and keeps the variance over n, where the op's is over n - 1.
    new, keep = 1 - node.get("momentum", 0.9), node.get("momentum", 0.9)
    old, count = var.copy(), flat.size // x.shape[1]
    y, *_ = normalize(flat, gamma, beta, mean, var, eps=eps, momentum=new)
    var = keep * old + (var - keep * old) * ((count - 1) / count)
    given = (y.reshape(x.shape), mean, var)
    dtypes = (x.dtype, statistics[2].dtype, statistics[3].dtype)
    return tuple(array.astype(dtype, copy=False) for array, dtype in zip(given, dtypes, strict=True))


def _layer_norm(
    node: Node, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray | None = None
) -> np.ndarray | tuple[np.ndarray, ...]:
    a, scale, shift = computed(node, x, gamma, beta)
    axis = dimension(node, node.get("axis", -1), x.ndim)
    shape = x.shape[axis:]
    rows = a.reshape(-1, *shape)
    plain = scale.shape == shape and (shift is None or shift.shape == shape)
    affine = (scale, shift) if plain else (None, None)
    y, mean, rstd = ops.layer_norm(rows, shape, *affine, eps=node.get("epsilon", 1e-5))
    y = y.reshape(x.shape)
    if not plain:  # gamma and beta broadcast against x
        y = y * scale if shift is None else y * scale + shift
    statistics = x.shape[:axis] + (1,) * len(shape)
    y = y.astype(x.dtype, copy=False)
    return (y, mean.reshape(statistics), rstd.reshape(statistics)) if len(node.outputs) > 1 else y


def _group_norm(node: Node, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    groups = node.get("num_groups")
    if node.opset < 21 and len(gamma) == groups:  # one gamma per group
        gamma, beta = (np.repeat(array, x.shape[1] // groups) for array in (gamma, beta))
    return _grouped(node, x, groups, gamma, beta)


def _instance_norm(node: Node, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return _grouped(node, x, x.shape[1], gamma, beta)


def _grouped(node: Node, x: np.ndarray, groups: int, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    a, scale, shift = computed(node, x, gamma, beta)
    y, *_ = ops.group_norm(a, groups, scale, shift, eps=node.get("epsilon", 1e-5))
    return y.astype(x.dtype, copy=False)


def _rms_norm(node: Node, x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    a, gamma = computed(node, x, scale)
    axes = tuple(range(dimension(node, node.get("axis", -1), x.ndim), x.ndim))
    power = np.square(a).mean(axis=axes, keepdims=True) + a.dtype.type(node.get("epsilon", 1e-5))
    return (a / np.sqrt(power) * gamma).astype(x.dtype, copy=False)


def _mean_variance_normalization(node: Node, x: np.ndarray) -> np.ndarray:
    (a,) = computed(node, x)
    axes = tuple(node.get("axes") or (0, 2, 3))
    mean = a.mean(axis=axes, keepdims=True)
    return ((a - mean) / (np.sqrt(np.square(a - mean).mean(axis=axes, keepdims=True)) + 1e-9)).astype(x.dtype)


def _lrn(node: Node, x: np.ndarray) -> np.ndarray:
    size, channels = node.get("size"), x.shape[1]
    before = math.floor((size - 1) / 2)
    affordable(node, (len(x), channels + size - 1, *x.shape[2:]))
    squares = np.pad(np.square(x), [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)])
    total = np.zeros_like(x)
    for offset in range(size):
        total += squares[:, offset : offset + channels]
    base = node.get("bias", 1.0) + node.get("alpha", 1e-4) / size * total
    return (x / base ** node.get("beta", 0.75)).astype(x.dtype, copy=False)


def _dropout(node: Node, x: np.ndarray, *ignored: np.ndarray) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    return (x, np.ones(x.shape, bool)) if len(node.outputs) > 1 else x


OPERATORS: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "MeanVarianceNormalization": _mean_variance_normalization,
    "RMSNormalization": _rms_norm,
}
