"""What DeepCrime's and DeepMutation's operators change in a program."""

# ruff: noqa: D103, D401 - a docstring here says what is changed, where the name does not.
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pynn
from bench.faults.data import as_float32

from .data import one_hot
from .ordinary import Setup, keep, numbered, retarget, seeded

Change = Callable[[Setup], None]

# Data.


def wrong_labels(share: float) -> Change:
    """Another class for a share of the training examples; amounts are exchanged among them."""

    def change(setup: Setup) -> None:
        rng, y = seeded(), setup.split.y.copy()
        rows = np.flatnonzero(rng.random(len(y)) < share)
        if setup.classes:
            y[rows] = (y[rows] + rng.integers(1, setup.classes, y[rows].shape)) % setup.classes
        else:
            y[rows] = y[rng.permutation(rows)]
        setup.split = setup.split._replace(y=y)

    return change


def fewer(count: int) -> Change:
    """The first examples only."""
    return lambda setup: keep(setup, np.arange(count))


def rarer(classes: tuple[int, ...], share: float) -> Change:
    """Only a share of the training examples of some classes."""

    def change(setup: Setup) -> None:
        kept = ~np.isin(numbered(setup), classes) | (seeded().random(len(setup.split.y)) < share)
        keep(setup, np.flatnonzero(kept))

    return change


def noisy(deviations: float) -> Change:
    """Noise of so many standard deviations of the inputs, in training only."""

    def change(setup: Setup) -> None:
        x = setup.split.x
        noise = deviations * x.std(axis=0, keepdims=x.ndim == 2).mean() * seeded().standard_normal(x.shape)
        setup.split = setup.split._replace(x=as_float32(x + noise))

    return change


def overlapping(*pairs: tuple[int, int]) -> Change:
    """The training examples of a class twice more, with the label of another."""

    def change(setup: Setup) -> None:
        x, y, labels = [setup.split.x], [setup.split.y], numbered(setup)
        for one, other in pairs:
            rows = np.repeat(np.flatnonzero(labels == one), 2)
            x.append(setup.split.x[rows])
            y.append(np.full_like(setup.split.y[rows], other))
        setup.split = setup.split._replace(x=np.concatenate(x), y=np.concatenate(y))

    return change


def repeated(label: int, times: int) -> Change:
    """The training examples of a class many times over."""

    def change(setup: Setup) -> None:
        labels = numbered(setup)
        keep(setup, np.repeat(np.arange(len(labels)), np.where(labels == label, times, 1)))

    return change


def in_order(setup: Setup) -> None:
    """Sorted by the target, and not shuffled."""
    keep(setup, np.argsort(setup.split.y.reshape(len(setup.split.y), -1)[:, 0], kind="stable"))
    setup.settings["shuffle"] = False


def validation(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Other validation inputs."""

    def apply(setup: Setup) -> None:
        setup.split = setup.split._replace(xv=as_float32(change(setup.split.xv)))

    return apply


# Settings.


def both(*changes: Change) -> Change:
    """Several changes."""

    def change(setup: Setup) -> None:
        for each in changes:
            each(setup)

    return change


def batch(size: int) -> Change:
    return lambda setup: setattr(setup, "batch", size)


def whole(setup: Setup) -> None:
    """All examples in a batch."""
    setup.batch = len(setup.split.x)


def rate(lr: float) -> Change:
    return lambda setup: setattr(setup.optimizer, "lr", lr)


def epochs(count: int) -> Change:
    return lambda setup: setattr(setup, "epochs", count)


def optimizer(make: Callable[[], pynn.Optimizer]) -> Change:
    return lambda setup: setattr(setup, "optimizer", make())


def setting(**settings: Any) -> Change:
    return lambda setup: setup.settings.update(settings)


def loss(function: Any, classes: int = 0) -> Change:
    """Another loss; with `classes` of one-hot targets."""

    def change(setup: Setup) -> None:
        setup.loss = function
        if classes:
            retarget(setup, lambda y: one_hot(y, classes))

    return change


# Layers.


def activation(make: Callable[[], pynn.Layer] | None, which: slice = slice(None)) -> Change:
    """Another activation in the place of (some of) the rectifiers, or none."""

    def change(setup: Setup) -> None:
        chosen = [index for index, layer in enumerate(setup.layers) if isinstance(layer, pynn.ReLU)][which]
        for index in reversed(chosen):
            setup.layers[index : index + 1] = [] if make is None else [make()]

    return change


def at_the_end(make: Callable[[], pynn.Layer]) -> Change:
    return lambda setup: setup.layers.append(make())


def weights(init: Callable[[tuple[int, ...]], Any], which: slice = slice(None)) -> Change:
    """Another initialisation of (some of) the weights."""

    def change(setup: Setup) -> None:
        for layer in [each for each in setup.layers if isinstance(each, pynn.Linear | pynn.Conv2d)][which]:
            layer.weight[...] = init(layer.weight.shape)

    return change


def without_biases(setup: Setup) -> None:
    """No biases: they are 0 and stay so."""
    for index, layer in enumerate(setup.layers):
        if isinstance(layer, pynn.Linear):
            setup.layers[index] = pynn.Linear(layer.weight.shape[0], layer.weight.shape[1], bias=False)


def dropout(p: float) -> Change:
    """Dropout of this rate in the place of that there is, or after each rectifier."""

    def change(setup: Setup) -> None:
        kind = pynn.Dropout if any(isinstance(each, pynn.Dropout) for each in setup.layers) else pynn.ReLU
        for index in reversed([i for i, each in enumerate(setup.layers) if isinstance(each, kind)]):
            setup.layers[index : index + 1] = [*([setup.layers[index]] if kind is pynn.ReLU else []), pynn.Dropout(p)]

    return change


def instead(first: int, last: int, make: Callable[[], list[pynn.Layer]], times: int = 1) -> Change:
    """Further layers, in the place of those from `first` to `last`."""

    def change(setup: Setup) -> None:
        setup.layers[first:last] = [layer for _ in range(times) for layer in make()]

    return change


class Blocked(pynn.Layer):
    """Lets through only the first few of the units."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return self._let_through(x)

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return self._let_through(dy)

    def _let_through(self, x: np.ndarray) -> np.ndarray:
        through = np.zeros_like(x)
        through[:, : self.units] = x[:, : self.units]
        return through


# Initialisers.


def constant(value: float) -> Callable[[tuple[int, ...]], np.ndarray]:
    return lambda shape: pynn.init.constant(shape, value)


def normal(std: float) -> Callable[[tuple[int, ...]], np.ndarray]:
    return lambda shape: pynn.init.normal(shape, std)


def uniform(shape: tuple[int, ...]) -> np.ndarray:
    """Uniform between 0 and 1."""
    return 0.5 + pynn.init.uniform(shape, 0.5)


def dense(features: int, units: int) -> Callable[[], list[pynn.Layer]]:
    return lambda: [pynn.Linear(features, units), pynn.ReLU()]


def softmax() -> pynn.Layer:
    return pynn.Softmax(1)
