"""Eight more of `unseen`, written after rules were mended for the others; `unseen_torch_later` has four loops."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Run
from bench.faults.data import as_float32, split_by_seed
from bench.faults.networks import cnn, mlp

from .classics import run, with_targets
from .programs import Programs
from .unseen import explained, visits

LATER = Programs()
program = LATER.program


@program("lr_too_high", "unstable_loss")
def betas_exchanged(sick: bool) -> Run:
    """Adam's betas exchanged: 0.999 for the gradient, 0.9 for its square."""
    betas = (0.999, 0.9) if sick else (0.9, 0.999)
    return run(data.digits(0), mlp(0, (64, 64, 64, 10), init=None), pynn.Adam(3e-3, betas=betas), 12)


def much_noise(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add noise of ten times the inputs' spread."""
    return x + rng.normal(0, 10, x.shape).astype(x.dtype)


@program("wrong_augmentation", "over_regularisation")
def noise_above_the_signal(sick: bool) -> Run:
    """Noise of ten standard deviations is added to standardised measurements in training."""
    made = run(tables.clusters(0), mlp(0, (20, 64, 4), init=None), pynn.Adam(3e-3), 20, 32)
    made.augment = [much_noise] if sick else []
    return made


@program("lr_too_high")
def cycle_to_a_rate_of_five(sick: bool) -> Run:
    """A one-cycle schedule whose highest rate is 5 instead of 0.2."""
    schedule = pynn.OneCycleLR(5.0 if sick else 0.2, 12 * 45)
    return run(data.digits(0), mlp(0, (64, 64, 10), init=None), pynn.SGD(0.1, momentum=0.9), 12, schedule=schedule)


def distance(epsilon: float) -> Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]:
    """Return the mean length of the errors; without an epsilon, its slope at 0 is 0 / 0."""

    def mean_distance(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        error = prediction - target
        with np.errstate(all="ignore"):
            length = np.sqrt(np.square(error).sum(axis=1, keepdims=True) + epsilon)
            return float(length.mean()), (error / length / len(error)).astype(prediction.dtype)

    return mean_distance


@program("numerical")
def distance_without_an_epsilon(sick: bool) -> Run:
    """The length of the error as a loss, after a ReLU that may meet targets of exactly 0."""
    split = with_targets(data.friedman(0), lambda y: np.maximum(y, 0))
    model = mlp(0, (10, 64, 1), init=None, tail=[pynn.ReLU()])
    return run(split, model, pynn.Adam(3e-3), 25, 32, distance(0.0 if sick else 1e-6), metric="r2")


@program("wrong_augmentation")
def crops_beyond_the_image(sick: bool) -> Run:
    """Images of 8x8 pixels are shifted by up to 8."""
    made = run(data.digit_images(0), cnn(0, (1, 16, 32)), pynn.Adam(2e-3), 12)
    made.augment = [pynn.augment.RandomCrop(8 if sick else 1)]
    return made


def mean_of_columns(run: Run) -> float:
    """Return the mean over the targets of the share of variance explained."""
    x, y = run.validation
    error = np.square(run.trainer.model.infer(x).astype(np.float64) - y).mean(axis=0)
    return float(np.mean(1 - error / np.square(y - y.mean(axis=0)).mean(axis=0)))


@program("unscaled_targets", "uneven_targets", score=mean_of_columns)
def one_target_drowns_the_others(sick: bool) -> Run:
    """Three amounts to be predicted, the first in a unit that makes it a thousand times larger."""
    rng = np.random.default_rng(26)
    x, weights = rng.standard_normal((1600, 8)), rng.standard_normal((8, 3))
    y = np.tanh(x @ weights / 2) * ([1000, 1, 1] if sick else [1, 1, 1])
    split = split_by_seed(as_float32(x), as_float32(y), 0)
    return run(split, mlp(0, (8, 64, 3), init=None), pynn.Adam(3e-3), 40, 32, pynn.MSELoss())


@program("wrong_output_activation", score=explained(lambda value: value))
def counts_from_a_sigmoid(sick: bool) -> Run:
    """Counts up to 40 from a sigmoid, with a Poisson loss."""
    tail = [pynn.Sigmoid() if sick else pynn.Softplus()]
    model = mlp(0, (6, 32, 1), init=None, tail=tail)
    return run(visits(), model, pynn.Adam(3e-3), 25, 32, pynn.PoissonNLLLoss(log_input=False), metric="r2")


@program("wrong_output_activation", "redundant_softmax")
def margins_of_probabilities(sick: bool) -> Run:
    """A softmax before a loss that wants scores a margin of 1 apart."""
    model = mlp(0, (64, 32, 10), init=None, tail=[pynn.Softmax(1)] if sick else [])
    return run(data.digits(0), model, pynn.SGD(0.05), 15, 32, pynn.MultiMarginLoss())
