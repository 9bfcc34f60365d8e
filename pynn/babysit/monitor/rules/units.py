"""Rules on units: dead, saturated or identical ones; and weights that can only move together."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...findings import Severity
from ..run_state import RunState
from .base import Detection


def dead_units(state: RunState) -> Iterator[Detection]:
    """Rectifier units that no example of a window activates (CS231n, Neural Networks Part 1, "ReLU")."""
    limits = state.limits
    learning = state.share_left < 0.7
    for name, share in state.dead.items():
        jumped = share >= limits.suddenly_dead and state.least_dead.get(name, share) < 0.1 and state.share_left > 0.9
        many = (share >= limits.many_dead or jumped) and "bad_initialisation" not in state.found
        if many or share >= limits.nearly_all_dead:
            unit = state.network.unit(name)
            evidence = f"{share:.0%} of the {unit}s are dead: none of at least 1000 examples activates them"
            advice = f"lower the learning rate, use leaky ReLU{state.network.or_batch_norm(name)}, or start biases at 0"
            severity: Severity = "error" if share >= limits.nearly_all_dead else "info" if learning else "warning"
            yield Detection("dead_units", severity, evidence, advice, name)
            return


def saturated_units(state: RunState) -> Iterator[Detection]:
    """Sigmoid and tanh units near a limit, where their gradient is almost zero (CS231n, "Sigmoid")."""
    hidden = state.network.hidden_outputs
    learning = state.share_left < 0.7 and state.age > 50
    for name, figures in state.window.outputs.items():
        if name in hidden and figures.saturates and figures.saturated > state.limits.many_saturated:
            evidence = f"{figures.saturated:.0%} of the outputs lie within 2% of a limit"
            advice = f"use smaller initial weights, normalised inputs{state.network.or_batch_norm(name)}, or ReLU"
            yield Detection("saturated_units", "info" if learning else "warning", evidence, advice, name)
            return


def symmetric_units(state: RunState) -> Iterator[Detection]:
    """Hidden units that compute the same and stay identical (CS231n, "Pitfall: all zero initialization")."""
    for name, (distinct, units) in state.distinct_units.items():
        if distinct <= max(1, units // 2) and name in state.at_start.alike and state.age >= 8:
            sets = f"{distinct} different set{'s' if distinct != 1 else ''} of weights"
            evidence = f"{units} {state.network.unit(name)}s have {sets}"
            yield Detection(
                "symmetric_units", "error", evidence, 'initialise at random, as init="he_normal" does', name
            )
            return


def zigzag(state: RunState) -> Iterator[Detection]:
    """Units whose incoming weights can only rise or fall together (CS231n, "Sigmoid", not zero-centred)."""
    recent, steps = [], 0
    for window in reversed(state.windows):
        recent.append(window)
        steps += window.steps
        if steps >= 50:
            break
    if steps < 50:
        return
    for name in recent[0].weights:
        shares = [(w.weights[name].zigzag, w.steps) for w in recent if name in w.weights]
        known = [(share, count) for share, count in shares if not math.isnan(share)]
        if not known:
            continue
        share = sum(share * count for share, count in known) / sum(count for _, count in known)
        if share > state.limits.zigzag:
            evidence = f"in {share:.0%} of the units all incoming weights have a gradient of one sign"
            advice = _centred(state, name)
            stuck = state.stuck(150) and not state.explained and not state.data.chance > 0.9
            harms = stuck and advice is not None
            usual = "nothing to do: usual after a rectifier"
            yield Detection("zigzag", "warning" if harms else "info", evidence, advice or usual, name)
            return


def _centred(state: RunState, name: str) -> str | None:
    """Return how to centre the inputs of a layer; None after a rectifier, which learns in spite of it."""
    source = next(w.source for w in state.network.weights if w.name == name)
    if not source and state.data.inputs is not None:
        return "subtract the mean of each input feature (pynn.preprocessing)"
    before = next((w for w in state.network.weights if source in (w.output, w.name)), None)
    if before is not None and before.activation in ("sigmoid", "softplus"):
        return f"use tanh instead of {before.activation} in {before.output}, or put batch norm after it"
    return None


RULES = (dead_units, saturated_units, symmetric_units, zigzag)
