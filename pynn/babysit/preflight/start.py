"""Checks of the first step: feasibility, initial loss, reduction of the loss, and penalties."""

from __future__ import annotations

import math

import numpy as np

from ...nn.context import Context
from ...nn.layers import Dropout
from ...nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, HingeLoss, MSELoss, MultiMarginLoss, NLLLoss
from ...nn.random import Stream
from ...nn.regression_losses import KLDivLoss, L1Loss, PoissonNLLLoss
from ...optim.optimizers import AdamW
from ...optim.regularizers import MaxNorm
from ...training.examples import Examples
from .case import Case, train, training_loss
from .report import Check, failed, noted, passed, skipped, warned
from .targets import target_range

INITIALIZE = "Scale the last layer's initial weights down, or normalise the inputs."
WEAKEN = "Weaken it until the loss on the training data falls almost as it does without."
#: Share of penalties in the whole loss at which it is as much about them as about the data.
DROWNS = 0.5
REGULARIZATION = "regularisation", "regularisation_too_strong"  # check and symptom


def first_step(case: Case) -> list[Check]:
    """Check that the targets fit the network, and that one step works."""
    name = "one training step"
    part = case.take(case.rows(max(2, case.batch_size)))
    case.output_shape = (1, *case.model.infer(part.x[:2]).shape[1:])
    targets = target_range(case)
    if targets.status == "fail":
        return [targets]
    if all(parameter.frozen for parameter in case.model.parameters()):
        evidence = f"all {len(case.model.parameters())} parameter tensors are frozen"
        return [
            targets,
            failed(name, "not_learning", evidence, "Unfreeze those that are to be trained: layer.freeze(False)."),
        ]
    trainer = case.trial(regularized=True, dropout=True)
    losses = train(trainer, part, np.arange(len(part.x)), 1, len(part.x))
    flat = trainer.model.flat
    if not math.isfinite(losses[0]):
        advice = "Look for a logarithm or a division by 0 in layers and loss, and at the scale of data and weights."
        return [targets, failed(name, "non_finite", "the loss of the first batch is not finite", advice)]
    broken = [slot for slot in flat.slots if not np.isfinite(slot[1].grad).all()]
    if broken:
        evidence = f"the loss is {losses[0]:.4g}, but the gradient of {broken[-1][0]} is not finite"
        advice = "Look for a logarithm, root or division by 0 in the backward pass."
        return [targets, failed(name, "non_finite", evidence, advice)]
    if _climbs(case, part):
        evidence = f"a step of {type(trainer.optimizer).__name__} goes up the gradient: it makes the loss larger"
        return [targets, failed(name, "diverging", evidence, "Subtract the gradient in the optimiser's update.")]
    count = sum(parameter.size for parameter in case.model.parameters() if not parameter.frozen)
    return [targets, passed(name, f"loss {losses[0]:.4g} on {len(part.x)} examples; {count:,} parameters to train")]


def _climbs(case: Case, part: Examples) -> bool:
    """Return whether the optimiser's first step goes up the gradient, rather than down it or elsewhere."""
    trainer = case.trial()
    flat = trainer.model.flat
    before = flat.values.copy()
    train(trainer, part, np.arange(len(part.x)), 1, len(part.x))
    moved = (flat.values - before).astype(np.float64)
    slope = flat.grads.astype(np.float64)
    return float(moved @ slope) > 0.1 * float(np.linalg.norm(moved) * np.linalg.norm(slope)) > 0


