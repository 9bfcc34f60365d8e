"""Rarer ones of `classics`: the program's own layers, settings that undo the optimiser, codes among the data."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Run
from bench.faults.networks import mlp

from .classics import lenet, mnist, program, run, with_inputs

# The program's own code.


class Step(pynn.Layer):
    """1 above 0, else 0: without a slope."""

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return (x > 0).astype(x.dtype)

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return np.zeros_like(dy)


class Detached(pynn.Layer):
    """tanh, whose result was detached: no gradient passes."""

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return np.tanh(x)

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return np.zeros_like(dy)


class Squared(pynn.Layer):
    """x^2, whose gradient forgets the 2 x."""

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return x * x

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return dy


@program("no_slope", "vanishing_gradient")
def step_activations(sick: bool) -> Run:
    """Steps between the layers, as in a first perceptron."""
    return run(data.moons(0), mlp(0, (2, 16, 16, 1), Step if sick else pynn.ReLU), pynn.Adam(1e-2), 20, 32,
               pynn.BCEWithLogitsLoss(), metric="accuracy")  # fmt: skip


@program("wrong_gradient", "no_slope")
def detached_layer(sick: bool) -> Run:
    """The activation was taken out of the graph: layers before it do not learn."""
    return run(data.spiral(0), mlp(0, (2, 64, 64, 3), Detached if sick else pynn.Tanh), pynn.Adam(5e-3), 30)


@program("wrong_gradient")
def gradient_without_chain_rule(sick: bool) -> Run:
    """A layer of squares whose gradient is that of the identity."""
    model = mlp(0, (10, 64, 1), Squared if sick else pynn.ReLU, None)
    return run(data.friedman(0), model, pynn.Adam(3e-3), 30, 32, pynn.MSELoss())


@program("no_slope")
def accuracy_as_loss(sick: bool) -> Run:
    """The share of wrong answers as a loss: it has no slope."""

    def wrong(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.mean(prediction.argmax(axis=1) != target)), np.zeros_like(prediction)

    return run(
        data.digits(0), mlp(0, (64, 32, 10)), pynn.Adam(1e-3), 10, 32, wrong if sick else None, metric="accuracy"
    )


@program("wrong_output_activation", "wrong_loss")
def softmax_for_nll(sick: bool) -> Run:
    """A softmax, not its logarithm, before the loss that takes logarithms."""
    tail = [pynn.Softmax(1) if sick else pynn.LogSoftmax(1)]
    return run(data.digits(0), mlp(0, (64, 32, 10), init=None, tail=tail), pynn.SGD(0.05), 20, 32, pynn.NLLLoss())


# Settings.


@program("lr_too_low", "clipped")
def clipped_to_nothing(sick: bool) -> Run:
    """The gradient clipped to a norm of 1e-4, SGD 0.1."""
    model = mlp(0, (64, 32, 10), init=None)
    return run(data.digits(0), model, pynn.SGD(0.1), 15, clip_norm=1e-4 if sick else 1.0)


@program("lr_too_low", "optimizer_slow")
def large_epsilon(sick: bool) -> Run:
    """Adam with an epsilon of 1."""
    return run(data.digits(0), mlp(0, (64, 32, 10), init=None), pynn.Adam(1e-3, eps=1.0 if sick else 1e-8), 15)


@program("lr_too_low", "too_few_epochs")
def adagrad_by_default(sick: bool) -> Run:
    """Adagrad at Keras's default rate of 0.001."""
    return run(data.digits(0), mlp(0, (64, 32, 10), init=None), pynn.Adagrad(1e-3 if sick else 0.05), 15)


@program("lr_too_high")
def fast_rmsprop(sick: bool) -> Run:
    """RMSprop with a rate of 0.1, a regression."""
    model = mlp(0, (6, 64, 64, 1), init=None)
    return run(tables.houses(0), model, pynn.RMSprop(0.1 if sick else 1e-3), 15, 32, pynn.MSELoss())


@program("lr_too_high", "unstable_loss")
def single_examples(sick: bool) -> Run:
    """Single examples, SGD 0.5."""
    return run(data.digits(0), mlp(0, (64, 32, 10), init=None), pynn.SGD(0.5 if sick else 0.05), 4, 1 if sick else 32)


@program("lr_too_low", "decays_too_soon")
def endless_warmup(sick: bool) -> Run:
    """A warm-up of 100,000 steps."""
    schedule = pynn.WarmupLR(100_000 if sick else 50)
    return run(data.digits(0), mlp(0, (64, 32, 10), init=None), pynn.SGD(0.1), 10, schedule=schedule)


