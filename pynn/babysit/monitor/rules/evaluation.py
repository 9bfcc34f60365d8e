"""Rules per epoch: overfitting, underfitting, oscillation, batch norm's two modes, classes never predicted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ...findings import Severity
from ..evaluations import Evaluation
from ..run_state import RunState
from .base import STRONG_DECAY, Detection, changed, has_noisy_norms

#: Multiple of the running averages' time constant after which their initial values are forgotten.
FORGOTTEN = 10
#: With more batch norms than these, the two modes must differ in a third evaluation.
MANY_NORMS = 4
#: Their averages only lag while the loss in inference mode falls to this share of itself within two evaluations, or is
#: below this share of the loss without learning.
CATCHING_UP, PREDICTS = 0.67, 0.5
#: Validation examples of a class for a rough and for a reliable recall.
FEW_ASKED, MANY_ASKED = 3, 10
#: Epochs after which overfitting is judged even if there were few steps.
MANY_EPOCHS = 20
#: Standard errors that chance does not explain.
SURE = 2.0
#: Training data are memorized if their loss is below this share of that in validation and of that of ignoring the
#: inputs. Below the second share, overfitting is a fault.
MEMORIZED, MUCH_BETTER = 0.2, 0.4
#: A risen validation loss is a fault if accuracy or R2 is this much lower in validation than in training.
FEWER_RIGHT = 0.1
#: Dropout that is not raised further.
MUCH_DROPOUT = 0.5
#: What to do about heavy dropout.
DROP_LESS = "drop less: 0.2 to 0.5 is usual"
#: Symptoms that make validation figures oscillate.
UNSTEADY = ("regularisation_too_strong", "lr_too_high", "diverging", "oscillating", "batchnorm_mismatch")


def overfitting(state: RunState) -> Iterator[Detection]:
    """The validation loss rises, or stays far above that of training (CS231n, Neural Networks Part 3).

    A gap without a rise, and without a training loss far below, is no fault, though more restraint may help: most
    networks that learn from few examples score better in training.
    """
    done = state.evaluations
    if len(done) < 3 or (state.age < 50 and len(done) < MANY_EPOCHS) or math.isnan(done[-1].val_loss):
        return
    if any(state.seen_lately(symptom) for symptom in UNSTEADY):
        return
    losses = [e.val_loss for e in done]
    # Of three epochs each: with few examples, one may do well by chance.
    around = [losses[max(0, i - 1) : i + 2] for i in range(len(losses))]
    medians = [statistics.median_low(values) for values in around]
    best = losses.index(min(medians))
    last = done[-1]
    rose = _rose(state, losses, medians[best], best)
    shown = _scored_by(best, done) if state.settings.restores else last
    lost = rose and not state.settings.restores  # the weights of the best epoch
    if not lost and not _generalises_badly(state, shown, losses):
        return
    if lost:
        evidence = (
            f"since epoch {done[best].epoch} the validation loss rose from {losses[best]:.3g} to {losses[-1]:.3g}"
        )
    else:
        evidence = f"the loss is {shown.fitted_loss:.3g} in training and {shown.val_loss:.3g} in validation"
    advice = _restrain(state, done[best].epoch if lost else None)
    # With the best weights restored, nothing is lost.
    harmless = state.settings.restores or not (rose or _fits_below(MUCH_BETTER, state, shown))
    severity: Severity = "info" if harmless else "warning"
    yield Detection("overfitting", severity, f"{evidence}{_scores(state, shown)}", advice)


def _scored_by(place: int, done: list[Evaluation]) -> Evaluation:
    """Return the evaluation at a place, or the last one before it that has been scored."""
    return next((each for each in reversed(done[: place + 1]) if not math.isnan(each.fitted_loss)), done[place])


def _rose(state: RunState, losses: list[float], lowest: float, best: int) -> bool:
    """Return whether the validation loss has risen for good, by more than chance explains."""
    limits, last = state.limits, state.evaluations[-1]
    if best > len(losses) - 4 or not lowest > 0:
        return False
    least = max(limits.val_rise * lowest, 0.05 * state.scale)
    risen = losses[-1] > lowest + least and min(losses[-3:]) > lowest + least / 2
    rising = losses[-1] > 0.9 * losses[-2] > 0.81 * losses[-3]
    fits = last.loss < state.evaluations[best].loss and last.fitted_loss < 0.5 * last.val_loss
    doubled = losses[-1] > 2 * lowest and state.steps_left < 0.25 and not state.explained
    worse = last.fitted - last.reached > FEWER_RIGHT or doubled
    return risen and rising and fits and last.risen > SURE and (worse or math.isnan(last.fitted))


def _generalises_badly(state: RunState, shown: Evaluation, losses: list[float]) -> bool:
    """Return whether the loss is far higher in validation than in training, in inference mode, and no longer falls."""
    early = losses[: 3 * len(losses) // 4]
    falling = bool(early) and losses[-1] < 0.97 * min(early)
    memorized = _fits_below(MEMORIZED, state, shown) and shown.fitted - shown.reached > FEWER_RIGHT
    settled = state.steps_left < 0.25 or memorized
    # A likelihood without its constant falls below 0.
    gap = state.limits.gap * max(state.reference, state.reference - shown.fitted_loss)
    apart = shown.val_loss > shown.fitted_loss + gap > shown.fitted_loss and shown.apart > SURE
    return apart and settled and not falling and not state.explained


def _fits_below(share: float, state: RunState, shown: Evaluation) -> bool:
    return shown.fitted_loss < share * min(shown.val_loss, state.reference)


def _scores(state: RunState, shown: Evaluation) -> str:
    if math.isnan(shown.fitted):
        return ""
    scores = f"{state.data.as_score(shown.fitted)} in training and {state.data.as_score(shown.reached)} in validation"
    return f"; {state.data.measure} is {scores}"


def _restrain(state: RunState, best_epoch: int | None) -> str:
    """Return what may help against overfitting: only what the network does not have already."""
    network = state.network
    ways = [] if best_epoch is None else [f"stop after epoch {best_epoch} (pynn.EarlyStopping)"]
    if network.dropout == 0:
        ways.append("add dropout")
    elif network.dropout < MUCH_DROPOUT:
        ways.append(f"raise the dropout from {network.dropout:g} to {MUCH_DROPOUT:g}")
    if state.settings.l2 == 0:
        ways.append("add weight decay")
    if network.hidden and not network.tiny:
        ways.append("make the network smaller")
    return f"{', '.join(ways)}{' or ' if ways else ''}get more data"


def underfitting(state: RunState) -> Iterator[Detection]:
    """Training has flattened out, and a simple learner of another kind scores better."""
    network, scores, data = state.network, state.scores, state.data
    if state.is_young(3, 60) or math.isnan(scores.attainable) or state.explained:
        return
    if state.has_found("overfitting", "batchnorm_mismatch") or state.settings.class_weights:
        return
    before, last = state.evaluations[-3], state.evaluations[-1]
    # The network may still improve: judge only the last epochs.
    flat = before.loss - last.loss < 0.05 * max(last.loss, 1e-30)
    told = "not_learning" in state.found or state.all_frozen
    settled = network.tiny or (state.steps_left < 0.1 and not told)
    behind = scores.is_behind(0.05 if network.tiny else 0.1) and scores.fitted < scores.attainable
    if behind and flat and settled:
        symptom, cause, advice = _held_back_by(state)
        evidence = (
            f"the training loss no longer falls, and in validation {data.measure} is {data.as_score(scores.reached)}, "
            f"where a simple learner has {data.as_score(scores.attainable)}{cause}"
        )
        yield Detection(symptom, "warning", evidence, advice)


def _held_back_by(state: RunState) -> tuple[str, str, str]:
    """Return what may keep a network from fitting: symptom, further evidence, and advice."""
    decay, dropout = state.settings.l2, state.network.dropout
    if decay >= STRONG_DECAY:
        return "regularisation_too_strong", "", f"divide the weight decay of {decay:g} by 10 to 100"
    if dropout > MUCH_DROPOUT:
        return "regularisation_too_strong", f"; dropout blanks {dropout:.0%}", DROP_LESS
    if state.network.straight:
        cause = "; without an activation between them, its layers compute one linear function"
        return "underfitting", cause, "put an activation such as ReLU after each hidden layer"
    return "underfitting", "", "use a larger network, or train it longer or faster"


def oscillating(state: RunState) -> Iterator[Detection]:
    """Validation figures oscillate by more than their sampling error."""
    done = state.evaluations[-10:]
    if state.is_young(5, 100) or not state.share_left < 0.95 or state.network.tiny:
        return
    if not state.data.classifies and done[-1].loss < 0.2 * done[-1].val_loss:  # learnt by heart
        return
    if state.data.classifies and not math.isnan(done[-1].val_accuracy):
        values = [e.val_accuracy for e in done]
        minimum = max(state.limits.swing, 3 * state.scores.sampling_error)
        what = "validation accuracy"
    else:
        if not state.settings.squares:
            return
        values = [e.val_loss if not math.isnan(e.val_loss) else e.loss for e in done]
        minimum = max(0.3 * sorted(values)[len(values) // 2], state.limits.swing * state.reference)
        what = "loss"
    steps = [after - before for before, after in pairwise(values)]
    swings = sum(abs(a) > minimum and abs(b) > minimum and (a > 0) != (b > 0) for a, b in pairwise(steps))
    if swings >= 3 and swings >= 0.4 * (len(steps) - 1):
        evidence = f"the {what} swung by more than {minimum:.2g} up and down {swings} times in {len(done)} epochs"
        ratio = state.window.ratio
        if ratio > state.limits.large_ratio / 2:
            evidence += f", and {changed(ratio)}"
            yield Detection("lr_too_high", "warning", evidence, "divide the learning rate by 3 to 10")
        else:
            yield Detection(
                "oscillating", "warning", evidence, "lower the learning rate, let it fall, or use larger batches"
            )


def batchnorm_mismatch(state: RunState) -> Iterator[Detection]:
    """On the same examples, batch norm in training mode does well and in inference mode badly."""
    network = state.network
    if has_noisy_norms(state) and len(state.evaluations) >= 3 and state.share_left > 0.5:
        evidence = f"batch norm takes its statistics from batches of {state.data.batch_size}, and the loss stays high"
        yield Detection("batchnorm_mismatch", "warning", evidence, "use batches of at least 16")
    # Correct averages lag until they have forgotten their initial values.
    young = state.age < FORGOTTEN / max(network.norm_momentum, 1e-3)
    many = network.batch_norms > MANY_NORMS
    if not modes_differ(state, 3 if young or many else 2):
        return
    # With many batch norms, the lags add up while weights move fast; wrong averages stay wrong.
    train, infer = state.mode_gaps[-1]
    if many and (infer < CATCHING_UP * state.mode_gaps[-3][1] or infer < PREDICTS * state.scale):
        return
    evidence = (
        f"on the same examples the loss is {train:.3g} with the batch's statistics "
        f"and {infer:.3g} with the running ones"
    )
    advice = "check the momentum of batch norm, its batch size, and that training and validation inputs are alike"
    yield Detection("batchnorm_mismatch", "error", evidence, advice)


def modes_differ(state: RunState, times: int) -> bool:
    """Return whether the latest evaluations found batch norm's two modes to differ."""
    gaps = state.mode_gaps[-times:]
    return len(gaps) == times and all(infer > max(1.5 * train, train + 0.05 * state.scale) for train, infer in gaps)