def initial_loss(case: Case) -> Check:
    """Check that the initial loss is near the theoretical one, that of all-zero outputs."""
    name = "initial loss"
    first = case.first_pass
    part, loss, prediction = first.part, first.loss, first.prediction
    theory = float(case.loss.forward(case.loss.neutral(prediction), part.y, part.weights)[0])
    start = "equal probabilities" if isinstance(case.loss, NLLLoss | KLDivLoss) else "outputs of 0"
    if not math.isfinite(loss):
        evidence = f"the loss is {loss} on {len(part.x)} examples"
        return failed(name, "non_finite", evidence, "Look for a logarithm or a division by 0 in layers and loss.")
    if not math.isfinite(theory) or theory <= 0:
        return skipped(
            name, f"{loss:.4g}; {start} would give {theory:.4g}, and there is no theoretical value for this loss"
        )
    case.known.trained |= loss < 0.6 * theory
    case.known.sums = _is_sum(case)[0]
    evidence = f"{loss:.4g}; {start} would give {theory:.4g}{_formula(case, prediction)}"
    excess = (loss - theory) / (len(part.x) if case.known.sums else 1)
    # In regression, the usual initialisation gives outputs of variance up to 2 to 4, which add this excess.
    values = case.loss.output_kind in ("values", None)
    limits = (5.0, 10.0) if values else (3.0, 10.0)
    if case.own_loss:
        # For a custom loss, the value at all-zero outputs is a comparison, not theory.
        limits = (10.0, 30.0)
    if loss > limits[1] * theory and excess > (4 if values else 1):
        return failed(name, "bad_initial_loss", evidence, INITIALIZE)
    if loss > limits[0] * theory and excess > 4:
        return warned(name, "bad_initial_loss", evidence, INITIALIZE)
    return passed(name, f"{evidence}{'; the network has been trained already' if case.known.trained else ''}")


def _formula(case: Case, prediction: np.ndarray) -> str:
    classes = prediction.shape[-1]
    match case.loss:
        case CrossEntropyLoss(weight=None) | NLLLoss(weight=None):
            return f" (ln {classes} = {math.log(classes):.4g})"
        case MultiMarginLoss():
            return f" ((C - 1) margin / C, C = {classes})"
        case HingeLoss():
            return f" ((C - 1) margin, C = {classes})"
        case BCEWithLogitsLoss(pos_weight=None):
            return " (ln 2 = 0.6931)"
        case MSELoss():
            return " (the mean square of the targets)"
        case L1Loss():
            return " (the mean absolute target)"
        case PoissonNLLLoss(log_input=True, full=False):
            return " (exp(0) = 1)"
    return ""


def _is_sum(case: Case) -> tuple[bool, str]:
    """Return whether the loss grows with the batch, and its values for several batch sizes."""
    rows = case.rows(16, stream=3)
    part = case.take(rows)
    prediction = case.model.forward(part.x, Context(random=Stream(case.seed)))
    figures, slopes = [], []
    for times in (1, 2, 4):
        weights = None if part.weights is None else np.tile(part.weights, times)
        again = (times, *[1] * (prediction.ndim - 1))
        loss, gradient = case.loss.forward(
            np.tile(prediction, again), np.tile(part.y, (times, *[1] * (part.y.ndim - 1))), weights
        )
        figures.append(float(loss))
        slopes.append(0.0 if gradient is None else float(np.linalg.norm(gradient[: len(rows)])))
    sizes = [len(rows) * times for times in (1, 2, 4)]
    text = ", ".join(f"{figure:.4g} for {size}" for figure, size in zip(figures, sizes, strict=True))
    grows = figures[0] != 0 and 1.7 < figures[1] / figures[0] < 2.3 and 3 < figures[2] / figures[0] < 5
    # The gradient matters to the optimiser: with a mean, doubling the batch halves the share of an example.
    steep = slopes[0] > 0 and slopes[2] > 0.7 * slopes[0]
    return grows or steep, text


def loss_reduction(case: Case) -> Check:
    """Check that the loss is a mean over the batch, not a sum."""
    name = "loss reduction"
    sums, figures = _is_sum(case)
    evidence = f"loss of a batch that repeats the same examples: {figures}"
    if not sums:
        return passed(name, f"{evidence} of them; a mean")
    advice = "Divide the loss and its gradient by the batch size, so that the rate does not depend on it."
    report = failed if case.known.rate_too_high else warned
    return report(name, "bad_initial_loss", f"{evidence} of them; loss or gradient is a sum", advice)


