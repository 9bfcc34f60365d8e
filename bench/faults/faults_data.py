"""Faults in the data: not normalised, or labels that do not belong to the inputs."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

import numpy as np

import pynn

from . import data
from .cases import BLOWN_UP, STALLED, Corpus, Run
from .networks import mlp

CORPUS = Corpus()
UNSCALED = (*BLOWN_UP, "lr_too_high", "bad_initial_loss", "bad_initialisation")


@CORPUS.fault("mnist", "input_not_normalised", also=UNSCALED, visible_before=True)
def raw_pixels_mnist(seed: int, sick: bool) -> Run:
    """MNIST as it comes, 0 to 255."""
    split = data.mnist_raw(seed) if sick else data.mnist(seed)
    return Run.of(split, mlp(seed, (784, 100, 10)), pynn.SGD(0.1), seed, 5)


@CORPUS.fault("cifar", "input_not_normalised", also=UNSCALED, visible_before=True)
def raw_pixels_cifar(seed: int, sick: bool) -> Run:
    """CIFAR-10 as it comes, 0 to 255, with momentum."""
    split = data.cifar_raw(seed) if sick else data.cifar(seed)
    return Run.of(split, mlp(seed, (768, 100, 100, 10)), pynn.SGD(0.01, momentum=0.9), seed, 6, 100)


@CORPUS.fault("digits", "input_not_normalised", also=UNSCALED, visible_before=True)
def raw_digits_tanh(seed: int, sick: bool) -> Run:
    """The digits as they come, 0 to 16, into tanh units."""
    split = data.digits_raw(seed) if sick else data.digits(seed)
    model = mlp(seed, (64, 64, 64, 10), pynn.Tanh, "xavier_normal")
    return Run.of(split, model, pynn.SGD(0.1, momentum=0.9), seed, 15)


@CORPUS.fault("clouds", "input_not_normalised", also=UNSCALED, visible_before=True)
def one_column_in_thousands(seed: int, sick: bool) -> Run:
    """A table one of whose columns is an income."""
    split = data.clouds(seed)
    if sick:
        scale = np.ones(20, np.float32)
        scale[3] = 15000
        split = split._replace(
            x=split.x * scale + 2 * scale * (scale > 1), xv=split.xv * scale + 2 * scale * (scale > 1)
        )
    return Run.of(split, mlp(seed, (20, 32, 32, 5)), pynn.Adam(3e-3), seed, 15)


@CORPUS.fault("friedman", "input_not_normalised", also=UNSCALED, visible_before=True)
def units_of_measurement(seed: int, sick: bool) -> Run:
    """A regression with columns in different units: shares, kilometres, grams."""
    split = data.friedman(seed)
    if sick:
        scale = np.array([1, 100, 0.01, 1000, 1, 50, 0.1, 300, 10, 1], np.float32)
        split = split._replace(x=(split.x + 1.8) * scale, xv=(split.xv + 1.8) * scale)
    return Run.of(split, mlp(seed, (10, 64, 64, 1)), pynn.Adam(3e-3), seed, 15, loss=pynn.MSELoss())


@CORPUS.fault("clouds", "input_not_normalised", also=UNSCALED, visible_before=True)
def far_from_zero(seed: int, sick: bool) -> Run:
    """Inputs around 100 with a spread of 1, such as years or temperatures in kelvin, never centred."""
    split = data.clouds(seed)
    if sick:
        split = split._replace(x=split.x + 100, xv=split.xv + 100)
    return Run.of(split, mlp(seed, (20, 32, 32, 5)), pynn.SGD(0.05, momentum=0.9), seed, 15)


@CORPUS.fault("digits", "input_not_normalised", "overfitting", visible_before=True, checks=("validation scale",))
def only_training_part_normalised(seed: int, sick: bool) -> Run:
    """The training part is standardised, but the validation part is not."""
    split, raw = data.digits(seed), data.digits_raw(seed)
    if sick:
        split = split._replace(xv=raw.xv)
    return Run.of(split, mlp(seed, (64, 64, 10)), pynn.SGD(0.1, momentum=0.9), seed, 10)


@CORPUS.fault("mnist", "input_not_normalised", also=(*STALLED, "lr_too_low", "vanishing_gradient"), visible_before=True)
def divided_twice(seed: int, sick: bool) -> Run:
    """Pixels divided by 255 when they are read and again before training."""
    split = data.mnist_raw(seed)
    factor = np.float32(1 / 255**2 if sick else 1 / 255)
    split = split._replace(x=split.x * factor, xv=split.xv * factor)
    return Run.of(split, mlp(seed, (784, 100, 10)), pynn.SGD(0.1), seed, 5)


@CORPUS.fault("digits", "overfitting", "not_learning", also=("underfitting", "plateau"))
def labels_shuffled(seed: int, sick: bool) -> Run:
    """The labels were shuffled without the inputs, and the network is large enough to memorise them."""
    split = data.digits(seed)
    if sick:
        split = split._replace(y=np.random.default_rng(seed).permutation(split.y))
    return Run.of(split, mlp(seed, (64, 256, 256, 10)), pynn.Adam(2e-3), seed, 25)


@CORPUS.fault("mnist", "not_learning", "overfitting", also=STALLED)
def labels_off_by_one_row(seed: int, sick: bool) -> Run:
    """The labels are those of the row before: a header line was counted."""
    split = data.mnist(seed)
    if sick:
        split = split._replace(y=np.roll(split.y, 1))
    return Run.of(split, mlp(seed, (784, 50, 10)), pynn.SGD(0.01), seed, 5)


@CORPUS.fault("clouds", "not_learning", "overfitting", also=STALLED)
def wrong_target_column(seed: int, sick: bool) -> Run:
    """The column taken for the target has nothing to do with the inputs."""
    split = data.clouds(seed)
    if sick:
        split = split._replace(y=np.random.default_rng(seed).integers(0, 5, len(split.y)))
    return Run.of(split, mlp(seed, (20, 16, 5)), pynn.SGD(0.02), seed, 15)


@CORPUS.fault("mnist", "oscillating", "not_learning", "class_imbalance", also=("diverging", "underfitting", "plateau"))
def sorted_and_never_shuffled(seed: int, sick: bool) -> Run:
    """The examples lie sorted by label, and shuffle is off."""
    split = data.mnist(seed)
    order = np.argsort(split.y, kind="stable")
    model = mlp(seed, (784, 64, 10))
    split = split._replace(x=split.x[order], y=split.y[order])
    return Run.of(split, model, pynn.SGD(0.05), seed, 6, 32, shuffle=not sick)


@CORPUS.fault(
    "friedman",
    "exploding_gradient",
    "bad_initial_loss",
    "diverging",
    "non_finite",
    also=(*BLOWN_UP, "lr_too_high"),
    visible_before=True,
    checks=("target scale",),
)
def targets_in_thousands(seed: int, sick: bool) -> Run:
    """Regression on prices: the target is neither centred nor scaled."""
    split = data.friedman(seed)
    if sick:
        split = split._replace(y=3000 + 500 * split.y, yv=3000 + 500 * split.yv)
    return Run.of(split, mlp(seed, (10, 64, 64, 1)), pynn.SGD(0.01), seed, 15, 32, loss=pynn.MSELoss())


@CORPUS.fault(
    "clouds",
    "dead_units",
    "input_not_normalised",
    "exploding_gradient",
    also=("lr_too_high", "bad_initial_loss", *BLOWN_UP),
    onset=81,
)
def missing_values_as_9999(seed: int, sick: bool) -> Run:
    """In a custom loop, a few rows of batch 81 have 9999 for "missing": one step leaves most ReLU units dead."""

    def feed(step: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if sick and step == 81:
            x = x.copy()
            x[:6, 4:9] = 9999
        return x, y

    return Run.of(data.clouds(seed), mlp(seed, (20, 64, 64, 5)), pynn.SGD(0.1), seed, 20, feed=feed)


@CORPUS.fault("digits", visible_before=True, visible_during=False, checks=("validation duplicates",))
def validation_rows_in_training(seed: int, sick: bool) -> Run:
    """The validation part is a copy of training rows, so it measures nothing."""
    split = data.digits(seed)
    if sick:
        split = split._replace(xv=split.x[:360].copy(), yv=split.y[:360].copy())
    return Run.of(split, mlp(seed, (64, 64, 10)), pynn.SGD(0.1), seed, 5)
