"""The networks of the perceptrons: made as scikit-learn makes them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn import layers as known
from ..nn.layers import BatchNorm1d, Dropout, Layer, Linear
from ..nn.sequential import Sequential

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: scikit-learn's names, and pynn's.
ACTIVATIONS: dict[str, Any] = {
    "identity": None,
    "logistic": known.Sigmoid,
    "tanh": known.Tanh,
    "relu": known.ReLU,
    "celu": known.CELU,
    "elu": known.ELU,
    "gelu": known.GELU,
    "hardsigmoid": known.Hardsigmoid,
    "hardswish": known.Hardswish,
    "hardtanh": known.Hardtanh,
    "leaky_relu": known.LeakyReLU,
    "mish": known.Mish,
    "prelu": known.PReLU,
    "relu6": known.ReLU6,
    "selu": known.SELU,
    "silu": known.SiLU,
    "softplus": known.Softplus,
    "softsign": known.Softsign,
}


def perceptron(units: Sequence[int], activation: str, dropout: float, batch_norm: bool, dtype: DTypeLike) -> Sequential:
    """Return a network whose layers have `units` units, inputs and outputs included; its weights are 0."""
    layers: list[Layer] = []
    for place, (fan_in, fan_out) in enumerate(pairwise(units)):
        layers.append(Linear(fan_in, fan_out, init="zeros", dtype=dtype))
        if place == len(units) - 2:
            break
        kind = ACTIVATIONS[activation]
        if batch_norm:
            layers.append(BatchNorm1d(fan_out, dtype=dtype))
        if kind is not None:
            layers.append(kind(dtype=dtype) if "dtype" in inspect.signature(kind).parameters else kind())
        if dropout:
            layers.append(Dropout(dropout))
    return Sequential(*layers)


def linears(model: Sequential) -> list[Linear]:
    """Return the layers with a matrix of weights."""
    return [layer for layer in model.leaves() if isinstance(layer, Linear)]


def draw_weights(model: Sequential, activation: str, random: np.random.RandomState) -> None:
    """Draw weights and biases as scikit-learn does (Glorot and Bengio 2010), in its order of random numbers."""
    for layer in linears(model):
        shape = layer.weight.shape
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / sum(shape))
        layer.weight[...] = random.uniform(-bound, bound, shape)
        assert layer.bias is not None
        layer.bias[...] = random.uniform(-bound, bound, shape[1])
