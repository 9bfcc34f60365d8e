"""Faulty programs of further kinds: outputs, losses and targets.

Like those of `classics`, they are of kinds that people publish: questions on Stack Overflow and PyTorch's forum, the
taxonomies of Humbatova et al. and of Zhang et al., Karpathy's recipe. The documented cause was settled before preflight
and monitor saw the program.
"""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Run
from bench.faults.data import Split, as_float32, split_by_seed
from bench.faults.networks import mlp

from .classics import binary_cross_entropy, run, with_targets
from .programs import Programs, Score

UNSEEN = Programs()
program = UNSEEN.program

#: Of each digit: is it even, above 4, prime, has it a hole?
QUESTIONS = np.array([[n % 2 == 0, n > 4, n in (2, 3, 5, 7), n in (0, 6, 8, 9)] for n in range(10)], np.float32)


def questions() -> Split:
    """Four questions about each digit; several can be answered by yes."""
    return with_targets(data.digits(0), lambda y: QUESTIONS[y])


def answered(threshold: float) -> Score:
    """Return a score: the share of answers that are right if outputs above `threshold` say yes."""

    def score(run: Run) -> float:
        x, y = run.validation
        return float(((run.trainer.model.infer(x) > threshold) == (y > 0.5)).mean())

    return score


def visits(seed: int = 0) -> Split:
    """1200 + 400 counts, of 0 to 40 or so, whose logarithm is linear in six numbers."""
    rng = np.random.default_rng([seed, 21])
    x = rng.standard_normal((1600, 6))
    rate = np.exp(1.2 + 0.5 * x[:, 0] - 0.4 * x[:, 1] + 0.3 * x[:, 2])
    return split_by_seed(as_float32(x), as_float32(rng.poisson(rate)[:, None]), seed)


def explained(output_to_value: Callable[[np.ndarray], np.ndarray]) -> Score:
    """Return a score: the share of the targets' variance that the outputs explain after a function."""

    def score(run: Run) -> float:
        x, y = run.validation
        with np.errstate(all="ignore"):
            value = output_to_value(run.trainer.model.infer(x).astype(np.float64))
        error = np.mean((value - y) ** 2)
        return float(1 - error / np.mean((y - y.mean(axis=0)) ** 2)) if np.isfinite(error) else 0.0

    return score


@program("wrong_output_activation", score=answered(0.5))
def softmax_for_several_labels(sick: bool) -> Run:
    """Several labels an example, whose probabilities come from a softmax, with a binary cross-entropy."""
    tail = [pynn.Softmax(1) if sick else pynn.Sigmoid()]
    model = mlp(0, (64, 64, 4), init=None, tail=tail)
    return run(questions(), model, pynn.Adam(2e-3), 20, 32, binary_cross_entropy, metric="accuracy")


@program("wrong_loss", score=answered(0.0))
def classes_for_several_labels(sick: bool) -> Run:
    """Several labels an example with the cross-entropy of exclusive classes."""
    loss = pynn.CrossEntropyLoss() if sick else pynn.BCEWithLogitsLoss()
    return run(questions(), mlp(0, (64, 64, 4), init=None), pynn.Adam(2e-3), 20, 32, loss, metric="accuracy")


@program("wrong_output_activation", "numerical", score=explained(lambda value: value))
def counts_below_zero(sick: bool) -> Run:
    """A Poisson loss told to take rates, after a last layer that also gives negative numbers."""
    tail = [] if sick else [pynn.Softplus()]
    model = mlp(0, (6, 32, 1), init=None, tail=tail)
    return run(visits(), model, pynn.Adam(3e-3), 25, 32, pynn.PoissonNLLLoss(log_input=False), metric="r2")


def most_likely(run: Run) -> float:
    """Return the accuracy, for targets that are shares of classes."""
    x, y = run.validation
    return float((run.trainer.model.infer(x).argmax(axis=1) == y.argmax(axis=1)).mean())


@program("wrong_output_activation", score=most_likely)
def divergence_of_probabilities(sick: bool) -> Run:
    """A softmax, not its logarithm, before the Kullback-Leibler divergence; the targets are smoothed classes."""
    split = data.digits(0)
    split = split._replace(y=as_float32(0.9 * np.eye(10)[split.y] + 0.01), yv=as_float32(np.eye(10)[split.yv]))
    tail = [pynn.Softmax(1) if sick else pynn.LogSoftmax(1)]
    model = mlp(0, (64, 32, 10), init=None, tail=tail)
    return run(split, model, pynn.Adam(2e-3), 20, 32, pynn.KLDivLoss(), metric="accuracy")


@program("redundant_softmax")
def focal_loss_after_softmax(sick: bool) -> Run:
    """A softmax before a focal loss that includes one; five overlapping classes, two of them rare."""
    split = data.thinned(tables.clusters(0, classes=5, separation=2.0), 3, 6)
    tail = [pynn.Softmax(1)] if sick else []
    return run(split, mlp(0, (20, 64, 5), init=None, tail=tail), pynn.SGD(0.05, momentum=0.9), 20, 32, pynn.FocalLoss())


def balanced(run: Run) -> float:
    """Return the mean recall of the classes."""
    x, y = run.validation
    label = run.trainer.model.infer(x).argmax(axis=1)
    return float(np.mean([(label[y == each] == each).mean() for each in np.unique(y)]))


