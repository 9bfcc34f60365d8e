"""The networks of the perceptrons: made as scikit-learn makes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn import layers as known
from ..nn.layers import BatchNorm1d, Dropout, EmbedColumns, Embedding, Layer, Linear
from ..nn.sequential import Sequential
from ..utils.config import parameters_of
from .columns import VECTOR

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


def perceptron(
    units: Sequence[int],
    activation: str,
    dropout: float,
    batch_norm: bool,
    dtype: DTypeLike,
    cardinalities: Sequence[int] = (),
) -> Sequential:
    """Return a network whose layers have `units` units, inputs and outputs included; its weights are 0.

    Columns with a cardinality above 0 become vectors first.
    """
    layers: list[Layer] = []
    if any(cardinalities):
        layers.append(EmbedColumns(cardinalities, VECTOR, init="zeros", dtype=dtype))
    for place, (fan_in, fan_out) in enumerate(pairwise(units)):
        layers.append(Linear(fan_in, fan_out, init="zeros", dtype=dtype))
        if place == len(units) - 2:
            break
        kind = ACTIVATIONS[activation]
        if batch_norm:
            layers.append(BatchNorm1d(fan_out, dtype=dtype))
        if kind is not None:
            layers.append(kind(dtype=dtype) if "dtype" in parameters_of(kind) else kind())
        if dropout:
            layers.append(Dropout(dropout))
    return Sequential(*layers)


def embedded_width(cardinalities: Sequence[int]) -> int:
    """Return the number of units that the first matrix of weights takes."""
    return sum(VECTOR if size else 1 for size in cardinalities)


def linears(model: Sequential) -> list[Linear]:
    """Return the layers with a matrix of weights."""
    return [layer for layer in model.leaves() if isinstance(layer, Linear)]


def draw_weights(model: Sequential, activation: str, random: np.random.RandomState) -> None:
    """Draw weights and biases as scikit-learn does (Glorot and Bengio 2010), in its order of random numbers.

    Vectors of categories are normal like standardized numbers; that of unknown categories starts at 0.
    """
    for layer in linears(model):
        shape = layer.weight.shape
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / sum(shape))
        layer.weight[...] = random.uniform(-bound, bound, shape)
        assert layer.bias is not None
        layer.bias[...] = random.uniform(-bound, bound, shape[1])
    for table in (layer for layer in model.all_layers() if isinstance(layer, Embedding)):
        table.weight[1:] = random.normal(size=(table.num_embeddings - 1, table.embedding_dim))
