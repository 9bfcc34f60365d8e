"""More of `unseen`: networks and settings."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Run
from bench.faults.data import as_float32, split_by_seed
from bench.faults.networks import block, mlp

from .classics import run, with_targets
from .unseen import program


@program("batchnorm_inference", "over_regularisation")
def dropout_before_batch_norm(sick: bool) -> Run:
    """Dropout 0.7 in front of each batch norm, whose variance is then another one in inference."""
    pynn.manual_seed(0)
    layers: list[pynn.Layer] = []
    for given in (10, 64, 64):
        layers += [pynn.Linear(given, 64), pynn.ReLU(), pynn.Dropout(0.7 if sick else 0.0), pynn.BatchNorm1d(64)]
    model = pynn.Sequential(*layers, pynn.Linear(64, 1))
    return run(data.friedman(0), model, pynn.Adam(3e-3), 25, 32, pynn.MSELoss())


@program("wrong_output_activation", "unscaled_targets")
def batch_norm_of_the_output(sick: bool) -> Run:
    """Batch norm after the last layer of a regression, targets of about 40."""
    split = with_targets(data.friedman(0), lambda y: 10 * y + 40 if sick else y)
    tail = [pynn.BatchNorm1d(1)] if sick else []
    model = mlp(0, (10, 64, 1), init=None, tail=tail)
    return run(split, model, pynn.Adam(3e-3), 30, 32, pynn.MSELoss())


@program("batchnorm_inference")
def averages_that_hardly_move(sick: bool) -> Run:
    """Batch norm with a momentum of 0.001, meant as Keras's 0.999, for 200 steps."""
    model = mlp(0, (64, 64, 64, 10), norm=0.001 if sick else 0.1)
    return run(data.digits(0), model, pynn.Adam(2e-3), 9, 64)


@program("norm_of_one_value")
def norm_of_single_values(sick: bool) -> Run:
    """Instance norm after global pooling: each channel is one value, which becomes 0."""
    pynn.manual_seed(0)
    norm = pynn.GroupNorm(32, 32) if sick else pynn.GroupNorm(4, 32)
    model = pynn.Sequential(
        pynn.Conv2d(1, 32, 3, padding=1), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Conv2d(32, 32, 3, padding=1),
        pynn.ReLU(), pynn.AdaptiveAvgPool2d(1), norm, pynn.Flatten(), pynn.Linear(32, 10),
    )  # fmt: skip
    return run(data.digit_images(0), model, pynn.Adam(3e-3), 20, 32)


@program("too_few_units")
def convolutions_of_one_pixel(sick: bool) -> Run:
    """Convolutions of 1x1 and a global average: no shape is seen, only how many pixels have which value."""
    pynn.manual_seed(0)
    size = 1 if sick else 3
    model = pynn.Sequential(
        pynn.Conv2d(1, 32, size, padding=size // 2), pynn.ReLU(), pynn.Conv2d(32, 32, size, padding=size // 2),
        pynn.ReLU(), pynn.AdaptiveAvgPool2d(1), pynn.Flatten(), pynn.Linear(32, 10),
    )  # fmt: skip
    return run(data.digit_images(0), model, pynn.Adam(5e-3), 30, 32)


@program("exploding_gradient", "bad_init")
def sums_without_norm(sick: bool) -> Run:
    """Twenty-four residual blocks without a norm, each starting at He's full size."""
    pynn.manual_seed(0)
    blocks = [block(8, norm=False, last="he_normal" if sick else "zeros") for _ in range(24)]
    model = pynn.Sequential(
        pynn.Conv2d(1, 8, 3, padding=1, init="he_normal"), *blocks, pynn.AdaptiveAvgPool2d(2), pynn.Flatten(),
        pynn.Linear(32, 10),
    )  # fmt: skip
    return run(data.digit_images(0), model, pynn.Adam(1e-3), 8, 32)


@program("too_few_units")
def without_biases(sick: bool) -> Run:
    """No layer has a bias: a function of one number is two straight lines through 0."""
    rng = np.random.default_rng(25)
    x = rng.uniform(-2, 2, (1200, 1))
    split = split_by_seed(as_float32(x), as_float32(np.cos(3 * x) + 0.1 * rng.standard_normal(x.shape)), 0)
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Linear(1, 32, bias=not sick), pynn.ReLU(), pynn.Linear(32, 32, bias=not sick), pynn.ReLU(),
        pynn.Linear(32, 1, bias=not sick),
    )  # fmt: skip
    return run(split, model, pynn.Adam(1e-2), 40, 32, pynn.MSELoss())


@program("over_regularisation")
def weights_kept_small(sick: bool) -> Run:
    """The norm of each unit's weights is held to 0.02, meant as 2."""
    limits = [pynn.MaxNorm(0.02 if sick else 2.0)]
    model = mlp(0, (13, 32, 3), init=None)
    return run(tables.wine(0), model, pynn.Adam(3e-3), 40, 16, regularizers=limits)


@program("decays_too_soon")
def impatient_schedule(sick: bool) -> Run:
    """The rate is divided by ten after each epoch that is not the best so far by a tenth."""
    model = mlp(0, (20, 64, 4), init=None)
    optimizer = pynn.SGD(0.02, momentum=0.9)
    patience, threshold = (0, 0.3) if sick else (5, 1e-3)
    cut = pynn.ReduceLROnPlateau(patience=patience, threshold=threshold)
    made = run(tables.clusters(0), model, optimizer, 30, 64)
    made.callbacks = [cut]
    return made


@program("too_few_epochs", "lr_too_low")
def stopped_at_the_worst(sick: bool) -> Run:
    """Early stopping that waits for the smallest accuracy: it ends after a few epochs, with the first weights."""
    stop = pynn.EarlyStopping("val_accuracy", mode="min" if sick else "max", patience=3, restore_best_weights=True)
    made = run(data.digits(0), mlp(0, (64, 64, 10), init=None), pynn.SGD(0.02), 40, 32)
    made.callbacks = [stop]
    return made


@program("slow_average")
def average_of_the_beginning(sick: bool) -> Run:
    """The weights are averaged over 10,000 steps, of which 300 are taken."""
    averaging = pynn.EMA(0.9999 if sick else 0.98)
    model = mlp(0, (64, 64, 10), init=None)
    return run(data.digits(0), model, pynn.SGD(0.05, momentum=0.9), 7, 32, averaging=averaging)
