"""Rules on gradients that vanish or explode in the backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...activations import SATURATING
from ..run_state import RunState
from .base import Detection

#: Symptoms that leave some gradients at zero.
BLOWN_UP = ("lr_too_high", "diverging", "dead_units", "exploding_gradient", "regularisation_too_strong")
#: Symptoms that say why no gradient arrives, and steps after which it surely does not.
CUT_BY, SURELY = (*BLOWN_UP, "symmetric_units", "input_not_normalised"), 50


def _ends(state: RunState) -> tuple[str, str, float] | None:
    """Return the first and last hidden layer of the main path, and the ratio of their gradients."""
    outputs = state.window.outputs
    seen = [name for name in state.network.trunk if name in outputs]
    if len(seen) < 2:
        return None
    first, last = outputs[seen[0]].gradient, outputs[seen[-1]].gradient
    if not last > 0 or math.isnan(first):
        return None
    return seen[0], seen[-1], first / last


def vanishing_gradient(state: RunState) -> Iterator[Detection]:
    """The gradient shrinks from layer to layer in the backward pass (CS231n, Neural Networks Part 2)."""
    limits = state.limits
    ends = _ends(state)
    if ends is None or state.age < 8 or state.has_found(*BLOWN_UP):
        return
    first, last, ratio = ends
    depth = len(state.network.trunk)
    if ratio == 0:  # cut off by dead units, not shrunk
        return
    shrinks = depth >= 3 and ratio < limits.shrinkage ** (depth - 1)
    if ratio < limits.vanished or (shrinks and state.stuck()):
        evidence = f"the gradient at {first} is {ratio:.1g} of that at {last}"
        saturating = [w.activation for w in state.network.hidden if w.activation in SATURATING]
        ways = [f"ReLU instead of {saturating[0]}"] if saturating else []
        ways += [] if state.network.batch_norms else ["batch norm"]
        advice = f"use {', '.join([*ways, 'an initialisation that keeps the spread'])}, or fewer layers"
        yield Detection("vanishing_gradient", "warning" if ratio > 1e-6 else "error", evidence, advice, first)


def cut_off(state: RunState) -> Iterator[Detection]:
    """No gradient arrives at some layers, though they are to be trained: something detaches them."""
    cut = [w for w in state.network.weights if w.name in state.without_gradient]
    if not cut or state.all_frozen or state.age < SURELY or state.has_found(*CUT_BY):
        return
    if all(state.at_start.active.get(w.output, 1.0) > 0 for w in cut):  # else cut off by dead units
        evidence = f"in {state.age} steps no gradient has arrived at {', '.join(w.name for w in cut)}"
        advice = "look for what detaches the layers after it, or for a function without a slope"
        yield Detection("vanishing_gradient", "error", evidence, advice, cut[-1].name)


def exploding_gradient(state: RunState) -> Iterator[Detection]:
    """The gradient grows from layer to layer in the backward pass, or suddenly in all of them."""
    limits = state.limits
    ends = _ends(state)
    if ends is not None and ends[2] > limits.exploded:
        evidence = f"the gradient at {ends[0]} is {ends[2]:.2g} times that at {ends[1]}"
        advice = f"use smaller initial weights{state.network.or_batch_norm(ends[0])}, or clip_norm in the Trainer"
        yield Detection("exploding_gradient", "warning", evidence, advice, ends[0])
        return
    if len(state.windows) < 3 or state.window.clipped:
        return
    norms = sorted(window.gradient_norm for window in list(state.windows)[-20:-1])
    usual, now = norms[len(norms) // 2], state.window.gradient_norm
    rose = state.window.loss > state.best_loss + 0.5 * max(abs(state.reference), abs(state.best_loss))
    if usual > 0 and now > limits.gradient_surge * usual and rose:
        evidence = f"the norm of the gradient rose from {usual:.3g} to {now:.3g}"
        yield Detection(
            "exploding_gradient", "warning", evidence, "lower the learning rate, or use clip_norm in the Trainer"
        )


RULES = (vanishing_gradient, cut_off, exploding_gradient)
