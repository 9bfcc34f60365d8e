"""Checks by short training: the network must overfit a handful of examples, and inputs must help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...nn.context import Context
from ...nn.layers import Linear
from ...nn.random import Stream
from ...nn.traversal import parts
from ...training.examples import Examples
from ...utils.config import is_own
from .case import MULTIPLIES, Case, train, training_loss
from .relation import Relation, of_network, relation
from .report import Check, failed, passed, skipped, warned
from .rows import row_keys

if TYPE_CHECKING:
    from ...training.trainer import Trainer

#: Number of examples that any network should be able to overfit (CS231n).
HANDFUL = 20
#: Steps after which the outcome is looked at.
LOOK_EVERY = 5
#: Rates of Adam, tried in turn.
RATES = (3e-3, 3e-4, 2e-2)
#: Units of a hidden layer that are too few for most things.
NARROW = 3
#: Standard errors that chance does not explain, and the share of the loss by which inputs must lower it.
CERTAIN, HELPS = 8.0, 0.02
#: Examples among which a correlation of 0.2 is certain.
ENOUGH = 200
FAULTS = "Look for a layer that passes nothing on, a wrong gradient, or a network that is too small."


def overfits_a_handful(case: Case) -> Check:
    """Check that the network overfits a few examples without regularisation."""
    check = _overfits(case)
    case.known.learns = check.status == "pass"
    return check


def _overfits(case: Case) -> Check:
    name = "overfits a handful"
    part = _handful(case)
    count = len(part.x)
    if count < 2:
        return skipped(name, "there are no two examples that differ")
    reference = min(constant_loss(case, part), training_loss(case, case.trial(adam=1e-3), part)[0])
    evidence, best = _memorise(case, part)
    if case.known.memorises:
        return passed(name, evidence)
    evidence += f", where the best constant gives {reference:.4g}"
    if case.own_loss:  # require only that it falls
        gained = (reference - best) / max(abs(reference), 1e-12)
        if gained > 0.3:
            return passed(name, evidence)
        return (warned if gained > 0.01 else failed)(name, "not_learning", evidence, FAULTS)
    floor = _least_loss(case, part)
    closed = (reference - best) / (reference - floor) if reference > max(floor, 0) and np.isfinite(best) else 0.0
    able = _is_able(case, count)
    if closed >= 0.9 or (closed >= 0.15 and not able):
        return passed(name, evidence)
    report = failed if closed < 0.5 and able else warned
    small = _too_small(case)
    if small is not None:
        label, why, advice = small
        return report(name, "underfitting", f"{evidence}; {why}", advice, label)
    return report(name, "not_learning", evidence, FAULTS)


def _memorise(case: Case, part: Examples) -> tuple[str, float]:
    """Train on a handful until the network tells its examples apart; return what was reached, and the lowest loss."""
    count = len(part.x)
    steps = case.steps(0.5, count, 60, 600)
    best, reached, taken = np.inf, 0.0, 0
    for rate in RATES:
        trainer = case.trial(adam=rate)
        for done in range(LOOK_EVERY, steps + LOOK_EVERY, LOOK_EVERY):
            losses = train(trainer, part, np.arange(count), LOOK_EVERY, count)
            if not np.isfinite(losses[-1]):
                break
            loss, prediction = training_loss(case, trainer, part)
            share = _share_right(case, prediction, part.y)
            if loss < best:
                best, case.known.adam_rate, taken = loss, rate, done
            reached = max(reached, share)
            if share >= (1.0 if _counts(case, prediction, part.y) else 0.95):
                case.known.memorises = True
                return f"{count} examples memorised in {done} steps, loss {loss:.3g}", best
    what = "accuracy" if _counts(case, np.zeros((count, *case.output_shape[1:])), part.y) else "explained variance"
    return f"of {count} examples {what} {reached:.0%} at best, loss {best:.4g} after {taken} steps of Adam", best


def _too_small(case: Case) -> tuple[str, str, str] | None:
    """Return a layer, what is missing in the network there, and advice, if it is very small."""
    weighted = [part for part in parts(case.model) if isinstance(part.layer, MULTIPLIES) or is_own(part.layer)]
    if len(weighted) == 1:
        advice = "Add one, such as Linear(..., 16), ReLU()."
        return weighted[0].label, "there is no hidden layer, so outputs follow from a linear function", advice
    widths = [(part.layer.out_features, part.label) for part in weighted[:-1] if isinstance(part.layer, Linear)]
    units, label = min(widths, default=(NARROW + 1, ""))
    if units > NARROW:
        return None
    return label, f"the narrowest hidden layer has {units} unit{'s' * (units > 1)}", "Give that layer more units."


def _handful(case: Case) -> Examples:
    """Return some distinct examples, cycling through the classes, without sample weights."""
    rows = case.rows(2000, stream=10)
    keys = row_keys(case.examples.x[rows].reshape(len(rows), -1))
    _, first = np.unique(keys, return_index=True)
    rows = rows[np.sort(first)]
    y = case.examples.y
    if case.labels(y, case.output_shape) or (case.loss.output_kind == "binary" and y.size == len(y)):
        labels = y.reshape(len(y), -1)[rows, 0] > 0.5 if case.loss.output_kind == "binary" else y[rows]
        _, group = np.unique(labels, return_inverse=True)
        turn = np.zeros(len(rows), dtype=int)
        for index in range(group.max() + 1):
            turn[group == index] = np.arange(np.sum(group == index))
        rows = rows[np.argsort(turn, kind="stable")]
    rows = rows[:HANDFUL]
    return Examples(np.ascontiguousarray(case.examples.x[rows]), np.ascontiguousarray(y[rows]), None)


def _counts(case: Case, prediction: np.ndarray, y: np.ndarray) -> bool:
    return case.labels(y, prediction.shape) or case.loss.count_correct(prediction, y) is not None


def _share_right(case: Case, prediction: np.ndarray, y: np.ndarray) -> float:
    """Return the accuracy, or for regression the share of variance explained."""
    counted = case.loss.count_correct(prediction, y)
    if counted is not None:
        return counted[0] / max(counted[1], 1)
    if case.labels(y, prediction.shape):
        return float(np.mean(prediction.argmax(axis=1) == y))
    if prediction.shape != y.shape:
        return 0.0
    variance = float(np.square(y - y.mean(axis=0)).sum(dtype=np.float64))
    return 1 - float(np.square(case.loss.amounts(prediction) - y).sum(dtype=np.float64)) / variance if variance else 1.0


def constant_loss(case: Case, part: Examples) -> float:
    """Return the loss of outputs that do not depend on the input: the targets' mean or such, or the classes' shares."""
    shape = (len(part.x), *case.output_shape[1:])
    dtype = case.model.dtype
    if case.labels(part.y, shape):
        shares = np.bincount(part.y, minlength=shape[1])[: shape[1]] / len(part.y)
        constant = np.broadcast_to(np.log(np.maximum(shares, 1e-4)), shape)
    elif part.y.shape == shape and case.loss.output_kind == "values":
        constant = np.broadcast_to(case.loss.best_constant(part.y), shape)
    else:
        constant = np.zeros(shape)
    loss = float(case.loss.forward(np.ascontiguousarray(constant, dtype=dtype), part.y, part.weights)[0])
    return loss if np.isfinite(loss) else np.inf


def _least_loss(case: Case, part: Examples) -> float:
    """Return the loss of outputs that are the targets: not 0 for yes-or-no targets in between, such as pixels."""
    if case.loss.output_kind != "binary":
        return 0.0
    sure = np.clip(part.y.astype(np.float64), 1e-6, 1 - 1e-6)
    logits = np.ascontiguousarray(np.log(sure / (1 - sure)), dtype=case.model.dtype)
    return float(case.loss.forward(logits, part.y, part.weights)[0])


def _is_able(case: Case, count: int) -> bool:
    """Return whether the network should be able to overfit `count` examples."""
    layers = [part.layer for part in parts(case.model)]
    hidden = [layer for layer in layers[:-1] if isinstance(layer, MULTIPLIES) or is_own(layer)]
    free = sum(parameter.size for parameter in case.model.parameters() if not parameter.frozen)
    features = int(np.prod(case.examples.x.shape[1:]))
    frozen = any(parameter.frozen for parameter in case.model.parameters())
    return free >= 10 * count and not frozen and (features >= count or (bool(hidden) and features >= 5))


def beats_the_baseline(case: Case) -> Check:
    """Check that inputs help the network and targets depend on them."""
    name = "beats the baseline"
    advice = "Check that inputs and targets are in the same order, and that no layer swallows its input."
    if case.size < 20:
        return skipped(name, "too few examples to tell")
    quick = relation(case, case.take(case.rows(1000, stream=12)))
    if quick is not None and case.known.memorises and quick.simple > CERTAIN:
        evidence = f"simple fits of {quick.count} examples beat chance by several standard errors"
        return passed(name, f"{evidence} ({quick}), and the network learnt a handful")
    rows = case.rows(1200, stream=11)
    half = len(rows) // 2
    seen, held_out = case.take(rows[:half]), case.take(rows[half:])
    batch = min(32, half)
    steps = case.steps(0.5, batch, 40, 250)
    loss, trainer = _trained(case, seen, steps, batch)
    other, of_what = constant_loss(case, seen), "at the best constant"
    if case.own_loss or not other - loss > HELPS * abs(other):
        mean = np.ascontiguousarray(np.broadcast_to(seen.x.mean(axis=0), seen.x.shape))
        other, of_what = _trained(case, Examples(mean, seen.y, seen.weights), steps, batch)[0], "with their mean only"
    evidence = f"after {steps} steps the loss is {loss:.4g} with inputs and {other:.4g} {of_what}"
    helps = other - loss > HELPS * abs(other)
    seeing = relation(case, case.take(case.rows(4000, stream=12)))
    if seeing is None or half < 30:
        if helps:
            return passed(name, evidence)
        return warned(name, "not_learning", evidence, advice)
    prediction = trainer.model.forward(held_out.x, Context(training=True, random=Stream(case.seed)))
    seeing.network = of_network(case, held_out, prediction)
    evidence += (
        f"; on {seeing.count} other examples, predictions agree with the targets by {seeing.network:.1f} standard "
        f"errors more than chance ({seeing})"
    )
    return _of_relation(name, seeing, helps, evidence, advice)


def _of_relation(name: str, seeing: Relation, helps: bool, evidence: str, advice: str) -> Check:
    """Return the check by how far predictions, and simple fits, agree with the targets of other examples."""
    simple = seeing.simple
    if not helps and simple > 4 and seeing.network < 3:
        return failed(name, "not_learning", evidence, advice)
    if max(seeing.network, simple) < 1.5 and seeing.count >= 500:
        return failed(name, "not_learning", evidence, advice)
    unrelated = max(seeing.network, simple) < (2.5 if seeing.network > 1.5 else 3)
    if unrelated and seeing.count < ENOUGH and helps:
        return passed(name, f"{evidence}; {seeing.count} are too few to tell")
    if unrelated or (simple > 8 and seeing.network < 2 and not helps):
        return warned(name, "not_learning", evidence, advice)
    return passed(name, evidence)


def _trained(case: Case, part: Examples, steps: int, batch: int) -> tuple[float, Trainer]:
    """Return the training loss after some steps of Adam, and the trainer."""
    trainer = case.trial(adam=min(case.known.adam_rate, 3e-3))
    train(trainer, part, np.arange(len(part.x)), steps, batch)
    return training_loss(case, trainer, part)[0], trainer
