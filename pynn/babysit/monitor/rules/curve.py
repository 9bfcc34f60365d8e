"""Rules on the training loss: divergence, no learning, and effects of data and penalties."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...findings import Severity
from ..run_state import RunState
from .base import STRONG_DECAY, Detection

#: Tolerated share of unreachable targets, as outliers.
UNREACHED = 0.05
#: Spread of a batch's targets over that of all, below which they are alike.
ALIKE = 0.25
#: Minimum share of variance that a simple learner explains before a network that explains none is at fault.
MIN_SIGNAL = 0.15
#: Usual learning rates, of adaptive and other optimisers, and usual weight decay.
USUAL_RATE, USUAL_DECAY = (1e-3, 0.1), 1e-2


def diverging(state: RunState) -> Iterator[Detection]:
    """The loss rises far above where it was."""
    limits = state.limits
    if state.age < 8 or "regularisation_too_strong" in state.found:
        return
    loss, start = state.recent_loss(10), state.starting_loss
    scale, noise = state.scale, 2 * state.best_noise
    above = state.best_loss if math.isfinite(state.best_loss) else start
    if state.is_lost(loss):
        evidence = f"the loss is {loss:.3g} after a start at {start:.3g}"
    elif state.since_best(20) > above + max(0.4 * abs(above), 0.3 * scale, noise) or (
        # If one class dominates, the loss of a batch depends on its number of rare examples.
        state.since_best(50, 3000) > above + max(0.25 * abs(above), 0.2 * scale, noise) and not state.data.chance > 0.8
    ):
        evidence = f"the loss rose from {above:.3g} (step {state.best_step}) to {loss:.3g}"
    else:
        return
    small = state.window.ratio < limits.large_ratio / 10
    advice = "lower the learning rate"
    if small:
        advice = "the steps are small, so the gradient may point the wrong way: check it with pynn.nn.gradcheck"
    yield Detection("diverging", "error", evidence, advice)


def not_learning(state: RunState) -> Iterator[Detection]:
    """Loss and accuracy stay at the level of ignoring the inputs, though the weights move."""
    data, scores = state.data, state.scores
    # A slow start is not yet a fault: require a good part of the run.
    late = state.age >= 150 and (state.steps_left < 0.75 if state.planned else state.age >= 600)
    if not late or not state.stuck() or state.explained or state.network.tiny or "zigzag" in state.found:
        return
    if len(state.windows) < 3 or data.chance > 0.8 or state.all_frozen or state.network.straight or state.hardly_moved:
        return  # a linear function may have nothing to learn where there is much
    reference, loss = state.reference, state.recent_loss(100)
    if not loss > 0.97 * reference > 0 or state.falling(0.05):
        return
    if not data.classifies and scores.examples and not scores.attainable > MIN_SIGNAL:
        return  # without accuracy, weak and no signal look alike: see `evaluation.nothing_to_learn`
    if data.classifies and state.weakly_related and not scores.attainable > data.chance + MIN_SIGNAL:
        return
    latest = list(state.windows)[-3:]
    steps = sum(window.steps for window in latest)
    accuracy = sum(window.accuracy * window.steps for window in latest) / steps
    if data.classifies:
        error = data.chance_error(steps * max(data.batch_size, 1))
        if accuracy > data.chance + max(4 * error, 0.02):
            return
    shown = f", accuracy {accuracy:.1%} against {data.chance:.1%} of the largest class" if accuracy >= 0 else ""
    evidence = f"after {state.age} steps the loss is {loss:.4g}, ignoring the inputs gives {reference:.4g}{shown}"
    advice = "check that targets belong to their inputs, and that a handful of examples can be learnt (pynn.preflight)"
    yield Detection("not_learning", "error", evidence, advice)


def regularisation_too_strong(state: RunState) -> Iterator[Detection]:
    """A penalty on the weights that prevents fitting even the training data."""
    settings = state.settings
    taken = state.window.highest_lr * settings.l2
    decays = settings.l2 > STRONG_DECAY and (settings.decoupled or not settings.adaptive)
    if taken > 1 and decays and not _rate_is_the_cause(state):
        evidence = f"weight decay {settings.l2:g} takes {taken:.2g} times the weights away in a step"
        yield Detection("regularisation_too_strong", "error", evidence, "divide the weight decay by 100 or more")
        return
    if state.age < 30 or ("lr_too_high" in state.found and _rate_is_the_cause(state)):
        return
    norms = [(left, name) for name, left in state.norms_left.items()]
    if not settings.penalised or not norms or not state.share_left > 0.6:
        return
    largest, (minimum, name) = max(left for left, _ in norms), min(norms)
    limited = settings.max_norm < math.inf
    held = _pull(state) > 0.7 or settings.decoupled or minimum < 0.05 or limited
    if held and (largest < 0.5 or minimum < 0.1):
        evidence = (
            f"{settings.strongest_penalty} shrank the weights of {name} to {minimum:.2g} of their norm at the "
            f"start; the loss stays at {state.share_left:.0%} of that of ignoring the inputs"
        )
        advice = f"divide the {settings.penalty} by 10 to 100"
        if not settings.l2 and not settings.l1:
            advice = "raise the limit on the norm"
        yield Detection("regularisation_too_strong", "error", evidence, advice, name)


def _pull(state: RunState) -> float:
    """Return the largest ratio, over the weights, of the norm of the penalties' gradient to that of the loss."""
    settings = state.settings
    ratios = [
        (settings.l2 * w.norm + settings.l1 * math.sqrt(w.size)) / w.gradient_norm
        for w in state.window.weights.values()
        if w.gradient_norm > 0
    ]
    return max(ratios, default=0.0)