def class_imbalance(state: RunState) -> Iterator[Detection]:
    """Rare classes that the network never predicts."""
    counts, recall = state.data.counts, state.scores.recall
    if counts is None or recall is None or state.is_young(3, 60) or state.explained:
        return
    missed = _missed(state, counts, recall)
    if missed:
        rarest = min(missed, key=lambda index: counts[index])
        evidence = (
            f"{state.data.class_name(rarest)} has {counts[rarest]} of {counts.sum()} training examples, "
            f"and {recall[rarest][0]:.0%} of its examples are recognised"
        )
        advice = "weight the classes (CrossEntropyLoss(weight=...), --class-weight balanced), or draw the rare ones "
        advice += "more often"
        yield Detection("class_imbalance", "info" if _favours(state, rarest) else "warning", evidence, advice)


def _missed(state: RunState, counts: np.ndarray, recall: list[tuple[float, int]]) -> list[int]:
    """Return the rare classes that are hardly recognised, nor increasingly so."""
    imbalance, present = state.limits.imbalance, counts[counts > 0]
    if len(present) < 2 or present.max() < imbalance * present.min():
        return []
    rare = [index for index in range(len(recall)) if counts[index] * imbalance <= present.max()]
    # Few examples per class are weak evidence: require that all rare classes together are missed.
    asked = sum(recall[index][1] for index in rare)
    named = sum(share * seen for share, seen in (recall[index] for index in rare) if seen)
    return [
        index
        for index in rare
        if recall[index][1] >= FEW_ASKED
        and recall[index][0] < 0.1
        and (recall[index][1] >= MANY_ASKED or named < 0.25 * asked)
        and not _rising(state, index)
    ]


