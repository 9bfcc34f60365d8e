"""Rules on learning rates: too high, too low, and decayed too early."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from ..run_state import RunState
from .base import Detection, changed, has_noisy_norms, outdone, raise_rate
from .signal import CUT_BY, SURELY

#: While more than this share of the planned steps is left, the pace of a run foretells nothing.
EARLY = 0.7
#: A run that has learnt nothing stands still after this many steps. Any network can learn so few examples by heart.
MANY_STEPS, HANDFUL = 300, 20
#: An update ratio that is large at the end of a run.
LARGE_STEPS = 5e-3


class _Sign(NamedTuple):
    """Evidence of a rate that is too high, and whether it suffices for an error."""

    evidence: str
    severe: bool


def lr_too_high(state: RunState) -> Iterator[Detection]:
    """Weights change by a large share of themselves at every step, and the loss does not fall, or rises."""
    if state.age < 4:
        return
    window = state.window
    if has_noisy_norms(state):  # whatever the rate
        return
    sign = _lost(state) or _going_nowhere(state) or _jumped(state) or _damage(state)
    if sign is not None:
        severe = sign.severe or not math.isfinite(window.loss) or window.ratio > 1
        yield Detection("lr_too_high", "error" if severe else "warning", sign.evidence, lower_rate(state))


def lower_rate(state: RunState) -> str:
    """Return the advice to lower the rate, with a rate whose first steps would have been gentle."""
    rate = state.highest_lr
    if rate > 5 * state.proven_lr > 0:
        return f"keep the learning rate at {state.proven_lr:.2g}, which was low enough, or raise it slowly"
    factor = rate / state.at_start.gentle_lr
    if factor < 10:
        return f"divide the learning rate ({rate:g}) by {'10' if factor > 3 else '3 to 10'}, or warm it up"
    return f"lower the learning rate from {rate:g} to about {state.at_start.gentle_lr:.1g}"


def _lost(state: RunState) -> _Sign | None:
    """Return the sign that the loss is far above the initial one."""
    loss = state.recent_loss()
    if not state.is_lost(loss) or not state.floored_ratio > state.limits.large_ratio / 3:
        return None
    evidence = f"the loss is {loss:.3g} after a start at {state.initial_loss:.3g}, and {changed(state.floored_ratio)}"
    return _Sign(evidence, severe=True)


def _going_nowhere(state: RunState) -> _Sign | None:
    """Return the sign that large steps end at a loss no better than that of ignoring the inputs."""
    limits, loss = state.limits, state.recent_loss()
    if not state.stuck(20) or state.network.dropout >= limits.heavy_dropout:
        return None
    nowhere = f"and the loss of {loss:.3g} is no better than ignoring the inputs"
    if state.floored_ratio > limits.large_ratio and state.window.typical_ratio > limits.large_ratio / 2:
        return _Sign(f"{changed(state.floored_ratio)}, {nowhere}", severe=False)
    if state.worst_ratio > 5 * limits.large_ratio:
        return _Sign(f"a step changed weights by {state.worst_ratio:.2g} of their norm, {nowhere}", severe=True)
    return None


def _jumped(state: RunState) -> _Sign | None:
    """Return the sign that the loss rose with the rate."""
    before, rate, now, best = state.proven_lr, state.window.highest_lr, state.window.last_loss, state.best_loss
    if not rate > 5 * before > 0 or not now > max(1.5 * best, best + 0.3 * state.scale):
        return None
    rates = f"the rate rose from {before:.3g} to {rate:.3g}"
    return _Sign(f"{rates}, and the loss from {best:.3g} to {now:.3g}", severe=True)


def _damage(state: RunState) -> _Sign | None:
    """Return the sign that large steps have killed or saturated units."""
    limits = state.limits
    if not state.worst_ratio > limits.large_ratio / 3 or not state.share_left > 0.4 or not state.fresh:
        return None
    hidden = state.network.hidden_outputs
    for name, figures in state.window.outputs.items():
        if name not in hidden:
            continue
        saturated = figures.saturated > limits.many_saturated and state.at_start.saturated.get(name, 1.0) < 0.2
        dead = state.dead.get(name, 0.0) > limits.many_dead and state.at_start.active.get(name, 0.0) > 0.2
        # Several steps of which none is very large can kill a layer that was alive.
        died = dead and state.dead[name] > limits.nearly_all_dead and state.least_dead[name] < 0.1
        if ((saturated or dead) and state.worst_ratio > limits.large_ratio) or died:
            share = f"{figures.saturated:.0%} of its outputs saturated"
            if dead:
                share = f"{state.dead[name]:.0%} of its {state.network.unit(name)}s dead"
            evidence = f"a step changed weights by {state.worst_ratio:.2g} of their norm, and {name} now has {share}"
            return _Sign(evidence, severe=False)
    return None


def lr_too_low(state: RunState) -> Iterator[Detection]:
    """Weights hardly change, and the loss hardly falls."""
    limits = state.limits
    window = state.window
    if state.highest_lr == 0 and state.age >= 4:
        yield Detection("lr_too_low", "error", "the learning rate is 0", "give the optimiser a learning rate")
        return
    if state.age < 50 or math.isnan(window.ratio) or not state.share_left > 0.7:
        return
    never_moved = state.age >= 150 and state.hardly_moved  # all steps together, whatever the schedule
    steady = window.first_lr >= window.lr >= 0.5 * state.highest_lr
    if not never_moved and not (steady and 0 < window.ratio < limits.small_ratio):
        return
    if state.has_found("dead_units", "lr_too_high"):  # nothing moves any more
        return
    fallen = (state.initial_loss - state.recent_loss()) / max(abs(state.initial_loss), 1e-30)
    if never_moved or (fallen < 0.05 * state.age / 100 and fallen < 0.2):
        evidence = f"{changed(window.ratio)}, and the loss fell by {max(fallen, 0):.2%} in {state.age} steps"
        advice = raise_rate(window.lr if steady else state.highest_lr)
        yield Detection("lr_too_low", "error" if window.ratio < limits.tiny_ratio else "warning", evidence, advice)


def standstill(state: RunState) -> Iterator[Detection]:
    """Half of the run is over, nothing has been learnt, and small steps no longer change the loss."""
    window = state.window
    if not state.planned or state.steps_left > 0.5 or state.age < MANY_STEPS or state.explained or not state.stuck():
        return
    # Where nothing can be learnt, steps become small as well; a handful of examples can be learnt by heart.
    learnable = state.scores.attainable > state.scores.reached + 0.1 or state.data.examples <= HANDFUL
    small = 0 < window.typical_ratio < 3 * state.limits.small_ratio and not state.falling(0.02)
    if learnable and small and window.lr >= 0.5 * state.highest_lr:
        evidence = f"{changed(window.typical_ratio)}, and after {state.age} steps the loss of "
        evidence += f"{state.recent_loss():.3g} is no better than ignoring the inputs"
        yield Detection("lr_too_low", "warning", evidence, raise_rate(window.lr))


def plateau(state: RunState) -> Iterator[Detection]:
    """The loss stalls far from solved because the learning rate has decayed to almost nothing."""
    window = state.window
    if state.age < 50 or not window.lr < 1e-2 * state.highest_lr or not window.ratio < 10 * state.limits.tiny_ratio:
        return
    if window.accuracy > 0.9:  # solved
        return
    if state.share_left > 0.2 and state.steps_left > 0.2:
        evidence = (
            f"the loss stays at {state.recent_loss():.3g}: the rate fell from {state.highest_lr:.3g} "
            f"to {window.lr:.3g}, and a step changes weights by {window.ratio:.1g} of their norm"
        )
        # Before anything was learnt, or on the way.
        symptom = "plateau" if state.share_left < 0.97 else "lr_too_low"
        yield Detection(symptom, "warning", evidence, "let the learning rate fall later, or less")


def too_slow_to_arrive(state: RunState) -> Iterator[Detection]:
    """The loss falls steadily, but at this pace the run ends far from what a simple learner reaches."""
    network, scores, done = state.network, state.scores, state.evaluations
    if state.is_young(3, 100) or math.isnan(scores.attainable) or state.explained:
        return
    if state.steps_left > EARLY:  # it may lie on a plateau that ends
        return
    window, last = state.window, done[-1]
    if network.tiny or network.dropout > 0.4 or network.ends_in_probabilities or not 0 < window.ratio < 2e-3:
        return
    if "underfitting" in state.found:  # has its own cause
        return
    if window.lr > window.first_lr or window.lr < 0.5 * state.highest_lr:
        return
    steady = all(before.loss > after.loss for before, after in pairwise(done[-3:]))
    pace = (done[-3].loss - last.loss) / 2
    left = (last.loss - pace * state.epochs_left) / max(state.reference, 1e-30)
    if steady and left > 0.5 and scores.attainable > scores.reached + 0.2:
        evidence = f"{changed(window.ratio)}; {outdone(state)}, and at this pace the run will not get there"
        yield Detection("lr_too_low", "warning", evidence, raise_rate(window.lr, "3 to 30"))


def too_fast_to_settle(state: RunState) -> Iterator[Detection]:
    """Large steps keep the loss where it was in the middle of the run, and a simple learner scores better."""
    network, scores = state.network, state.scores
    losses = [e.loss for e in state.evaluations]
    if state.is_young(4, 100) or state.steps_left > 0.1 or state.explained or network.tiny:
        return
    short = scores.attainable > max(scores.reached, scores.fitted) + 0.1 + scores.sampling_error
    falling = min(losses[len(losses) // 2 :]) < min(losses[: len(losses) // 2])
    ratio = state.window.typical_ratio
    if short and not falling and ratio > LARGE_STEPS and network.dropout < state.limits.heavy_dropout:
        evidence = f"{changed(ratio)}, and the loss is no lower than in the first half of the run; {outdone(state)}"
        yield Detection("lr_too_high", "warning", evidence, lower_rate(state))


def bursts(state: RunState) -> Iterator[Detection]:
    """The mean loss of an epoch is far above that of the start, though the median is not: single steps blow up."""
    done, median = state.evaluations, state.recent_loss()
    if len(done) < 2 or state.data.batch_size < 2:
        return
    loss, start = done[-1].loss, max(state.starting_loss, state.reference)
    if loss > state.limits.lost_loss * start > 0 and min(each.loss for each in done) < start:
        evidence = (
            f"the mean loss of epoch {done[-1].epoch} is {loss:.3g}, after {start:.3g} at the start, though that of "
            f"the usual minibatch is {median:.3g}"
        )
        yield Detection("diverging", "warning", evidence, "lower the learning rate, or use clip_norm in the Trainer")


def run_away(state: RunState) -> Iterator[Detection]:
    """Enormous steps right before the loss ceased to be finite; computed only then."""
    largest = max((w.largest_ratio for w in state.window.weights.values() if w.largest_ratio > 0), default=0.0)
    from_the_start = "exploding_gradient" in state.found and state.age < 16
    if largest > 10 * state.limits.large_ratio and not from_the_start:
        evidence = f"a step changed weights by {largest:.2g} of their norm, right before the loss ceased to be finite"
        yield Detection("lr_too_high", "error", evidence, f"{lower_rate(state)}, or use clip_norm in the Trainer")


def nothing_trained(state: RunState) -> Iterator[Detection]:
    """All weights are frozen, from the start or during training, or no gradient arrives at any."""
    if not state.all_frozen or not state.share_left > 0.2 or state.age < 2:
        return
    loss = f"the loss stays at {state.recent_loss():.3g}"
    if not state.window.weights:
        advice = "layer.freeze(False) lets a layer be trained again"
        yield Detection("plateau", "error", f"all weights are frozen, and {loss}", advice)
    elif state.age >= SURELY and not state.has_found(*CUT_BY):
        evidence = f"in {state.age} steps no gradient has arrived at any weight, and {loss}"
        yield Detection("plateau", "error", evidence, "look for what detaches the loss from the network")


RULES = (lr_too_high, lr_too_low, standstill, plateau, nothing_trained)
EVALUATION_RULES = (bursts, too_slow_to_arrive, too_fast_to_settle)