def regularisation(case: Case) -> Check:
    """Check that penalties raise the loss and the network can still learn."""
    name, symptom = REGULARIZATION
    drops = [layer.p for layer in case.model.all_layers() if isinstance(layer, Dropout)]
    if drops and max(drops) >= 0.95:
        return failed(name, symptom, f"dropout zeroes {max(drops):.0%} of a layer's inputs", WEAKEN)
    if drops and max(drops) > 0.8:
        return warned(name, symptom, f"dropout zeroes {max(drops):.0%} of a layer's inputs", WEAKEN)
    trainer = case.trial(regularized=True)
    loss = case.first_pass.loss / (len(case.first_pass.part.x) if case.known.sums else 1)
    flat = trainer.model.flat
    notes, penalty = [], 0.0
    for regularizer in trainer.regularizers:
        flat.grads.fill(0)
        value = regularizer.add_gradient(flat)
        gradient = flat.grads.copy()
        if not math.isfinite(value) or value < 0:
            evidence = f"the penalty of {type(regularizer).__name__} is {value:.4g}"
            return failed(name, symptom, evidence, "A penalty must raise the loss.")
        slope = float(gradient.astype(np.float64) @ flat.values)
        if value > 0 and slope < 0:
            evidence = f"the penalty of {type(regularizer).__name__} is {value:.4g}, but its gradient lets weights grow"
            return failed(name, symptom, evidence, "Flip the sign of the penalty's gradient.")
        penalty += value
        notes.append(f"{regularizer!r} adds {value:.4g}")
    decay = trainer.optimizer.weight_decay
    if decay:
        squares = sum(float(np.square(slot[1].data, dtype=np.float64).sum()) for slot in flat.slots if slot[1].ndim > 1)
        notes.append(f"weight decay {decay:g} equals a penalty of {decay / 2 * squares:.4g}")
        penalty += 0 if isinstance(trainer.optimizer, AdamW) else decay / 2 * squares
    limits = [item.limit for item in trainer.regularizers if isinstance(item, MaxNorm)]
    notes += [f"dropout {max(drops):g}"] if drops else []
    evidence = f"{'; '.join(notes) or 'none'}; the loss without penalties is {loss:.4g}"
    decoupled = isinstance(trainer.optimizer, AdamW) and decay >= 1
    suspicious = penalty > 0.5 * abs(loss) or decoupled or min(limits, default=1.0) < 0.5 or max(drops, default=0) > 0.7
    if not suspicious:
        return passed(name, evidence)
    return _judged_by_training(case, evidence, penalty / max(penalty + abs(loss), 1e-30))


def _judged_by_training(case: Case, evidence: str, share: float) -> Check:
    """Check that the loss falls almost as much with regularisation as without; the penalty's share of it is noted."""
    name, symptom = REGULARIZATION
    start, free, held = _with_and_without(case)
    evidence += f"; trained equally long, the loss is {free:.4g} without regularisation and {held:.4g} with it"
    gained, kept = start - free, start - held
    if gained > 0.05 * abs(start) and not kept > 0.45 * gained:
        return failed(name, symptom, evidence, WEAKEN)
    if gained > 0.05 * abs(start) and kept < 0.7 * gained:
        return (warned if share > DROWNS else noted)(name, symptom, evidence, WEAKEN)
    if share > DROWNS:
        return noted(name, symptom, f"{evidence}; penalties are {share:.0%} of what training makes small", WEAKEN)
    return passed(name, evidence)


def _with_and_without(case: Case) -> tuple[float, float, float]:
    """Return the training loss initially, and after steps without and with regularisation."""
    part = case.take(case.rows(512, stream=4))
    batch = min(case.batch_size, len(part.x))
    steps = case.steps(0.6, batch, 60, 400)
    results: list[float] = []
    for regularized in (False, True):
        lr = min(max(case.trainer.optimizer.lr, case.known.interval[0]), case.known.interval[1])
        trainer = case.trial(regularized=regularized, dropout=regularized, lr=lr)
        if not results:
            results.append(training_loss(case, trainer, part)[0])
        train(trainer, part, np.arange(len(part.x)), steps, batch)
        for layer in trainer.model.all_layers():
            if isinstance(layer, Dropout):
                layer.p = 0.0
        results.append(training_loss(case, trainer, part)[0])
    return results[0], results[1], results[2]
