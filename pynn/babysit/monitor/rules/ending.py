"""Rules at the end of a run: whether it, or the average of its weights, ended before it had learnt what it could."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ..run_state import RunState
from .base import SHORT, Detection, outdone

#: The latest evaluations show whether a loss still falls: this share of all, and this minimum.
LATEST, FEWEST = 0.2, 4
#: A loss is still falling if it fell by this share over the latest evaluations; the second share is that of a run that
#: has learnt less than a simple learner.
FALLS, CREEPS = 0.1, 0.03
#: A run of so many steps, at least and at most, has just begun if each third of them lowers the loss by this share of
#: that of ignoring the inputs.
FIRST_TRY, FEW_STEPS, BEGUN = 8, 200, 0.003
#: What such a run has left of the loss of ignoring the inputs: enough for a note, for a fault where a simple learner
#: has learnt more, and for a fault in any case.
MUCH_LEFT, MOST_LEFT, NEARLY_ALL_LEFT = 0.3, 0.5, 0.9
#: Averaged weights hold too much of the first ones above this share.
FIRST_WEIGHTS = 0.1
#: An advised rate aims at this update ratio, and is at most this many times the present rate.
AIM, MOST = 3e-3, 30.0


def ended_early(state: RunState) -> Iterator[Detection]:
    """The loss was still falling when training ended."""
    short = _has_learnt_less(state)
    fall = _fall_per_epoch(state, CREEPS if short else FALLS)
    begun = _has_just_begun(state)
    untaught = begun and state.share_left > (MOST_LEFT if short else NEARLY_ALL_LEFT) and not state.scores.as_good
    if state.explained:
        return
    if fall is not None:
        evidence = f"the loss was still falling by {fall:.1%} an epoch when training ended"
        if state.epochs_left > 0:
            evidence += f", {state.epochs_left} epochs before it should"
    elif begun:
        evidence = f"training ended after {state.age} steps, with the loss at {state.share_left:.0%} of that of "
        evidence += "ignoring the inputs, and falling"
    else:
        return
    if short:
        evidence += f"; {outdone(state)}"
    advice = f"train longer{_faster(state)}"
    if state.epochs_left > 0:
        advice = "look at what ended it: which figure it follows, and which way that should go"
    yield Detection("underfitting", "warning" if untaught or (short and fall is not None) else "info", evidence, advice)


def averaged_too_long(state: RunState) -> Iterator[Detection]:
    """The average of the weights, with which the network is validated, still holds those of the start."""
    decay, steps = state.settings.average_decay, state.window.last
    if decay**steps > FIRST_WEIGHTS and _has_learnt_less(state):
        evidence = (
            f"the averaged weights hold {decay**steps:.0%} of the first ones: a decay of {decay:g} averages over "
            f"about {1 / (1 - decay):.0f} steps, and {steps} were taken"
        )
        advice = f"use a decay of at most {max(1 - 10 / steps, 0):.2g}, or train longer"
        yield Detection("underfitting", "warning", evidence, advice)


def _has_learnt_less(state: RunState) -> bool:
    """Return whether a simple learner has learnt more; a network that fits its training data has another fault."""
    return state.scores.is_behind(SHORT) and not state.scores.fitted > state.scores.attainable


def _fall_per_epoch(state: RunState, least: float) -> float | None:
    """Return by what share the loss falls per epoch at the end, in validation too; None if less than `least` in all."""
    done = state.evaluations
    if len(done) < FEWEST:
        return None
    falls = []
    for losses in ([e.loss for e in done], [e.val_loss for e in done]):
        latest = losses[-max(FEWEST, round(LATEST * len(losses))) :]
        if math.isnan(losses[-1]):
            continue  # no validation
        third = max(len(latest) // 3, 1)
        before, after = sorted(latest[:third])[third // 2], sorted(latest[-third:])[third // 2]
        steady = len(latest) > FEWEST or all(early > late for early, late in pairwise(latest))
        if not steady or not 0 < after < (1 - least) * before:
            return None
        falls.append(1 - (after / before) ** (1 / (len(latest) - third)))
    return min(falls) if falls else None


def _has_just_begun(state: RunState) -> bool:
    """Return whether few steps were taken, each third of them with a lower loss, and much of the loss is left."""
    done = state.evaluations
    if not FIRST_TRY <= state.age <= FEW_STEPS or state.share_left < MUCH_LEFT or not done:
        return False
    losses = np.concatenate([np.full(window.steps, window.loss) for window in state.windows])
    thirds = [float(part.mean()) for part in np.array_split(losses, 3)]
    falls = all(before - after > BEGUN * state.reference for before, after in pairwise(thirds))
    return falls and not done[-1].val_loss > done[0].val_loss


def _faster(state: RunState) -> str:
    """Return the advice to raise the rate, if steps are small."""
    window = state.window
    factor = AIM / window.typical_ratio if window.typical_ratio > 0 else 1.0
    return f", or raise the learning rate to about {window.lr * min(factor, MOST):.1g}" if factor > 2 else ""


RULES = (averaged_too_long, ended_early)
