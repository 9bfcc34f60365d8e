"""More healthy runs that look odd, on other data than `controls.py`."""

# ruff: noqa: D401 - a docstring here describes the run that is returned.
from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pynn

from . import data, tables
from .cases import Corpus, Run
from .networks import OwnDropout, gaussian, mlp

CORPUS = Corpus()


class Restarts(pynn.Schedule):
    """The rate falls from the base rate to 0 along a cosine, and restarts every hundred steps."""

    def rate(self, lr: float, epoch: int, step: int) -> float:
        return lr * 0.5 * (1 + float(np.cos(np.pi * (step % 100) / 100)))


@CORPUS.control("wine", 0.88)
def table_of_133_rows(seed: int) -> Run:
    """A table of 133 rows: all correct after a few epochs, then 60 more epochs."""
    return Run.of(tables.wine(seed), mlp(seed, (13, 32, 3)), pynn.Adam(1e-2), seed, 80, 16)


@CORPUS.control("diabetes", 0.2)
def raw_targets_that_adam_copes_with(seed: int) -> Run:
    """Unscaled targets around 150, and a rate that reaches them anyway."""
    return Run.of(tables.diabetes(seed), mlp(seed, (10, 32, 1)), pynn.Adam(0.1), seed, 40, 32, pynn.MSELoss())


@CORPUS.control("parity", 0.85)
def parity_of_four(seed: int) -> Run:
    """The product of four signs: a long plateau, then sudden learning."""
    return Run.of(tables.parity(seed), mlp(seed, (8, 64, 64, 2)), pynn.Adam(3e-3), seed, 40, 32)


@CORPUS.control("classes", 0.5)
def sixty_classes(seed: int) -> Run:
    """Sixty classes of 45 examples each."""
    return Run.of(tables.many_classes(seed), mlp(seed, (24, 128, 60)), pynn.Adam(2e-3), seed, 15, 64)


@CORPUS.control("digits", 0.92)
def tiny_weights_with_batchnorm(seed: int) -> Run:
    """Weights of 0.01 N(0, 1), which batch norm compensates; its averages settle slowly."""
    model = mlp(seed, (64, 64, 64, 10), init=gaussian(0.01), norm=0.1)
    return Run.of(data.digits(seed), model, pynn.SGD(0.1, momentum=0.9), seed, 10, 64)


@CORPUS.control("faint", 0.03)
def faint_signal(seed: int) -> Run:
    """Only a ninth of the variance is explainable."""
    return Run.of(tables.faint(seed), mlp(seed, (8, 8, 1)), pynn.SGD(0.02), seed, 8, 64, pynn.MSELoss())


@CORPUS.control("outliers", 0.2)
def outliers_in_the_target(seed: int) -> Run:
    """A regression whose noise has heavy tails: the loss of a batch jumps."""
    return Run.of(tables.outliers(seed), mlp(seed, (10, 16, 1)), pynn.SGD(0.01), seed, 15, 32, pynn.MSELoss())


@CORPUS.control("clusters", 0.75)
def dropout_of_ones_own(seed: int) -> Run:
    """A custom dropout layer, whose passes differ from each other."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(pynn.Linear(20, 64), pynn.ReLU(), OwnDropout(0.2, seed), pynn.Linear(64, 4))
    return Run.of(tables.clusters(seed, 3000, separation=2.0), model, pynn.Adam(2e-3), seed, 15, 64)


@CORPUS.control("digits", 0.92)
def warm_restarts(seed: int) -> Run:
    """The rate jumps from 0 to its largest every hundred steps."""
    optimizer = pynn.SGD(0.1, momentum=0.9)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), optimizer, seed, 18, 64, schedule=Restarts())


@CORPUS.control("houses", 0.6)
def skewed_features(seed: int) -> Run:
    """Features of long tails, and targets far from centred."""
    return Run.of(tables.houses(seed), mlp(seed, (6, 64, 64, 1)), pynn.Adam(1e-3), seed, 20, 64, pynn.MSELoss())


def _with_loss(name: str, about: str, loss: Callable[..., tuple[float, np.ndarray]]) -> None:
    def control(seed: int) -> Run:
        return Run.of(data.friedman(seed), mlp(seed, (10, 64, 1)), pynn.Adam(3e-3), seed, 20, 32, loss, metric="r2")

    control.__name__, control.__doc__ = name, about
    CORPUS.control("friedman", 0.6)(control)


def absolute_error(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean absolute error and its gradient."""
    off = prediction - target
    return float(np.abs(off).mean()), np.sign(off) / np.float32(off.size)


_with_loss("absolute_error_of_ones_own", "A custom loss with a kink.", absolute_error)
