"""The networks of the perceptrons: made as scikit-learn makes them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.layers import (
    ELU,
    GELU,
    SELU,
    BatchNorm1d,
    Dropout,
    Layer,
    LeakyReLU,
    Linear,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from ..nn.sequential import Sequential

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: scikit-learn's names, and pynn's.
ACTIVATIONS: dict[str, Any] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "prelu": PReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "softplus": Softplus,
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
