"""Losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Node
from .floats import computed


def _nll(node: Node, logs: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return - sum_i w[label_i] logs[i, label_i] over sum_i w[label_i], of labels that are not ignored."""
    ignored = labels == node.get("ignore_index", labels.dtype.type(-(2**31)))
    used = np.where(ignored, 0, labels)
    picked = np.take_along_axis(logs, np.expand_dims(used, 1).astype(np.int64), 1).squeeze(1)
    weights = np.where(ignored, 0, 1 if weight is None else weight[used]).astype(logs.dtype)
    losses = -picked * weights
    how = node.get("reduction", "mean")
    if how == "none":
        return losses
    total = losses.sum(dtype=logs.dtype)
    return np.asarray(total if how == "sum" else total / weights.sum(), logs.dtype)


def _cross_entropy(
    node: Node, logits: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    (x,) = computed(node, logits)
    shifted = x - x.max(axis=1, keepdims=True)
    logs = (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(logits.dtype, copy=False)
    loss = _nll(node, logs, labels, weight)
    return (loss, logs) if len(node.outputs) > 1 else loss


OPERATORS: dict[str, Callable[..., Any]] = {
    "NegativeLogLikelihoodLoss": _nll,
    "SoftmaxCrossEntropyLoss": _cross_entropy,
}
