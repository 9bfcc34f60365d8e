"""Learning rates: too high, too low, and fallen too early."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from ..course import Course
from .base import Sign


def lr_too_high(course: Course) -> Iterator[Sign]:
    """Weights change by a large share of themselves at every step, and the loss does not fall, or rises."""
    if course.age < 4:
        return
    window, facts = course.window, course.facts
    if facts.batch_norms and facts.batch_size <= 3:  # noise of its statistics, whatever the rate
        return
    evidence = _lost(course) or _going_nowhere(course) or _jumped(course) or _damage(course)
    if evidence is not None:
        advice = f"divide the learning rate ({window.lr:g}) by 3 to 10, or warm it up"
        severe = not math.isfinite(window.loss) or window.ratio > 1 or "error:" in evidence
        yield Sign("lr_too_high", "error" if severe else "warning", evidence.removeprefix("error:"), advice)


def _changed(ratio: float) -> str:
    return f"a step changes weights by {ratio:.2g} of their norm (about 0.001 is usual)"


def _lost(course: Course) -> str | None:
    """Say so if the loss is far above that of the start."""
    loss, start, limits = course.recent_loss(), course.start, course.limits
    lost = not math.isfinite(loss) or (loss > limits.lost_loss * start > 0 and (course.age >= 16 or loss > 10 * start))
    if not lost or not course.ratio > limits.large_ratio / 3:
        return None
    return f"error:the loss is {loss:.3g} after a start at {course.initial_loss:.3g}, and {_changed(course.ratio)}"


def _going_nowhere(course: Course) -> str | None:
    """Say so if large steps lead to no better a loss than ignoring the inputs."""
    limits, loss = course.limits, course.recent_loss()
    if not course.stuck(20) or course.facts.dropout >= limits.heavy_dropout:
        return None
    nowhere = f"and the loss of {loss:.3g} is no better than ignoring the inputs"
    if course.ratio > limits.large_ratio and course.window.typical_ratio > limits.large_ratio / 2:
        return f"{_changed(course.ratio)}, {nowhere}"
    if course.worst_ratio > 5 * limits.large_ratio:
        return f"error:a step changed weights by {course.worst_ratio:.2g} of their norm, {nowhere}"
    return None


def _jumped(course: Course) -> str | None:
    """Say so if the loss rose when the rate did."""
    before = [w.highest_lr for w in course.windows if w.highest_lr > 0 and w.last <= course.best_step]
    rate, now, best = course.window.highest_lr, course.window.last_loss, course.best
    if not before or not rate > 5 * max(before) or not now > max(1.5 * best, best + 0.3 * course.scale):
        return None
    rates = f"the rate rose from {max(before):.3g} to {rate:.3g}"
    return f"error:{rates}, and the loss from {best:.3g} to {now:.3g}"


def _damage(course: Course) -> str | None:
    """Say so if large steps have left units dead or saturated that were not so at the start."""
    limits = course.limits
    if not course.worst_ratio > limits.large_ratio or not course.share_left > 0.4 or not course.facts.fresh:
        return None
    hidden = {w.output for w in course.facts.hidden if w.units >= 8}
    for name, figures in course.window.outputs.items():
        if name not in hidden:
            continue
        saturated = figures.saturated > limits.many_saturated and course.initial_saturated.get(name, 1.0) < 0.2
        dead = course.dead.get(name, 0.0) > limits.many_dead and course.initial_active.get(name, 0.0) > 0.2
        if saturated or dead:
            share = f"{figures.saturated:.0%} of its outputs saturated"
            if dead:
                share = f"{course.dead[name]:.0%} of its {course.unit(name)}s dead"
            return f"a step changed weights by {course.worst_ratio:.2g} of their norm, and {name} now has {share}"
    return None


def lr_too_low(course: Course) -> Iterator[Sign]:
    """Weights hardly change, and the loss hardly falls."""
    limits = course.limits
    window = course.window
    if course.highest_lr == 0 and course.age >= 4:
        yield Sign("lr_too_low", "error", "the learning rate is 0", "give the optimiser a learning rate")
        return
    if (
        course.age < 50
        or math.isnan(window.ratio)
        or window.lr < 0.5 * course.highest_lr
        or window.lr > window.first_lr
    ):
        return
    if not 0 < window.ratio < limits.small_ratio or not course.share_left > 0.7 or "dead_units" in course.found:
        return
    fallen = (course.initial_loss - course.recent_loss()) / max(abs(course.initial_loss), 1e-30)
    if fallen < 0.05 * course.age / 100 and fallen < 0.2:
        evidence = (
            f"a step changes weights by {window.ratio:.2g} of their norm (about 0.001 is usual), "
            f"and the loss fell by {max(fallen, 0):.2%} in {course.age} steps"
        )
        advice = f"multiply the learning rate ({window.lr:g}) by 10 to 100"
        yield Sign("lr_too_low", "error" if window.ratio < limits.tiny_ratio else "warning", evidence, advice)


def plateau(course: Course) -> Iterator[Sign]:
    """The loss stops falling where the learning rate has fallen to next to nothing, far from solved."""
    window = course.window
    if course.age < 50 or not window.lr < 1e-2 * course.highest_lr or not window.ratio < 10 * course.limits.tiny_ratio:
        return
    if window.accuracy > 0.9:  # solved
        return
    if course.share_left > 0.2 and course.steps_left > 0.2:
        evidence = (
            f"the loss stays at {course.recent_loss():.3g}: the rate fell from {course.highest_lr:.3g} "
            f"to {window.lr:.3g}, and a step changes weights by {window.ratio:.1g} of their norm"
        )
        # Before anything was learnt, or on the way.
        symptom = "plateau" if course.share_left < 0.97 else "lr_too_low"
        yield Sign(symptom, "warning", evidence, "let the learning rate fall later, or less")


def too_slow_to_arrive(course: Course) -> Iterator[Sign]:
    """The loss falls steadily, but at this pace the run ends far from what a simple learner reaches."""
    done = course.evaluations
    if len(done) < 3 or course.age < 100 or math.isnan(course.attainable) or course.explained:
        return
    window, last = course.window, done[-1]
    facts = course.facts
    if facts.tiny or facts.dropout > 0.4 or course.ends_in_probabilities or not window.ratio < 2e-3:
        return
    if "underfitting" in course.found:  # for a reason of its own
        return
    if window.lr > window.first_lr or window.lr < 0.5 * course.highest_lr:
        return
    steady = all(before.loss > after.loss for before, after in pairwise(done[-3:]))
    pace = (done[-3].loss - last.loss) / 2
    left = (last.loss - pace * course.epochs_left) / max(course.reference, 1e-30)
    if steady and left > 0.5 and course.attainable > course.reached + 0.2:
        evidence = (
            f"{_changed(window.ratio)}; {facts.measure} is {course.reached:.1%} where a quick learner of another kind "
            f"has {course.attainable:.1%}, and at this pace the run will not get there"
        )
        yield Sign("lr_too_low", "warning", evidence, f"multiply the learning rate ({window.lr:g}) by 3 to 30")


def run_away(course: Course) -> Iterator[Sign]:
    """Enormous steps right before the loss ceased to be finite; asked for then only."""
    largest = max((w.largest_ratio for w in course.window.weights.values() if w.largest_ratio > 0), default=0.0)
    from_the_start = "exploding_gradient" in course.found and course.age < 16
    if largest > 10 * course.limits.large_ratio and not from_the_start:
        evidence = f"a step changed weights by {largest:.2g} of their norm, right before the loss ceased to be finite"
        advice = f"divide the learning rate ({course.window.lr:g}) by 3 to 10, or use clip_norm in the Trainer"
        yield Sign("lr_too_high", "error", evidence, advice)


def nothing_trained(course: Course) -> Iterator[Sign]:
    """All weights are frozen, in the midst of learning or from the start."""
    if course.facts.weights and not course.window.weights and course.share_left > 0.2 and course.age > 1:
        evidence = f"all weights are frozen, and the loss stays at {course.recent_loss():.3g}"
        yield Sign("plateau", "error", evidence, "layer.freeze(False) lets a layer be trained again")


RULES = (lr_too_high, lr_too_low, plateau, nothing_trained)
EVALUATION_RULES = (too_slow_to_arrive,)
