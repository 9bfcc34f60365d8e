"""The networks of the recipes, untrained."""

from __future__ import annotations

import numpy as np

from ..nn import layers
from ..nn.sequential import Sequential
from ..training.named import make_hidden_layers
from .recipe import MOST_BENDS, Recipe

#: Where units bend: pairs of an input and a threshold.
Places = list[tuple[int, float]]


def network(kind: Recipe, features: int, outputs: int, places: Places) -> Sequential:
    """Return an untrained network for preprocessed inputs; unless the user describes it, its first outputs are 0.

    If the kind has knots, `places` are those of its first layer.
    """
    width = features
    chain: list[layers.Layer] = [layers.Dropout(kind.input_dropout)] if kind.input_dropout else []
    if kind.knots and places:
        chain += [_bends(features, places), layers.ReLU(), layers.Dropout(kind.dropout)]
        width = len(places)
    chain += make_hidden_layers(width, kind.hidden, kind.activation, batchnorm=kind.batchnorm, dropout=kind.dropout)
    init = None if kind.name == "given" else "zeros"
    last = layers.Linear(kind.hidden[-1] if kind.hidden else width, outputs, init=init)
    if not (kind.skip and chain):
        return Sequential(*chain, last)
    return Sequential(layers.Residual(Sequential(*chain, last), layers.Linear(features, outputs, init="zeros")))


def bending_places(inputs: np.ndarray, knots: int) -> Places:
    """Return quantiles of the inputs, at most `knots` of each; none of an input with two values."""
    varied = [column for column, values in enumerate(inputs.T) if len(np.unique(values)) > 2]
    each = min(knots, MOST_BENDS // max(1, len(varied)))
    places: Places = []
    for column in varied:
        values = inputs[:, column]
        inner = np.unique(np.quantile(values, np.linspace(0, 1, each + 2)[1:-1]))
        places += [(column, knot) for knot in inner if values.min() < knot < values.max()]
    return places


def _bends(features: int, places: Places) -> layers.Linear:
    """Return a layer of units x_j - t."""
    layer = layers.Linear(features, len(places), init="zeros")
    columns, thresholds = zip(*places, strict=True)
    layer.weight[list(columns), np.arange(len(places))] = 1
    assert layer.bias is not None
    layer.bias[...] = -np.array(thresholds)
    return layer