@program("class_imbalance", score=balanced)
def weights_the_wrong_way(sick: bool) -> Run:
    """Classes weighted by how frequent they are, instead of how rare."""
    split = data.rare(0, 15, 2.5)
    split = split._replace(y=split.y[:, 0].astype(np.int64), yv=split.yv[:, 0].astype(np.int64))
    loss = pynn.CrossEntropyLoss(weight=[1.875, 0.125] if sick else [0.125, 1.875])
    return run(split, mlp(0, (10, 32, 2), init=None), pynn.Adam(2e-3), 15, 32, loss)


@program("constant_targets")
def targets_cast_to_integers(sick: bool) -> Run:
    """Targets between 0 and 1 cast to integers: all are 0; the validation targets were not."""
    split = with_targets(data.friedman(0), lambda y: (y + 4) / 8.5)
    if sick:
        split = split._replace(y=np.floor(np.clip(split.y, 0, 0.99)))
    return run(split, mlp(0, (10, 64, 1), init=None), pynn.Adam(3e-3), 25, 32, pynn.MSELoss())


def rounded(run: Run) -> float:
    """Return the accuracy of one output rounded to the number of a class, or of the largest of several."""
    x, y = run.validation
    output = run.trainer.model.infer(x)
    label = np.round(output[:, 0]) if output.shape[1] == 1 else output.argmax(axis=1)
    return float((label == y.reshape(-1)).mean())


@program("wrong_loss", score=rounded)
def class_as_a_number(sick: bool) -> Run:
    """The number of one of ten classes as an amount: one output, squared error."""
    split = data.digits(0)
    if sick:
        split = with_targets(split, lambda y: as_float32(y[:, None]))
    loss = pynn.MSELoss() if sick else pynn.CrossEntropyLoss()
    return run(split, mlp(0, (64, 64, 1 if sick else 10), init=None), pynn.Adam(2e-3), 20, 32, loss, metric="accuracy")


@program("labels_out_of_range")
def signs_for_a_binary_cross_entropy(sick: bool) -> Run:
    """Labels -1 and 1 for the loss of labels 0 and 1."""
    split = tables.circles(0)
    split = with_targets(split, lambda y: as_float32(2 * y[:, None] - 1 if sick else y[:, None]))
    model = mlp(0, (2, 32, 32, 1), init=None)
    return run(split, model, pynn.Adam(3e-3), 30, 32, pynn.BCEWithLogitsLoss(), metric="accuracy")


@program("wrong_output_activation", "unscaled_targets")
def decoder_into_raw_pixels(sick: bool) -> Run:
    """A convolutional autoencoder that ends in a tanh, of pixels from 0 to 255."""
    raw = data.digits_raw(0)
    scale = np.float32(255 / 16)
    x, xv = (as_float32(each.reshape(-1, 1, 8, 8) / 8 - 1) for each in (raw.x, raw.xv))
    y, yv = ((each + 1) * 8 * scale if sick else each for each in (x, xv))
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(1, 16, 3, stride=2, padding=1), pynn.ReLU(), pynn.Conv2d(16, 8, 3, stride=2, padding=1),
        pynn.ReLU(), pynn.ConvTranspose2d(8, 16, 2, stride=2), pynn.ReLU(), pynn.ConvTranspose2d(16, 1, 2, stride=2),
        pynn.Tanh(),
    )  # fmt: skip
    return run(Split(x, y, xv, yv), model, pynn.Adam(3e-3), 25, 32, pynn.MSELoss())


def mean_and_log_variance(floor: float) -> Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]:
    """Return the negative log-likelihood of N(output 0, exp(output 1)); exponents below `floor` are raised to it."""

    def gaussian_likelihood(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        mean, log_variance = prediction[:, :1], np.maximum(prediction[:, 1:], floor)
        error = target - mean
        with np.errstate(all="ignore"):
            share = np.square(error) / np.exp(log_variance)
            slopes = -error / np.exp(log_variance), 0.5 * (1 - share) * (prediction[:, 1:] >= floor)
            value = float(0.5 * (log_variance + share).mean())
        return value, (np.hstack(slopes) / len(target)).astype(prediction.dtype)

    return gaussian_likelihood


@program("numerical", score=explained(lambda value: value[:, :1]))
def variance_without_a_floor(sick: bool) -> Run:
    """A mean and the logarithm of a variance, which may fall to nothing: most targets are exactly 0."""
    split = with_targets(data.friedman(0), lambda y: np.maximum(y - 0.8, 0))
    model = mlp(0, (10, 64, 64, 2), init=None)
    return run(
        split, model, pynn.Adam(1e-2), 60, 32, mean_and_log_variance(-1e9 if sick else -4.0), metric="r2"
    )  # fmt: skip


@program("unscaled_targets", "lr_too_low")
def targets_of_a_millionth(sick: bool) -> Run:
    """Targets of about 1e-6, as concentrations come, SGD 0.05."""
    split = with_targets(data.friedman(0), lambda y: y * np.float32(1e-6 if sick else 1))
    return run(split, mlp(0, (10, 64, 1), init=None), pynn.SGD(0.05), 40, 32, pynn.MSELoss())