def _favours(state: RunState, index: int) -> bool:
    """Return whether the loss weights a class above the commonest one."""
    weights, counts = state.settings.class_weights, state.data.counts
    return counts is not None and len(weights) == len(counts) and weights[index] > weights[int(counts.argmax())]


def _rising(state: RunState, index: int) -> bool:
    """Return whether a class is being learnt: the probability of its examples grows every epoch."""
    known = [confidence[index] for confidence in state.scores.confidence]
    return len(known) > 1 and len(state.evaluations) < 10 and known[-1] > 1.15 * known[-2]


def nothing_to_learn(state: RunState) -> Iterator[Detection]:
    """Neither the network nor simple learners of other kinds learn from the inputs."""
    data, scores = state.data, state.scores
    if state.is_young(3, 100) or math.isnan(scores.attainable) or scores.examples < 100:
        return
    if state.explained or data.chance > 0.8 or state.weakly_related:
        return
    nothing = 0.01
    if data.classifies:
        nothing = data.chance + 3 * data.chance_error(scores.examples)
    if scores.reached < nothing and scores.attainable < nothing:
        evidence = (
            f"in validation {data.measure} is {data.as_score(scores.reached)}, and "
            f"{data.as_score(scores.attainable)} for a simple learner: no better than chance"
        )
        advice = "check that each target belongs to its inputs, and that the inputs tell anything about it"
        yield Detection("not_learning", "error" if state.steps_left < 0.3 else "info", evidence, advice)


