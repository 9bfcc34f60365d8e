"""Checks of signals and gradients in the layers at the start."""

from __future__ import annotations

import itertools

import numpy as np

from ...nn.layers import BatchNorm, Dropout, EmbedColumns, Embedding, Flatten, ReLU, Residual, Sigmoid, Tanh
from ...nn.traversal import units_last
from ...utils.config import is_own
from .case import MULTIPLIES, Case
from .report import Check, failed, noted, passed, skipped, warned
from .walk import Walk

INITIALIZE = 'Initialise for the activation: "he_normal" with ReLU, "lecun_normal" with tanh, or add batch norm.'
#: Outputs this close to the ends of their range pass almost no gradient.
SATURATED = 0.01


def _hidden(walk: Walk) -> list[int]:
    """Return the last layer of each hidden block: a layer with weights up to the next one, or a residual block."""
    path = [i for i, branch in enumerate(walk.branches) if not branch]
    starts = [i for i in path if isinstance(walk.layers[i][1], MULTIPLIES | Residual) or _is_block(walk.layers[i][1])]
    blocks = []
    for start, following in itertools.pairwise(starts):
        between = [i for i in path if start <= i < following]
        blocks.append([i for i in between if not isinstance(walk.layers[i][1], Dropout | Flatten)][-1])
    return blocks


def _is_block(layer: object) -> bool:
    return hasattr(layer, "parameters") and is_own(layer) and any(p.ndim > 1 for p in layer.parameters())


