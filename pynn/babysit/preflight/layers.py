"""Checks of the network: its output, its non-linearity, and whether its units differ."""

from __future__ import annotations

import numpy as np

from ...nn.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    Hardsigmoid,
    Hardtanh,
    Identity,
    Layer,
    Linear,
    LogSigmoid,
    ReLU,
    ReLU6,
    Residual,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    Unflatten,
    Upsample,
    ZeroPad2d,
)
from ...nn.traversal import parts
from ...utils.config import is_own
from .case import MULTIPLIES, Case, chain
from .report import Check, failed, passed, skipped, warned

#: Linear layers, and layers that add no non-linearity.
STRAIGHT = Linear | Conv2d | ConvTranspose2d | AvgPool2d | AdaptiveAvgPool2d | Upsample | BatchNorm | Dropout
STRAIGHT |= Flatten | Unflatten | Identity | ZeroPad2d | Residual | Concat

#: Activations whose outputs are bounded on both sides.
BOUNDED = Sigmoid | Tanh | Hardsigmoid | Hardtanh | Softsign | ReLU6

#: What the activations can give, as the last layer.
REACH: dict[type, tuple[float, float]] = {
    Sigmoid: (0, 1),
    Hardsigmoid: (0, 1),
    Tanh: (-1, 1),
    Softsign: (-1, 1),
    ReLU: (0, np.inf),
    ReLU6: (0, 6),
    Softplus: (0, np.inf),
    LogSigmoid: (-np.inf, 0),
}

NETWORK_OUTPUT = "network output"


def network_output(case: Case) -> Check:
    """Check that the output fits the loss: logits, not probabilities; targets in range."""
    name = NETWORK_OUTPUT
    part = case.take(case.rows(case.affordable(256)))
    output = case.model.infer(part.x).astype(np.float64)
    last_name, last = next(item for item in reversed(chain(case.model)) if not isinstance(item[1], Dropout | Flatten))
    evidence = f"outputs from {output.min():.3g} to {output.max():.3g}"
    kind = case.loss.output_kind
    final_name, final = chain(case.model)[-1]
    if isinstance(final, Dropout) and final.p > 0:
        evidence += f", of which dropout zeroes {final.p:.0%} in training"
        return warned(
            name, "underfitting", evidence, f"Remove {final_name}: dropout belongs between layers.", final_name
        )
    if kind in ("classes", "scores", "binary"):
        return _as_logits(case, output, last_name, last, evidence)
    return _in_reach(case, output, last_name, last, evidence)


def _as_logits(case: Case, output: np.ndarray, last_name: str, last: Layer, evidence: str) -> Check:
    """Check that outputs that a loss turns into probabilities are neither probabilities yet nor bounded."""
    name, kind = NETWORK_OUTPUT, case.loss.output_kind
    remove = f"Remove {last_name}: the loss itself turns any numbers into probabilities."
    if kind in ("classes", "scores") and output.ndim == 2 and output.shape[1] > 1:
        sums = output.sum(axis=1)
        if output.min() >= 0 and np.abs(sums - 1).max() < 1e-3:
            evidence += f", each row's sum from {sums.min():.4g} to {sums.max():.4g}: these are probabilities"
            return failed(name, "not_learning", evidence, remove, last_name)
    if isinstance(last, BOUNDED):
        evidence += f", which {type(last).__name__} bounds: the loss cannot come near 0"
        return failed(name, "saturated_units", evidence, remove, last_name)
    if isinstance(last, ReLU | Softplus):
        evidence += f", never negative after {type(last).__name__}"
        report = failed if kind == "binary" else warned
        return report(name, "dead_units", evidence, remove, last_name)
    inside = output.min() >= 0 and output.max() <= 1 and len(output) >= 8 and output.std() > 0
    if kind == "binary" and is_own(last) and inside:
        evidence += ": these look like probabilities"
        return failed(name, "saturated_units", evidence, remove, last_name)
    if kind != "binary" and output.ndim == 2 and len(np.unique(case.examples.y)) * 3 < output.shape[1]:
        found = len(np.unique(case.examples.y))
        if case.size >= 10 * output.shape[1]:
            evidence = f"{output.shape[1]} outputs for {found} classes that occur"
            return warned(name, None, evidence, "Give the last layer one output per class.")
    return passed(name, evidence)


def _in_reach(case: Case, output: np.ndarray, last_name: str, last: Layer, evidence: str) -> Check:
    """Check that the last layer can give the targets."""
    name = NETWORK_OUTPUT
    reach = (last.min_val, last.max_val) if isinstance(last, Hardtanh) else REACH.get(type(last))
    y = case.examples.y
    if reach is not None and y.shape[1:] == output.shape[1:]:
        outside = float(np.mean((y < reach[0] - 1e-6) | (y > reach[1] + 1e-6)))
        evidence += f", and {outside:.0%} of the targets lie outside [{reach[0]:g}, {reach[1]:g}]"
        advice = f"Remove {last_name}, or scale the targets to what it can give."
        if outside > 0.05:
            return failed(name, "underfitting", evidence, advice, last_name)
    return passed(name, evidence)


def non_linearity(case: Case) -> Check:
    """Check that there is a non-linearity between the linear layers."""
    name = "non-linearity"
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


def symmetric_units(case: Case) -> Check:
    """Check that hidden units do not start with equal weights and get equal gradients, and so stay equal."""
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