def _rate_is_the_cause(state: RunState) -> bool:
    """Return whether the rate is farther above its usual value than the decay; a step decays by their product."""
    settings = state.settings
    usual = USUAL_RATE[0] if settings.adaptive else USUAL_RATE[1]
    return state.highest_lr / usual > max(settings.l2, settings.l1) / USUAL_DECAY


def one_class_at_a_time(state: RunState) -> Iterator[Detection]:
    """Batches of a single class, from sorted unshuffled data: the network forgets the other classes."""
    purity, chance = state.data.one_class_batches, state.data.chance
    if purity > max(0.85, 2 * chance) and state.data.batch_size >= 8 and state.age >= 4:
        evidence = f"the largest class makes up {purity:.0%} of a batch, but {chance:.0%} of the data"
        yield Detection("oscillating", "error", evidence, "shuffle the examples")


def alike_in_a_batch(state: RunState) -> Iterator[Detection]:
    """Batches of like targets, from sorted or slowly varying unshuffled data: the network forgets the others."""
    if state.data.batch_spread < ALIKE and state.data.batch_size >= 8 and state.age >= 8:
        evidence = f"the targets of a batch spread over {state.data.batch_spread:.0%} of the range that all of them do"
        yield Detection("oscillating", "warning" if state.falls_short else "info", evidence, "shuffle the examples")


def probabilities_as_logits(state: RunState) -> Iterator[Detection]:
    """A softmax or sigmoid before a loss that applies its own."""
    if state.network.ends_in_probabilities and state.data.classifies:
        evidence = "the outputs lie between 0 and 1, so that the loss, which makes probabilities of them once more, "
        evidence += "cannot get near 0"
        advice = "leave out the softmax or sigmoid at the end: the loss takes logits"
        yield Detection("plateau", "warning", evidence, advice)


def rectified_logits(state: RunState) -> Iterator[Detection]:
    """A rectifier before a loss that takes logits, which want to be negative for the wrong classes."""
    if state.network.rectified_output and state.age >= 4 and state.network.weights:
        last = state.network.weights[-1].output
        evidence = f"the loss takes logits of either sign, but those of {last} are never negative"
        severity: Severity = "info" if state.learns else "warning"
        yield Detection("dead_units", severity, evidence, "leave out the activation after the last layer", last)


def wrong_gradient(state: RunState) -> Iterator[Detection]:
    """A custom layer or loss with a wrong gradient, or an optimiser that follows it uphill."""
    if state.wrong_gradient is not None:
        evidence, advice, place = state.wrong_gradient
        yield Detection("not_learning", "error", evidence, advice, place)


def targets_out_of_reach(state: RunState) -> Iterator[Detection]:
    """A final activation whose range excludes regression targets."""
    if state.data.out_of_reach > UNREACHED and state.age >= 4:
        last = state.network.weights[-1]
        evidence = f"{state.data.out_of_reach:.0%} of the targets lie where no output of {last.output} can be"
        advice = "omit the activation after the last layer, or bring the targets into its range"
        yield Detection("underfitting", "warning", evidence, advice, last.output)


RULES = (
    regularisation_too_strong,
    diverging,
    one_class_at_a_time,
    alike_in_a_batch,
    not_learning,
    probabilities_as_logits,
    rectified_logits,
    targets_out_of_reach,
    wrong_gradient,
)
