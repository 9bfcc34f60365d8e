"""Occasional measurements of the monitor: on data, weights, and the network in inference mode."""

from __future__ import annotations

import contextlib
import copy
import math
from typing import TYPE_CHECKING

import numpy as np

from ...nn.context import Context
from ...nn.layers import Hardsigmoid, Linear, Sigmoid, Softmax
from ...nn.losses import MSELoss
from ...nn.probabilities import sigmoid, softmax
from ...nn.random import Stream
from ...nn.sequential import Sequential
from ...training.examples import Examples
from ...utils.arrays import is_one_hot
from ...utils.config import is_own
from ..activations import range_of
from ..isolation import quietly, unnoticed
from ..learners import NEIGHBOURS, simple_predictions, standard_errors
from ..target_figures import median_distance
from .run_state import RunState

if TYPE_CHECKING:
    from ...training.trainer import Trainer

#: Training and test examples of the simple learners.
SAMPLE, ASKED = 2000, 500
#: Examples for the comparison of batch norm's two modes.
MODES = 256
#: Maximum number of weights for a comparison with finite differences.
MAX_CHECKED = 1_000_000
#: Rows of a weight matrix used to compare its units.
ROWS = 256


def count_distinct_units(state: RunState) -> None:
    """Count the distinct units of each hidden layer, by a random projection of their weights.

    Filters of different groups see different channels, so they count as distinct.
    """
    rng = np.random.default_rng(0)
    for weights in state.facts.hidden:
        values = weights.columns[:ROWS].astype(np.float64)
        units = weights.units
        if units < 2 or not np.isfinite(values).all():
            continue
        marks = np.sort((rng.normal(size=len(values)) @ values).reshape(weights.groups, -1))
        scale = np.maximum(np.abs(marks[:, 1:]), np.abs(marks[:, :-1]))
        distinct = weights.groups + int(np.count_nonzero(np.diff(marks) > 1e-6 * scale))
        state.distinct_units[weights.name] = (distinct, units)
        if state.age <= 2 and distinct <= max(1, units // 2):
            state.alike_at_start.add(weights.name)


def check_own_code(state: RunState, trainer: Trainer, x: np.ndarray, target: np.ndarray) -> None:
    """Look for wrong gradients of user code, and then for an optimiser that follows right ones uphill."""
    _own_gradients(state, trainer, x, target)
    if state.wrong_gradient is None:
        _own_optimizer(state, trainer)


def _own_gradients(state: RunState, trainer: Trainer, x: np.ndarray, target: np.ndarray) -> None:
    """Compare gradients with finite differences, once, if a layer or the loss is user code."""
    if not state.facts.own_code or trainer.model.flat.values.size > MAX_CHECKED:
        return
    from ..preflight.case import Case
    from ..preflight.gradients import gradient_check

    with unnoticed(), quietly(), contextlib.suppress(Exception):  # user code may fail on other batches
        # The step in progress holds the model's gate.
        case = Case(trainer, trainer.model.copied({}), copy.deepcopy(trainer.loss), len(x), 0)
        case.examples = Examples(x, target, None)
        check = gradient_check(case)
        if check.status == "fail":
            state.wrong_gradient = (check.evidence, check.advice, None)


def _own_optimizer(state: RunState, trainer: Trainer) -> None:
    """Take one step of the user's own optimiser on a small model, and see whether it goes along the gradient."""
    if not is_own(trainer.optimizer) or trainer.optimizer.lr == 0:
        return
    with unnoticed(), quietly(), contextlib.suppress(Exception):  # user code may want its own model
        optimizer, flat = trainer.optimizer.unbound(), Sequential(Linear(8, 8, init="zeros")).flat
        optimizer.weight_decay = 0.0
        optimizer.bind(flat)
        before = flat.values.copy()
        flat.grads[...] = np.random.default_rng(0).standard_normal(flat.grads.shape)
        gradient = flat.grads.copy()
        optimizer.step()
        if float(gradient @ (flat.values - before)) > 0:
            name = type(optimizer).__name__
            evidence = f"a step of {name} goes along the gradient, which raises the loss, not against it"
            state.wrong_gradient = (evidence, f"flip the sign of the update of {name}, or of the gradient", None)


def look_at_minibatch(state: RunState, trainer: Trainer, target: np.ndarray) -> None:
    """Record how alike the last minibatch's targets are, and whether outputs are probabilities or rectified."""
    prediction = trainer.prediction
    last = trainer.model.leaves()[-1]
    low, high = range_of(last)
    state.rectified_output = trainer.loss.output_kind in ("classes", "binary") and low == 0 and high > 1
    if trainer.loss.output_kind == "binary":
        state.ends_in_probabilities = isinstance(last, Sigmoid | Hardsigmoid | Softmax)
    if 2 * len(target) < state.facts.batch_size:  # a partial batch at the end of an epoch
        return
    if state.facts.target_spread > 0:
        spread = median_distance(target.astype(np.float64)) / state.facts.target_spread
        state.batch_spread = _averaged(state.batch_spread, spread)
    if target.dtype.kind not in "iu" or prediction.ndim != 2 or prediction.shape[1] < 2:
        return
    counts = np.bincount(target[target >= 0], minlength=1)
    purity = int(counts.max()) / max(int(counts.sum()), 1)
    state.one_class_batches = _averaged(state.one_class_batches, purity)
    if trainer.loss.output_kind == "classes" and len(state.windows) < 8:
        sums = prediction.sum(axis=1)
        shares = bool((prediction >= 0).all() and (prediction <= 1).all() and prediction.max() > 0)
        squashed = shares and type(last) is Sigmoid
        state.ends_in_probabilities = squashed or (shares and np.allclose(sums, 1, atol=1e-3))


def _averaged(earlier: float, latest: float) -> float:
    """Return an exponential average with its latest value; NaN has no average yet."""
    return latest if math.isnan(earlier) else 0.5 * earlier + 0.5 * latest


def compare_modes(state: RunState, trainer: Trainer, examples: Examples) -> None:
    """Compare the loss of the same training examples in training and inference mode."""
    model, loss = trainer.model, trainer.loss
    step = max(1, len(examples.x) // MODES)
    x, y = examples.x[::step][:MODES], examples.y[::step][:MODES]
    kept = [(buffer, buffer.copy()) for _, buffer in model.named_buffers()]
    figures = []
    for training in (False, True):  # in this order: a training pass moves the running statistics
        prediction = model.forward(x, Context(training=training, random=Stream(0)))
        counted = loss.count_correct(prediction, y)
        accuracy = counted[0] / counted[1] if counted and counted[1] else math.nan
        figures.append((float(loss.forward(prediction, y)[0]), accuracy))
    for buffer, values in kept:
        buffer[...] = values
    (inferred, inferred_accuracy), (in_training, accuracy) = figures
    state.mode_gaps.append((in_training, inferred, accuracy, inferred_accuracy))
    del state.mode_gaps[:-4]


def measure_recall(state: RunState, trainer: Trainer, examples: Examples) -> None:
    """Measure recall and mean probability per class on validation examples."""
    counts = state.facts.counts
    if counts is None:
        return
    x, y = examples.x[:SAMPLE], examples.y[:SAMPLE]
    y = y.argmax(axis=1) if is_one_hot(y) else y.reshape(-1)
    scores = trainer.model.infer(x).astype(np.float64)
    if trainer.loss.output_kind == "binary":
        scores, truth = np.concatenate([np.zeros((len(scores), 1)), scores.reshape(-1, 1)], axis=1), (y > 0.5) * 1
    else:
        truth = y
    shares = softmax(scores)
    named = scores.argmax(axis=1)
    rows = [np.flatnonzero(truth == index) for index in range(len(counts))]
    state.recall = [(float(np.mean(named[r] == i)) if len(r) else math.nan, len(r)) for i, r in enumerate(rows)]
    state.confidence.append([float(shares[r, i].mean()) if len(r) else math.nan for i, r in enumerate(rows)])
    del state.confidence[:-4]


def score_simple_learners(state: RunState, trainer: Trainer, examples: Examples, held_out: Examples) -> None:
    """Score simple learners, once per run: nearest neighbours, and ridge regressions on features and random features.

    Also measures how closely their predictions and the targets are related.
    """
    if not _comparable(state, trainer, examples):
        return
    step = max(1, len(examples.x) // SAMPLE)
    known, asked = (x.reshape(len(x), -1).astype(np.float64) for x in (examples.x[::step][:SAMPLE], held_out.x[:ASKED]))
    if examples.y.ndim > 1 and examples.y[0].size >= max(known.shape[1], 8):  # an autoencoder with a bottleneck
        return
    targets, wanted = _as_values(state, examples.y[::step][:SAMPLE]), _as_values(state, held_out.y[:ASKED])
    if len(known) <= 2 * NEIGHBOURS or targets.shape[1:] != wanted.shape[1:]:
        return
    answers = simple_predictions(known, targets, asked)
    state.attainable = max(_score(state, answer, wanted) for answer in answers)
    state.simply_related = max(standard_errors(answer, wanted) for answer in answers)
    # Without neighbours, which know examples that occur twice.
    seen, unseen = slice(None, None, 2), slice(1, None, 2)
    within = simple_predictions(known[seen], targets[seen], known[unseen][:ASKED])[1:]
    state.attainable_within = max(_score(state, answer, targets[unseen][:ASKED]) for answer in within)


def score_network(state: RunState, trainer: Trainer, examples: Examples, held_out: Examples) -> None:
    """Score the network on validation examples, and on as many of the training data, in inference mode."""
    last, step = state.evaluations[-1], max(1, len(examples.x) // ASKED)
    x, y = examples.x[::step][:ASKED], examples.y[::step][:ASKED]
    known, answer = (trainer.model.infer(inputs) for inputs in (x, held_out.x[:ASKED]))
    if not state.facts.summed:
        last.fitted_loss = float(trainer.loss.forward(known, y)[0])
    if not _comparable(state, trainer, held_out):
        return
    wanted = _as_values(state, held_out.y[:ASKED])
    answer = _as_shares(trainer, answer)
    state.fitted = last.fitted = _score(state, _as_shares(trainer, known), _as_values(state, y))
    state.reached = last.reached = _score(state, answer, wanted)
    state.related = max(state.simply_related, standard_errors(answer, wanted))
    if trainer.loss.output_kind not in ("scores", None):
        losses = _losses(state, answer, wanted)
        if state.lowest_losses is None or losses.mean() < state.lowest_losses.mean():
            state.lowest_losses = losses
        last.risen = _errors_above_zero(losses - state.lowest_losses)
        # Of the roots: the few largest losses would hide the difference of all the others.
        seen = np.sqrt(_losses(state, _as_shares(trainer, known), _as_values(state, y)))
        last.apart = _errors_above_zero(np.sqrt(losses) - seen.mean(), seen)


def _errors_above_zero(values: np.ndarray, others: np.ndarray | None = None) -> float:
    """Return the mean over its standard error, to which `others` contribute as well."""
    variance = float(values.var()) / len(values) + (0.0 if others is None else float(others.var()) / len(others))
    return float(values.mean()) / math.sqrt(variance) if variance > 0 else 0.0


def _as_shares(trainer: Trainer, prediction: np.ndarray) -> np.ndarray:
    """Return predictions as columns of float64; logits as probabilities, of two classes that of the second."""
    values = prediction.astype(np.float64).reshape(len(prediction), -1)
    if trainer.loss.output_kind == "binary":
        return sigmoid(values)
    return softmax(values) if trainer.loss.output_kind == "classes" else values


def _losses(state: RunState, answer: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return each example's loss: the negative log of the target's probability, or the mean squared error."""
    if not state.facts.classifies:
        return np.square(answer - wanted).mean(axis=1)
    both = answer.shape[1] > 1
    of_target = np.where(wanted > 0.5, answer, 1 if both else 1 - answer).prod(axis=1)
    return -np.log(np.maximum(of_target, 1e-12))


def _comparable(state: RunState, trainer: Trainer, examples: Examples) -> bool:
    """Return whether outputs are comparable with targets: classes, binary, or squared-error values."""
    kind, y = trainer.loss.output_kind, examples.y
    if kind is None:
        return state.facts.classifies and y.ndim == 2
    if kind in ("classes", "scores"):
        return y.dtype.kind in "iu"
    if kind == "binary":
        return y.ndim == 1 or y.shape[1] == 1
    return isinstance(trainer.loss, MSELoss)


def _as_values(state: RunState, y: np.ndarray) -> np.ndarray:
    """Return targets as columns: one-hot for classes, otherwise unchanged."""
    if state.facts.counts is not None and y.dtype.kind in "iu":
        return (y[:, None] == np.arange(len(state.facts.counts))).astype(np.float64)
    return y.reshape(len(y), -1).astype(np.float64)


def _score(state: RunState, answer: np.ndarray, wanted: np.ndarray) -> float:
    if not state.facts.classifies:
        variance = float(np.var(wanted, axis=0).mean())
        return 1 - float(np.square(answer - wanted).mean()) / variance if variance > 0 else math.nan
    if wanted.shape[1] == 1:
        return float(np.mean((answer > 0.5) == (wanted > 0.5)))
    return float(np.mean(answer.argmax(axis=1) == wanted.argmax(axis=1)))
