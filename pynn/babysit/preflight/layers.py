"""Checks of the network: its output, its non-linearity, and whether its units differ."""

from __future__ import annotations

import numpy as np

from ...nn.layers import Conv2d, Layer, Linear
from ...nn.traversal import parts
from ..activations import STRAIGHT
from .case import MULTIPLIES, Case
from .report import Check, failed, passed, skipped, warned


def non_linearity(case: Case) -> Check:
    """Check that there is a non-linearity between the linear layers."""
    name = "non-linearity"
    hidden = _hidden_softmax(case)
    if hidden is not None:
        evidence = "its outputs sum to 1 in each example: a softmax between layers leaves little signal and gradient"
        return warned(name, "vanishing_gradient", evidence, "Put an activation such as ReLU there.", hidden)
    layers = [(part.label, part.layer) for part in parts(case.model)]
    linear = [(label, layer) for label, layer in layers if isinstance(layer, Linear | Conv2d)]
    kinds = " and ".join(dict.fromkeys(type(layer).__name__ for _, layer in linear)) or "Linear"
    straight = all(isinstance(layer, STRAIGHT) for _, layer in layers)
    if len(linear) < 2 or not straight:
        return passed(name, f"{len(linear)} {kinds} layers among {len(layers)} layers")
    evidence = f"{len(linear)} {kinds} layers with no activation between them compute one linear function"
    return warned(
        name, "underfitting", evidence, "Put an activation such as ReLU after each hidden layer.", linear[0][0]
    )


def _hidden_softmax(case: Case) -> str | None:
    """Return the first layer before others with weights whose outputs are probabilities, summing to 1 over a row."""
    walk = case.first_pass
    weighted = [i for i, (_, layer) in enumerate(walk.layers) if isinstance(layer, MULTIPLIES)]
    for (label, layer), given, out in list(zip(walk.layers, walk.inputs, walk.outputs, strict=True))[
        : max(weighted, default=0)
    ]:
        made = not layer.parameters() and given.ndim > 1 and np.abs(given.sum(axis=1) - 1).max() > 0.1
        if made and out.ndim > 1 and out.shape[1] > 1 and out.min() >= 0 and np.abs(out.sum(axis=1) - 1).max() < 1e-3:
            return label
    return None


def symmetric_units(case: Case) -> Check:
    """Check that hidden units do not start alike and stay alike: equal weights get equal gradients."""
    name = "symmetric units"
    walk = case.first_pass
    linear = [
        (label, layer, branch)
        for (label, layer), branch in zip(walk.layers, walk.branches, strict=True)
        if isinstance(layer, MULTIPLIES)
    ]
    worst = (0.0, "", False)
    for label, layer, branch in linear[:-1]:
        units = layer.out_channels if isinstance(layer, Conv2d) else layer.out_features
        if layer.weight.frozen or units < 2:
            continue
        alike = _share_alike(layer, layer.weight.data, None if layer.bias is None else layer.bias.data)
        together = _share_alike(layer, layer.weight.grad, None)
        worst = max(worst, (min(alike, together), label, True))
        if not branch or layer.weight.data.any():  # a residual branch may start at zero
            worst = max(worst, (0.9 * alike, label, False))
    share, label, stays = worst
    advice = 'Initialise the weights at random, for instance init="he_normal".'
    if len(linear) < 2:
        return skipped(name, "there is no hidden layer with weights")
    if share >= 0.5 and stays:
        evidence = f"{share:.0%} of the units start with the same weights as another and get the same gradient"
        return failed(name, "symmetric_units", evidence, advice, label)
    if share >= 0.45:
        evidence = f"{share / 0.9:.0%} of the units start with the same weights as another; only their gradients differ"
        return warned(name, "symmetric_units", evidence, advice, label)
    return passed(name, "in no hidden layer do half of the units have equal weights")


def _share_alike(layer: Layer, weight: np.ndarray, bias: np.ndarray | None) -> float:
    """Return the share of units equal to another one; units of different groups are distinct."""
    units = weight.reshape(len(weight), -1) if isinstance(layer, Conv2d) else weight.T
    units = units if bias is None or not bias.any() else np.column_stack([units, bias])
    scale = float(np.abs(units).max()) or 1.0
    rounded = np.round(units.astype(np.float64) / scale, 6) + 0.0
    group = np.arange(len(units)) * getattr(layer, "groups", 1) // len(units)
    _, counts = np.unique(np.column_stack([rounded, group]), axis=0, return_counts=True)
    return float(counts[counts > 1].sum() / counts.sum())
