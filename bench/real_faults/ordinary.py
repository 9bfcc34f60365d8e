"""Ordinary healthy programs, which the operators of `mutants` change.

They are what people write first: digits with convolutions and with batch norm, small colour images, a table of houses,
texts with an embedding, a table with a rare class, an autoencoder.
"""

# ruff: noqa: D401 - a docstring here describes the program that is returned.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Metric, Run
from bench.faults.data import Split, as_float32, split_by_seed, standardized

from . import plain_sets as sets
from .classics import with_inputs, with_targets, yes_or_no


@dataclass
class Setup:
    """A program in parts, which an operator changes in place before `run` puts them together."""

    split: Split
    layers: list[pynn.Layer]
    optimizer: pynn.Optimizer
    epochs: int
    batch: int = 32
    loss: Any = field(default_factory=pynn.CrossEntropyLoss)
    metric: Metric = "accuracy"
    classes: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Run:
        """Return the run."""
        model = pynn.Sequential(*self.layers)
        return Run.of(
            self.split, model, self.optimizer, 0, self.epochs, self.batch, self.loss, metric=self.metric,
            **self.settings,
        )  # fmt: skip


#: The programs by name.
PROGRAMS: dict[str, Callable[[], Setup]] = {}


def program(build: Callable[[], Setup]) -> Callable[[], Setup]:
    """Add a program, whose weights are drawn from seed 0."""

    def seeded() -> Setup:
        pynn.manual_seed(0)
        return build()

    PROGRAMS[build.__name__] = seeded
    return build


@cache
def texts() -> Split:
    """3000 + 1000 texts of 16 words, numbered up to 299, on five subjects."""
    rng = np.random.default_rng(41)
    subject = rng.integers(0, 5, 4000)
    shares = 0.4 * rng.dirichlet(np.full(300, 0.1), 5) + 0.6 * rng.dirichlet(np.full(300, 0.5))
    words = np.stack([rng.choice(300, 16, p=shares[each]) for each in subject])
    return split_by_seed(words, subject, 0)


@cache
def debts() -> Split:
    """3000 + 1000 rows of 12 numbers, standardised; one in ten is positive, (n, 1)."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        4000, 12, n_informative=6, n_clusters_per_class=1, weights=[0.9], flip_y=0.02, class_sep=0.9, random_state=2
    )
    return yes_or_no(standardized(split_by_seed(as_float32(x), y.astype(np.int64), 0), per_feature=True))


@program
def digits_cnn() -> Setup:
    """MNIST, two convolutions with pooling, SGD with momentum."""
    split = data.as_images(data.mnist(0, 2000), 1, 28, 28)
    layers = [
        pynn.Conv2d(1, 8, 3), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Conv2d(8, 16, 3), pynn.ReLU(), pynn.MaxPool2d(2),
        pynn.Flatten(), pynn.Linear(400, 64), pynn.ReLU(), pynn.Linear(64, 10),
    ]  # fmt: skip
    return Setup(split, layers, pynn.SGD(0.02, momentum=0.9), 6, 32, classes=10)


@program
def digits_batchnorm() -> Setup:
    """MNIST, two hidden layers with batch norm, Adam."""
    layers = [
        pynn.Linear(784, 128), pynn.BatchNorm1d(128), pynn.ReLU(),
        pynn.Linear(128, 64), pynn.BatchNorm1d(64), pynn.ReLU(), pynn.Linear(64, 10),
    ]  # fmt: skip
    return Setup(data.mnist(0, 4000), layers, pynn.Adam(1e-3), 6, 64, classes=10)


@program
def colour_images() -> Setup:
    """A part of CIFAR-10 at 16x16 pixels, three convolutions, dropout, Adam."""
    layers = [
        pynn.Conv2d(3, 12, 3, padding=1), pynn.ReLU(), pynn.MaxPool2d(2),
        pynn.Conv2d(12, 24, 3, padding=1), pynn.ReLU(), pynn.MaxPool2d(2),
        pynn.Conv2d(24, 32, 3, padding=1), pynn.ReLU(), pynn.MaxPool2d(2),
        pynn.Flatten(), pynn.Dropout(0.2), pynn.Linear(128, 64), pynn.ReLU(), pynn.Linear(64, 10),
    ]  # fmt: skip
    return Setup(data.cifar_images(0, 3000), layers, pynn.Adam(3e-3), 8, 64, classes=10)


@program
def house_prices() -> Setup:
    """Prices of houses, of the kind of California's, two hidden layers, Adam."""
    split = sets.standardized_targets(tables.houses(0))
    layers = [pynn.Linear(6, 64), pynn.ReLU(), pynn.Linear(64, 32), pynn.ReLU(), pynn.Linear(32, 1)]
    return Setup(split, layers, pynn.Adam(2e-3), 25, 32, pynn.MSELoss(), "r2")


@program
def news() -> Setup:
    """Texts of 16 words on five subjects, an embedding, a hidden layer with dropout, Adam."""
    layers = [
        pynn.Embedding(300, 16), pynn.Flatten(), pynn.Linear(256, 32), pynn.ReLU(), pynn.Dropout(0.3),
        pynn.Linear(32, 5),
    ]  # fmt: skip
    return Setup(texts(), layers, pynn.Adam(2e-3, weight_decay=1e-3), 6, 32, classes=5)


@program
def defaulters() -> Setup:
    """One in ten does not pay: a table, positives weighted, scored by the mean recall of both classes."""
    layers = [pynn.Linear(12, 32), pynn.ReLU(), pynn.Linear(32, 16), pynn.ReLU(), pynn.Linear(16, 1)]
    loss = pynn.BCEWithLogitsLoss(pos_weight=9.0)
    return Setup(debts(), layers, pynn.Adam(1e-3), 12, 32, loss, "balanced", classes=2)


@program
def autoencoder() -> Setup:
    """Digits of 8x8 pixels in [0, 1] through ten numbers and back, a sigmoid at the end, Adam."""
    split = with_inputs(data.digits_raw(0), lambda x: x / 16)
    split = split._replace(y=split.x, yv=split.xv)
    layers = [
        pynn.Linear(64, 48), pynn.ReLU(), pynn.Linear(48, 10), pynn.ReLU(), pynn.Linear(10, 48), pynn.ReLU(),
        pynn.Linear(48, 64), pynn.Sigmoid(),
    ]  # fmt: skip
    return Setup(split, layers, pynn.Adam(3e-3), 30, 32, pynn.MSELoss(), "r2")


def numbered(setup: Setup) -> np.ndarray:
    """Return the training labels as whole numbers (n,)."""
    return setup.split.y.reshape(len(setup.split.y)).astype(np.int64)


def keep(setup: Setup, rows: np.ndarray) -> None:
    """Keep some training rows."""
    setup.split = setup.split._replace(x=setup.split.x[rows], y=setup.split.y[rows])


def retarget(setup: Setup, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the targets of both parts."""
    setup.split = with_targets(setup.split, change)


seeded = partial(np.random.default_rng, 42)
