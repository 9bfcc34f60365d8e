"""Updates of weights by optimisers, each of any number of arrays at once (domain ai.onnx.preview.training)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Node

#: The new weights and the new state of one array, from the node, the rate, the step, the weights, the gradient with its
#: penalty, and the state.
Update = Callable[..., tuple[np.ndarray, ...]]


def _of_all(update: Update, states: int) -> Callable[..., tuple[np.ndarray, ...]]:
    """Return the operator that updates every array: all weights come first, then all gradients, then the state."""

    def apply(node: Node, rate: np.ndarray, step: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        count, rest = divmod(len(arrays), 2 + states)
        if rest:
            raise ValueError(f"{node} has {len(arrays)} arrays; expected {2 + states} for each of the weights")
        made = []
        for weight, gradient, *state in zip(
            *(arrays[i * count : (i + 1) * count] for i in range(2 + states)), strict=True
        ):
            penalised = node.get("norm_coefficient", 0.0) * weight + gradient
            made.append(update(node, float(rate.reshape(())), int(step.reshape(())), weight, penalised, *state))
        return tuple(array.astype(arrays[0].dtype, copy=False) for kind in zip(*made, strict=True) for array in kind)

    return apply


def _momentum(
    node: Node, rate: float, step: int, x: np.ndarray, g: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, ...]:
    alpha, mode = node.get("alpha"), node.get("mode")
    v = alpha * v + (node.get("beta") if step > 0 else 1.0) * g
    return x - rate * (g + alpha * v if mode == "nesterov" else v), v


def _adagrad(node: Node, rate: float, step: int, x: np.ndarray, g: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
    h = h + g * g
    return x - rate / (1 + step * node.get("decay_factor", 0.0)) * g / (np.sqrt(h) + node.get("epsilon", 1e-6)), h


def _adam(
    node: Node, rate: float, step: int, x: np.ndarray, g: np.ndarray, v: np.ndarray, h: np.ndarray
) -> tuple[np.ndarray, ...]:
    alpha, beta = node.get("alpha", 0.9), node.get("beta", 0.999)
    v, h = alpha * v + (1 - alpha) * g, beta * h + (1 - beta) * g * g
    if step > 0:
        rate *= math.sqrt(1 - beta**step) / (1 - alpha**step)
    x = x - rate * v / (np.sqrt(h) + node.get("epsilon", 1e-6))
    return (1 - node.get("norm_coefficient_post", 0.0)) * x, v, h


OPERATORS: dict[str, Callable[..., Any]] = {
    "ai.onnx.preview.training.Adagrad": _of_all(_adagrad, 1),
    "ai.onnx.preview.training.Adam": _of_all(_adam, 2),
    "ai.onnx.preview.training.Momentum": _of_all(_momentum, 1),
}