@program("over_regularisation")
def strong_decoupled_decay(sick: bool) -> Run:
    """AdamW with a decay of 100."""
    optimizer = pynn.AdamW(3e-3, weight_decay=100.0 if sick else 0.01)
    return run(data.digits(0), mlp(0, (64, 32, 10), init=None), optimizer, 15)


@program("over_regularisation")
def inputs_dropped(sick: bool) -> Run:
    """Dropout 0.95 of the inputs."""
    pynn.manual_seed(0)
    dropout = pynn.Dropout(0.95 if sick else 0.1)
    model = pynn.Sequential(dropout, pynn.Linear(64, 32, init="he_normal"), pynn.ReLU(), pynn.Linear(32, 10))
    return run(data.digits(0), model, pynn.Adam(1e-3), 15)


@program("dying_relu", "bad_init", images=True)
def negative_biases(sick: bool) -> Run:
    """Biases start at -10."""
    model = lenet()
    if sick:
        for layer in model:
            for parameter in layer.parameters():
                if parameter.ndim == 1:
                    parameter[...] = -10
    return run(mnist(flat=False), model, pynn.SGD(0.01, momentum=0.9), 4)


# Data.


@program("labels_out_of_range")
def too_few_outputs(sick: bool) -> Run:
    """Five outputs for ten digits."""
    return run(data.digits(0), mlp(0, (64, 32, 5 if sick else 10)), pynn.Adam(1e-3), 10)


@program("labels_out_of_range")
def one_output_for_two_classes(sick: bool) -> Run:
    """One output and the cross-entropy of several classes."""
    return run(tables.cancer(0), mlp(0, (30, 16, 1 if sick else 2)), pynn.Adam(1e-3), 10)


@program("unnormalised_inputs")
def time_of_day_in_seconds(sick: bool) -> Run:
    """A time stamp of 1.7e9 seconds beside standardised measurements."""
    split = tables.cancer(0)
    stamps = np.random.default_rng(0)
    if sick:
        split = with_inputs(split, lambda x: np.column_stack([x, 1.7e9 + 1e6 * stamps.random(len(x))]))
    return run(split, mlp(0, (30 + sick, 16, 2), init=None), pynn.Adam(1e-3), 30)


@program("unnormalised_inputs", "missing_codes")
def codes_for_missing_inputs(sick: bool) -> Run:
    """-999 for what was not measured."""
    split, rng = tables.wine(0), np.random.default_rng(0)
    if sick:
        split = with_inputs(split, lambda x: np.where(rng.random(x.shape) < 0.05, -999, x))
    return run(split, mlp(0, (13, 32, 3), init=None), pynn.Adam(1e-3), 60, 16)


@program("missing_codes", "unscaled_targets")
def codes_for_missing_targets(sick: bool) -> Run:
    """-9999 for targets that are not known."""
    split, rng = data.friedman(0), np.random.default_rng(0)
    if sick:
        split = split._replace(y=np.where(rng.random(split.y.shape) < 0.03, np.float32(-9999), split.y))
    return run(split, mlp(0, (10, 64, 1), init=None), pynn.Adam(3e-3), 40, 32, pynn.MSELoss())


@program("unshuffled")
def sorted_by_target(sick: bool) -> Run:
    """Rows sorted by the target of a regression, not shuffled."""
    split = data.friedman(0)
    order = np.argsort(split.y[:, 0])
    split = split._replace(x=split.x[order], y=split.y[order])
    return run(split, mlp(0, (10, 64, 1), init=None), pynn.SGD(0.05), 15, 32, pynn.MSELoss(), shuffle=not sick)


@program("corrupted_labels")
def validation_shuffled(sick: bool) -> Run:
    """The validation labels were shuffled, the training labels not."""
    split = data.digits(0)
    if sick:
        split = split._replace(yv=np.random.default_rng(0).permutation(split.yv))
    return run(split, mlp(0, (64, 32, 10)), pynn.Adam(1e-3), 15)


@program("corrupted_labels")
def off_by_one_row(sick: bool) -> Run:
    """Targets belong to the row before: a header was skipped on one side only."""
    split = tables.houses(0)
    if sick:
        split = split._replace(y=np.roll(split.y, 1, axis=0))
    return run(split, mlp(0, (6, 32, 1), init=None), pynn.Adam(3e-3), 20, 32, pynn.MSELoss())
