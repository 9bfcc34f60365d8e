"""Scores of a network and of simple learners on the examples of a run, measured after an epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...nn.losses import MSELoss
from ...nn.probabilities import sigmoid, softmax
from ...utils.arrays import is_one_hot
from ..learners import NEIGHBOURS, simple_predictions, standard_errors

if TYPE_CHECKING:
    from ...training.examples import Examples
    from .data_facts import DataFacts
    from .run_state import RunState
    from .scores import Scores
    from .watchable import Watchable

#: Training and test examples of the simple learners.
SAMPLE, ASKED = 2000, 500


def score_epoch(state: RunState, trainer: Watchable) -> None:
    """Score the network after an epoch, if there are examples to score, and simple learners once per run."""
    examples, held_out = trainer.examples, trainer.held_out
    if examples is None or held_out is None:
        return
    if state.data.counts is not None:
        _measure_recall(state, trainer, held_out)
    over = len(state.evaluations) >= 3 or trainer.epoch == trainer.target_epoch
    if over and math.isnan(state.scores.attainable) and _comparable(state.data, trainer, examples):
        _score_simple_learners(state.data, state.scores, examples, held_out)
    _score_network(state, trainer, examples, held_out)


def _measure_recall(state: RunState, trainer: Watchable, held_out: Examples) -> None:
    """Measure recall and mean probability per class on validation examples."""
    assert state.data.counts is not None
    x, y = held_out.x[:SAMPLE], held_out.y[:SAMPLE]
    truth = y.argmax(axis=1) if is_one_hot(y) else y.reshape(-1)
    outputs = trainer.model.infer(x).astype(np.float64)
    if trainer.loss.output_kind == "binary":
        outputs, truth = np.column_stack([np.zeros(len(outputs)), outputs.reshape(-1)]), (truth > 0.5) * 1
    shares, named, scores = softmax(outputs), outputs.argmax(axis=1), state.scores
    rows = [np.flatnonzero(truth == index) for index in range(len(state.data.counts))]
    scores.recall = [(float(np.mean(named[r] == i)) if len(r) else math.nan, len(r)) for i, r in enumerate(rows)]
    scores.confidence.append([float(shares[r, i].mean()) if len(r) else math.nan for i, r in enumerate(rows)])
    del scores.confidence[:-4]


def _score_simple_learners(data: DataFacts, scores: Scores, examples: Examples, held_out: Examples) -> None:
    """Score nearest neighbours, and ridge regressions on features and on random features.

    Also measures how closely their predictions and the targets are related.
    """
    step = max(1, len(examples.x) // SAMPLE)
    known, asked = (x.reshape(len(x), -1).astype(np.float64) for x in (examples.x[::step][:SAMPLE], held_out.x[:ASKED]))
    if examples.y.ndim > 1 and examples.y[0].size >= max(known.shape[1], 8):  # an autoencoder with a bottleneck
        return
    targets, wanted = _as_values(data, examples.y[::step][:SAMPLE]), _as_values(data, held_out.y[:ASKED])
    if len(known) <= 2 * NEIGHBOURS or targets.shape[1:] != wanted.shape[1:]:
        return
    answers = simple_predictions(known, targets, asked)
    scores.attainable = max(_score(data, answer, wanted) for answer in answers)
    scores.simply_related = max(standard_errors(answer, wanted) for answer in answers)
    # Without neighbours, which know examples that occur twice.
    seen, unseen = slice(None, None, 2), slice(1, None, 2)
    within = simple_predictions(known[seen], targets[seen], known[unseen][:ASKED])[1:]
    scores.attainable_within = max(_score(data, answer, targets[unseen][:ASKED]) for answer in within)


def _score_network(state: RunState, trainer: Watchable, examples: Examples, held_out: Examples) -> None:
    """Score the network on validation examples, and on as many of the training data, in inference mode."""
    data, scores, last = state.data, state.scores, state.evaluations[-1]
    step = max(1, len(examples.x) // ASKED)
    x, y = examples.x[::step][:ASKED], examples.y[::step][:ASKED]
    known, answer = (trainer.model.infer(inputs) for inputs in (x, held_out.x[:ASKED]))
    if not data.summed:
        last.fitted_loss = float(trainer.loss.forward(known, y)[0])
    if not _comparable(data, trainer, held_out):
        return
    known, answer = (_as_shares(trainer, outputs) for outputs in (known, answer))
    targets, wanted = _as_values(data, y), _as_values(data, held_out.y[:ASKED])
    scores.fitted = last.fitted = _score(data, known, targets)
    scores.reached = last.reached = _score(data, answer, wanted)
    scores.related = max(scores.simply_related, standard_errors(answer, wanted))
    if trainer.loss.output_kind not in ("scores", None):
        losses = _losses(data, answer, wanted)
        if scores.lowest_losses is None or losses.mean() < scores.lowest_losses.mean():
            scores.lowest_losses = losses
        last.risen = _errors_above_zero(losses - scores.lowest_losses)
        # Of the roots: the few largest losses would hide the difference of all the others.
        seen = np.sqrt(_losses(data, known, targets))
        last.apart = _errors_above_zero(np.sqrt(losses) - seen.mean(), seen)


def _errors_above_zero(values: np.ndarray, others: np.ndarray | None = None) -> float:
    """Return the mean over its standard error, to which `others` contribute as well."""
    variance = float(values.var()) / len(values) + (0.0 if others is None else float(others.var()) / len(others))
    return float(values.mean()) / math.sqrt(variance) if variance > 0 else 0.0


def _as_shares(trainer: Watchable, prediction: np.ndarray) -> np.ndarray:
    """Return predictions as columns of float64; logits as probabilities, of two classes that of the second."""
    values = prediction.astype(np.float64).reshape(len(prediction), -1)
    if trainer.loss.output_kind == "binary":
        return sigmoid(values)
    return softmax(values) if trainer.loss.output_kind == "classes" else values


def _losses(data: DataFacts, answer: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return each example's loss: the negative log of the target's probability, or the mean squared error."""
    if not data.classifies:
        return np.square(answer - wanted).mean(axis=1)
    both = answer.shape[1] > 1
    of_target = np.where(wanted > 0.5, answer, 1 if both else 1 - answer).prod(axis=1)
    return -np.log(np.maximum(of_target, 1e-12))


def _comparable(data: DataFacts, trainer: Watchable, examples: Examples) -> bool:
    """Return whether outputs are comparable with targets: classes, binary, or squared-error values."""
    kind, y = trainer.loss.output_kind, examples.y
    if kind is None:
        return data.classifies and y.ndim == 2
    if kind in ("classes", "scores"):
        return y.dtype.kind in "iu"
    if kind == "binary":
        return y.ndim == 1 or y.shape[1] == 1
    return isinstance(trainer.loss, MSELoss)


def _as_values(data: DataFacts, y: np.ndarray) -> np.ndarray:
    """Return targets as columns: one-hot for classes, otherwise unchanged."""
    if data.counts is not None and y.dtype.kind in "iu":
        return (y[:, None] == np.arange(len(data.counts))).astype(np.float64)
    return y.reshape(len(y), -1).astype(np.float64)


def _score(data: DataFacts, answer: np.ndarray, wanted: np.ndarray) -> float:
    if not data.classifies:
        variance = float(np.var(wanted, axis=0).mean())
        return 1 - float(np.square(answer - wanted).mean()) / variance if variance > 0 else math.nan
    if wanted.shape[1] == 1:
        return float(np.mean((answer > 0.5) == (wanted > 0.5)))
    return float(np.mean(answer.argmax(axis=1) == wanted.argmax(axis=1)))
