"""The networks of the recipes, untrained."""

from __future__ import annotations

import numpy as np

from ..nn import layers
from ..nn.sequential import Sequential
from ..training.named import make_hidden_layers
from .recipe import MOST_BENDS, Recipe


def network(kind: Recipe, inputs: np.ndarray, outputs: int) -> Sequential:
    """Return an untrained network for preprocessed inputs; unless the user describes it, its first outputs are 0."""
    width = inputs.shape[1]
    chain: list[layers.Layer] = [layers.Dropout(kind.input_dropout)] if kind.input_dropout else []
    if kind.knots:
        bends = _bends(inputs, kind.knots)
        if bends is not None:
            chain += [bends, layers.ReLU(), layers.Dropout(kind.dropout)]
            width = bends.out_features
    chain += make_hidden_layers(width, kind.hidden, kind.activation, batchnorm=kind.batchnorm, dropout=kind.dropout)
    init = None if kind.name == "given" else "zeros"
    last = layers.Linear(kind.hidden[-1] if kind.hidden else width, outputs, init=init)
    if not (kind.skip and chain):
        return Sequential(*chain, last)
    return Sequential(layers.Residual(Sequential(*chain, last), layers.Linear(inputs.shape[1], outputs, init="zeros")))


def _bends(inputs: np.ndarray, knots: int) -> layers.Linear | None:
    """Return a layer of units x_j - t, with t at quantiles of input j; None if no input has more than two values."""
    varied = [column for column, values in enumerate(inputs.T) if len(np.unique(values)) > 2]
    each = min(knots, MOST_BENDS // max(1, len(varied)))
    places: list[tuple[int, float]] = []
    for column in varied:
        values = inputs[:, column]
        inner = np.unique(np.quantile(values, np.linspace(0, 1, each + 2)[1:-1]))
        places += [(column, knot) for knot in inner if values.min() < knot < values.max()]
    if not places:
        return None
    layer = layers.Linear(inputs.shape[1], len(places), init="zeros")
    columns, thresholds = zip(*places, strict=True)
    layer.weight[list(columns), np.arange(len(places))] = 1
    assert layer.bias is not None
    layer.bias[...] = -np.array(thresholds)
    return layer
