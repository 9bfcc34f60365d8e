"""Occasional measurements of the monitor: on data, weights, and the network in inference mode."""

from __future__ import annotations

import contextlib
import copy
import math
from typing import TYPE_CHECKING

import numpy as np

from ...nn.context import Context
from ...nn.layers import Hardsigmoid, Linear, Sigmoid, Softmax
from ...nn.loss import FunctionLoss
from ...nn.random import Stream
from ...nn.sequential import Sequential
from ...training.examples import Examples
from ...utils.config import is_own
from ..activations import range_of
from ..isolation import quietly, unnoticed
from ..target_figures import median_distance
from .run_state import RunState

if TYPE_CHECKING:
    from ...training.trainer import Trainer
    from .watchable import Watchable

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
    for weights in state.network.hidden:
        values = weights.columns[:ROWS].astype(np.float64)
        units = weights.units
        if units < 2 or not np.isfinite(values).all():
            continue
        marks = np.sort((rng.normal(size=len(values)) @ values).reshape(weights.groups, -1))
        scale = np.maximum(np.abs(marks[:, 1:]), np.abs(marks[:, :-1]))
        distinct = weights.groups + int(np.count_nonzero(np.diff(marks) > 1e-6 * scale))
        state.distinct_units[weights.name] = (distinct, units)
        if state.age <= 2 and distinct <= max(1, units // 2):
            state.at_start.alike.add(weights.name)


def check_own_code(state: RunState, trainer: Watchable, x: np.ndarray, target: np.ndarray) -> None:
    """Look for wrong gradients of user code, and then for an optimiser that follows right ones uphill."""
    from ...training.trainer import Trainer

    if isinstance(trainer, Trainer):  # no loop of another library
        _own_gradients(state, trainer, x, target)
        if state.wrong_gradient is None:
            _own_optimizer(state, trainer)


def _own_gradients(state: RunState, trainer: Trainer, x: np.ndarray, target: np.ndarray) -> None:
    """Compare gradients with finite differences, once, if a layer or the loss is user code."""
    own = is_own(trainer.loss) or type(trainer.loss) is FunctionLoss or any(map(is_own, state.network.layers))
    if not own or trainer.model.flat.values.size > MAX_CHECKED:
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


def look_at_minibatch(state: RunState, trainer: Watchable, target: np.ndarray) -> None:
    """Record how alike the last minibatch's targets are, and whether outputs are probabilities or rectified."""
    prediction = trainer.prediction
    last = trainer.model.leaves()[-1]
    low, high = range_of(last)
    state.network.rectified_output = trainer.loss.output_kind in ("classes", "binary") and low == 0 and high > 1
    if trainer.loss.output_kind == "binary":
        state.network.ends_in_probabilities = isinstance(last, Sigmoid | Hardsigmoid | Softmax)
    if 2 * len(target) < state.data.batch_size:  # a partial batch at the end of an epoch
        return
    if state.data.target_spread > 0:
        spread = median_distance(target.astype(np.float64)) / state.data.target_spread
        state.data.batch_spread = _averaged(state.data.batch_spread, spread)
    if target.dtype.kind not in "iu" or prediction.ndim != 2 or prediction.shape[1] < 2:
        return
    counts = np.bincount(target[target >= 0], minlength=1)
    purity = int(counts.max()) / max(int(counts.sum()), 1)
    state.data.one_class_batches = _averaged(state.data.one_class_batches, purity)
    if trainer.loss.output_kind == "classes" and len(state.windows) < 8:
        sums = prediction.sum(axis=1)
        shares = bool((prediction >= 0).all() and (prediction <= 1).all() and prediction.max() > 0)
        squashed = shares and type(last) is Sigmoid
        state.network.ends_in_probabilities = squashed or (shares and np.allclose(sums, 1, atol=1e-3))


def _averaged(earlier: float, latest: float) -> float:
    """Return an exponential average with its latest value; NaN has no average yet."""
    return latest if math.isnan(earlier) else 0.5 * earlier + 0.5 * latest


def compare_modes(state: RunState, trainer: Watchable, examples: Examples) -> None:
    """Compare the loss of the same training examples in training and in inference mode."""
    model, loss = trainer.model, trainer.loss
    step = max(1, len(examples.x) // MODES)
    x, y = examples.x[::step][:MODES], examples.y[::step][:MODES]
    kept = [(buffer, buffer.copy()) for _, buffer in model.named_buffers()]
    losses = []
    for training in (False, True):  # in this order: a training pass moves the running statistics
        prediction = model.forward(x, Context(training=training, random=Stream(0)))
        losses.append(float(loss.forward(prediction, y)[0]))
    for buffer, values in kept:
        buffer[...] = values
    inferred, trained = losses
    state.mode_gaps.append((trained, inferred))
    del state.mode_gaps[:-4]
