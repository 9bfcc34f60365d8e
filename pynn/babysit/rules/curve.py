"""The course of the training loss: rates too high and too low, divergence, no learning at all."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..course import Course
from .base import Sign


def _start(course: Course) -> float:
    """The loss at the start, or of zero outputs if that was larger."""
    return max(course.initial_loss, course.facts.zero_loss if not math.isnan(course.facts.zero_loss) else -math.inf)


def lr_too_high(course: Course) -> Iterator[Sign]:
    """Weights change by a large share of themselves at every step, and the loss does not fall, or rises."""
    limits = course.limits
    if course.age < 4:
        return
    window, start, loss = course.window, _start(course), course.recent_loss()
    ratio = window.ratio
    advice = f"divide the learning rate ({window.lr:g}) by 3 to 10, or warm it up"
    changed = f"a step changes weights by {ratio:.2g} of their norm (about 0.001 is usual)"
    lost = not math.isfinite(loss) or loss > limits.lost_loss * start
    if ratio > limits.large_ratio / 3 and lost:
        evidence = f"the loss is {loss:.3g} after a start at {course.initial_loss:.3g}, and {changed}"
        yield Sign("lr_too_high", "error", evidence, advice)
    elif (
        ratio > limits.large_ratio
        and window.typical_ratio > limits.large_ratio / 2
        and course.stuck(20)
        and course.facts.dropout < limits.heavy_dropout
    ):
        evidence = f"{changed}, and the loss of {loss:.3g} is no better than ignoring the inputs"
        yield Sign("lr_too_high", "error" if ratio > 1 else "warning", evidence, advice)
    elif course.worst_ratio > 5 * limits.large_ratio and course.stuck(20):
        evidence = (
            f"a step changed weights by {course.worst_ratio:.2g} of their norm, "
            f"and the loss of {loss:.3g} is no better than ignoring the inputs"
        )
        yield Sign("lr_too_high", "error", evidence, advice)
    elif _jumped(course):
        before = min(w.lr for w in course.windows if w.lr > 0)
        evidence = (
            f"the rate rose from {before:.3g} to {window.lr:.3g}, and the loss from {course.best:.3g} to {loss:.3g}"
        )
        yield Sign("lr_too_high", "error", evidence, advice)


def _jumped(course: Course) -> bool:
    """Return whether the loss rose when the rate did."""
    before = [w.lr for w in course.windows if w.lr > 0 and w.last <= course.best_step]
    rose = course.window.last_loss > course.best + 0.3 * course.scale and course.window.last_loss > 1.5 * course.best
    return bool(before) and course.window.lr > 5 * max(before) and rose


def lr_too_low(course: Course) -> Iterator[Sign]:
    """Weights hardly change, and the loss hardly falls."""
    limits = course.limits
    window = course.window
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
    if fallen < 0.02 * course.age / 100 and fallen < 0.1:
        evidence = (
            f"a step changes weights by {window.ratio:.2g} of their norm (about 0.001 is usual), "
            f"and the loss fell by {max(fallen, 0):.2%} in {course.age} steps"
        )
        advice = f"multiply the learning rate ({window.lr:g}) by 10 to 100"
        yield Sign("lr_too_low", "error" if window.ratio < limits.tiny_ratio else "warning", evidence, advice)


def diverging(course: Course) -> Iterator[Sign]:
    """The loss rises far above where it was."""
    limits = course.limits
    if course.age < 8 or "regularisation_too_strong" in course.found:
        return
    loss, start = course.recent_loss(10), _start(course)
    scale = course.scale
    above = course.best if math.isfinite(course.best) else start
    if not math.isfinite(loss) or loss > limits.lost_loss * start:
        evidence = f"the loss is {loss:.3g}, {loss / start:.2g} times that of the start"
    elif course.since_best(20) > max(1.4 * above, above + 0.3 * scale) or (
        # Where nearly all is one class, the loss of a batch depends on how many of the others it has.
        course.since_best(50, 3000) > max(1.25 * above, above + 0.2 * scale) and not course.facts.chance > 0.8
    ):
        evidence = f"the loss rose from {above:.3g} (step {course.best_step}) to {loss:.3g}"
    else:
        return
    small = course.window.ratio < limits.large_ratio / 10
    advice = "lower the learning rate"
    if small:
        advice = "the steps are small, so the gradient may point the wrong way: check it with pynn.gradcheck"
    yield Sign("diverging", "error", evidence, advice)


def not_learning(course: Course) -> Iterator[Sign]:
    """Loss and accuracy stay where ignoring the inputs would put them, though the weights move."""
    facts = course.facts
    unmixed = "zigzag" in course.found
    if not course.stuck(150) or len(course.windows) < 3 or course.explained or facts.tiny or unmixed:
        return
    reference, loss = course.reference, course.recent_loss(100)
    if not loss > 0.97 * reference:
        return
    accuracy = sum(w.accuracy * w.steps for w in list(course.windows)[-3:]) / sum(
        w.steps for w in list(course.windows)[-3:]
    )
    if facts.classifies:
        seen = sum(w.steps for w in list(course.windows)[-3:]) * max(facts.batch_size, 1)
        error = math.sqrt(facts.chance * (1 - facts.chance) / max(seen, 1))
        if accuracy > facts.chance + max(4 * error, 0.02):
            return
    shown = f", accuracy {accuracy:.1%} against {facts.chance:.1%} of the largest class" if facts.classifies else ""
    evidence = f"after {course.age} steps the loss is {loss:.4g}, ignoring the inputs gives {reference:.4g}{shown}"
    advice = "check that targets belong to their inputs, and that a handful of examples can be learnt (pynn.preflight)"
    yield Sign("not_learning", "error", evidence, advice)


def regularisation_too_strong(course: Course) -> Iterator[Sign]:
    """Decay or dropout that keeps the network from fitting even the training data."""
    facts = course.facts
    if course.age < 30 or not course.windows:
        return
    left = course.share_left
    norms = [
        (w.norm / course.start_norms[name], name)
        for name, w in course.window.weights.items()
        if course.start_norms.get(name, 0) > 0
    ]
    if (facts.l2 > 0 or facts.l1 > 0) and norms and left > 0.6:
        largest = max(shrunk for shrunk, _ in norms)
        least, name = min(norms)
        pull = max(
            (
                (facts.l2 * w.norm + facts.l1 * math.sqrt(w.size)) / w.gradient_norm
                for w in course.window.weights.values()
                if w.gradient_norm > 0
            ),
            default=0.0,
        )
        if (largest < 0.5 or least < 0.1) and (pull > 0.7 or facts.decoupled or least < 0.05):
            strength = f"weight decay {facts.l2:g}" if facts.l2 else f"L1 penalty {facts.l1:g}"
            evidence = (
                f"{strength} shrank the weights of {name} to {least:.2g} of their norm at the start; "
                f"the loss stays at {left:.0%} of that of ignoring the inputs"
            )
            advice = f"divide the {strength.rpartition(' ')[0]} by 10 to 100"
            yield Sign("regularisation_too_strong", "error", evidence, advice, name)
            return
    if facts.dropout >= course.limits.heavy_dropout and left > 0.5 and course.age >= 100 and course.evaluations:
        evidence = (
            f"dropout blanks {facts.dropout:.0%}, and the training loss stays at {left:.0%} "
            "of that of ignoring the inputs"
        )
        yield Sign("regularisation_too_strong", "warning", evidence, "drop less: 0.2 to 0.5 is usual")


def one_class_at_a_time(course: Course) -> Iterator[Sign]:
    """Batches of a single class: sorted data that is not shuffled, so that the network forgets the others."""
    purity, chance = course.one_class_batches, course.facts.chance
    if purity > max(0.85, 2 * chance) and course.facts.batch_size >= 8 and course.age >= 4:
        evidence = f"the largest class makes up {purity:.0%} of a batch, but {chance:.0%} of the data"
        yield Sign("oscillating", "error", evidence, "shuffle the examples")


def plateau(course: Course) -> Iterator[Sign]:
    """The loss stops falling where the learning rate has fallen to next to nothing, far from solved."""
    window = course.window
    if course.age < 50 or not window.lr < 1e-2 * course.highest_lr or not window.ratio < 10 * course.limits.tiny_ratio:
        return
    if course.share_left > 0.2 and course.share_left < 0.97 and course.steps_left > 0.2:
        evidence = (
            f"the loss stays at {course.recent_loss():.3g}: the rate fell from {course.highest_lr:.3g} "
            f"to {window.lr:.3g}, and a step changes weights by {window.ratio:.1g} of their norm"
        )
        yield Sign("plateau", "warning", evidence, "let the learning rate fall later, or less")


def probabilities_as_logits(course: Course) -> Iterator[Sign]:
    """A softmax in front of a loss that applies one itself."""
    if course.ends_in_probabilities and course.facts.classifies:
        evidence = "the outputs are positive and sum to 1, so that the loss of the softmax over them cannot get near 0"
        advice = "leave out the softmax at the end: CrossEntropyLoss takes logits"
        yield Sign("plateau", "warning", evidence, advice)


RULES = (
    regularisation_too_strong,
    lr_too_high,
    diverging,
    lr_too_low,
    one_class_at_a_time,
    not_learning,
    plateau,
    probabilities_as_logits,
)