def too_much_dropped(state: RunState) -> Iterator[Detection]:
    """Dropout so heavy that the network, even without it in inference, scores below a simple learner."""
    if state.network.dropout < state.limits.heavy_dropout or state.is_young(3, 100):
        return
    if state.share_left > 0.5 and not state.scores.reached > state.scores.attainable - 0.05:
        evidence = (
            f"dropout blanks {state.network.dropout:.0%}, and the training loss stays at {state.share_left:.0%} "
            "of that of ignoring the inputs"
        )
        yield Detection("regularisation_too_strong", "warning", evidence, DROP_LESS)


def held_down(state: RunState) -> Iterator[Detection]:
    """Decay that keeps the weights too small: training data are fitted no better than validation data."""
    settings, done = state.settings, state.evaluations
    if state.is_young(3, 60) or settings.l2 < STRONG_DECAY or not 0.2 < state.share_left < 0.9:
        return
    normalized = {w.name for w in state.network.weights if w.normalized}  # which makes up for small weights
    shrunk = [left for name, left in state.norms_left.items() if name not in normalized]
    last, before = done[-1], done[-2]
    gap = last.accuracy - last.val_accuracy if state.data.classifies else (last.val_loss - last.loss) / state.scale
    if shrunk and max(shrunk) < 0.7 and abs(before.loss - last.loss) < 0.05 * last.loss and not gap > 0.05:
        evidence = (
            f"{settings.strongest_penalty} holds the weights at {max(shrunk):.2g} of their norm at the start; training "
            f"is flat at {state.share_left:.0%} of the loss of ignoring the inputs, no better than in validation"
        )
        advice = f"divide the {settings.penalty} by 10 to 100"
        yield Detection("regularisation_too_strong", "warning", evidence, advice)


RULES = (
    batchnorm_mismatch,
    held_down,
    too_much_dropped,
    nothing_to_learn,
    overfitting,
    underfitting,
    oscillating,
    class_imbalance,
)