def _spread(values: np.ndarray) -> float:
    """Return the typical standard deviation of a unit's output over the examples."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    return float(np.sqrt(np.mean(flat.var(axis=0))))


def activation_spread(case: Case) -> Check:
    """Check that signals keep their scale from layer to layer."""
    name = "activation spread"
    if case.size < 2:
        return skipped(name, "needs at least two examples")
    walk = case.first_pass
    blocks = _hidden(walk)
    if not blocks:
        return skipped(name, "there is no hidden layer")
    spreads = [_spread(walk.outputs[i]) for i in blocks]
    names = [walk.layers[i][0] for i in blocks]
    embedded = isinstance(walk.layers[0][1], Embedding | EmbedColumns)
    entering = max(_spread(walk.outputs[0] if embedded else walk.inputs[0]), 1e-30)
    ratio = spreads[-1] / max(spreads[0], 1e-30)
    shown = spreads if len(spreads) <= 6 else [*spreads[:3], *spreads[-3:]]
    evidence = (
        f"standard deviation over the examples {entering:.3g} in the inputs, then "
        f"{', '.join(f'{value:.3g}' for value in shown)} after {len(spreads)} hidden layer{'s' * (len(spreads) > 1)}"
    )
    if not np.isfinite(spreads).all():
        return failed(name, "bad_initialisation", f"{evidence}: not finite", INITIALIZE, names[-1])
    report = warned if case.known.trained else failed
    whole = spreads[-1] / entering
    if not 1e-4 <= ratio <= 1e4 or not 1e-5 <= whole <= 1e5:
        return report(name, "bad_initialisation", evidence, INITIALIZE, names[int(np.argmin(spreads))])
    if not 0.01 <= ratio <= 100 or not 2e-3 <= whole <= 1e3:
        return warned(name, "bad_initialisation", evidence, INITIALIZE, names[int(np.argmin(spreads))])
    return passed(name, evidence)


def saturated_units(case: Case) -> Check:
    """Check that tanh and sigmoid units are not saturated; such units pass no gradient back."""
    name = "saturated units"
    walk = case.first_pass
    shares = []
    for (label, layer), output in zip(walk.layers[:-1], walk.outputs, strict=False):
        if isinstance(layer, Tanh | Sigmoid):
            low = -1.0 if isinstance(layer, Tanh) else 0.0
            near = (output < low + SATURATED) | (output > 1 - SATURATED)
            shares.append((float(near.mean()), label))
    if not shares:
        return skipped(name, "there is no hidden tanh or sigmoid layer")
    share, label = max(shares)
    evidence = f"{share:.0%} of the outputs lie within {SATURATED:g} of the ends of their range (worst layer)"
    advice = "Make the initial weights or the inputs smaller."
    if share > 0.3 and case.known.learns:
        report = warned if share > 0.7 else noted
        return report(name, "saturated_units", f"{evidence}, but the network can learn a handful", advice, label)
    if share > 0.5 and not case.known.trained:
        return failed(name, "saturated_units", evidence, advice, label)
    if share > 0.3:
        return warned(name, "saturated_units", evidence, advice, label)
    return passed(name, evidence)


def dead_units(case: Case) -> Check:
    """Check that each ReLU unit is active for at least one example."""
    name = "dead units"
    if case.size < 20:
        return skipped(name, "too few examples to tell")
    walk = case.first_pass
    shares, last = [], units_last(layer for _, layer in walk.layers)
    for (label, layer), output in zip(walk.layers, walk.outputs, strict=True):
        output = output.reshape(-1, output.shape[-1]) if id(layer) in last else output
        if isinstance(layer, ReLU) and output.ndim > 1 and output.shape[1] > 1:
            off = (output <= 0).all(axis=(0, *range(2, output.ndim)))
            shares.append(
                (float(off.mean()), label, f"{output.shape[1]} {'units' if output.ndim == 2 else 'channels'}")
            )
    if not shares:
        return skipped(name, "there is no ReLU layer")
    share, label, units = max(shares)
    evidence = f"{share:.0%} of {units} are dead: none of {len(walk.inputs[0])} examples activates them (worst layer)"
    advice = "Start the biases at 0 and the weights at he_normal, and normalise the inputs."
    if share > 0.9 or (share > 0.7 and not case.known.trained):
        return failed(name, "dead_units", evidence, advice, label)
    if share > 0.5:
        return warned(name, "dead_units", evidence, advice, label)
    return passed(name, evidence)


def gradient_spread(case: Case) -> Check:
    """Check that the gradients of the first and the last weights have a similar scale."""
    name = "gradient spread"
    walk = case.first_pass
    sizes = []
    for label, layer in walk.layers:
        weights = [p for p in layer.parameters() if p.ndim > 1 and not p.frozen]
        if weights and not isinstance(layer, BatchNorm | Residual):
            values = np.concatenate([p.grad.reshape(-1) for p in weights]).astype(np.float64)
            # With mostly zero inputs, most elements rightly have no gradient.
            used = values[values != 0]
            sizes.append((float(np.sqrt(np.mean(used**2))) if len(used) else 0.0, label, weights[-1].data.any()))
    if len(sizes) < 2:
        return skipped(name, "there are fewer than two layers with weights")
    first, last = sizes[0], sizes[-1]
    shown = [size for size, _, _ in (sizes if len(sizes) <= 6 else sizes[:3] + sizes[-3:])]
    evidence = f"rms of the weights' gradient, first to last layer: {', '.join(f'{size:.2g}' for size in shown)}"
    if not last[2]:
        return passed(
            name, f"{evidence}; the last layer starts at 0, so the layers before it get no gradient until it has moved"
        )
    if not last[0] and not first[0]:
        advice = "Look for a layer whose outputs are all 0, or a loss that does not depend on the outputs."
        return failed(name, "vanishing_gradient", f"{evidence}: no gradient", advice, first[1])
    ratio = first[0] / max(last[0], 1e-300)
    report = warned if case.known.trained else failed
    vanishing = "Use ReLU with he_normal, batch norm, or fewer layers."
    if ratio < 1e-6:
        return report(name, "vanishing_gradient", evidence, vanishing, first[1])
    if ratio < 1e-4:
        return warned(name, "vanishing_gradient", evidence, vanishing, first[1])
    if ratio > 1e6:
        return report(name, "exploding_gradient", evidence, INITIALIZE, first[1])
    if ratio > 1e4:
        return warned(name, "exploding_gradient", evidence, INITIALIZE, first[1])
    return passed(name, evidence)
