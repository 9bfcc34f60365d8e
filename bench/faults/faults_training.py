"""Faults in regularisation, evaluation and the choice of examples."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

import numpy as np

import pynn

from . import data
from .cases import STALLED, Corpus, Run
from .networks import At, OwnNorm, mlp

CORPUS = Corpus()
SHRUNK = ("vanishing_gradient", "dead_units", "lr_too_low", "lr_too_high", *STALLED)


@CORPUS.fault(
    "digits", "regularisation_too_strong", "underfitting", also=SHRUNK, visible_before=True, checks=("regularisation",)
)
def weight_decay_1(seed: int, sick: bool) -> Run:
    """SGD with weight decay 1."""
    optimizer = pynn.SGD(0.1, weight_decay=1.0 if sick else 1e-4)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), optimizer, seed, 10)


@CORPUS.fault("mnist", "regularisation_too_strong", "underfitting", also=SHRUNK)
def weight_decay_mild(seed: int, sick: bool) -> Run:
    """Weight decay 0.1: the network shrinks to a third of what it could."""
    optimizer = pynn.SGD(0.05, momentum=0.9, weight_decay=0.1 if sick else 1e-4)
    return Run.of(data.mnist(seed), mlp(seed, (784, 64, 64, 10)), optimizer, seed, 5)


@CORPUS.fault(
    "clouds",
    "regularisation_too_strong",
    "bad_initial_loss",
    also=("diverging", "underfitting", *SHRUNK),
    visible_before=True,
    checks=("regularisation",),
)
def l2_penalty_10(seed: int, sick: bool) -> Run:
    """An L2 penalty with coefficient 10."""
    penalty = pynn.L2(10.0 if sick else 1e-4)
    return Run.of(data.clouds(seed), mlp(seed, (20, 32, 32, 5)), pynn.SGD(0.05), seed, 12, regularizers=(penalty,))


@CORPUS.fault("digits", "regularisation_too_strong", "underfitting", also=SHRUNK)
def l1_penalty(seed: int, sick: bool) -> Run:
    """An L1 penalty with coefficient 0.05: all weights go to zero."""
    penalty = pynn.L1(0.05 if sick else 1e-5)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.1), seed, 12, regularizers=(penalty,))


@CORPUS.fault(
    "digits",
    "regularisation_too_strong",
    "underfitting",
    also=("bad_initial_loss", *STALLED),
    visible_before=True,
    checks=("regularisation",),
)
def dropout_95(seed: int, sick: bool) -> Run:
    """Dropout 0.95 in a small network: the share to keep was taken for the share to drop."""
    model = mlp(seed, (64, 64, 64, 10), dropout=0.95 if sick else 0.05)
    return Run.of(data.digits(seed), model, pynn.SGD(0.05), seed, 20)


@CORPUS.fault(
    "cifar",
    "regularisation_too_strong",
    "underfitting",
    also=("bad_initial_loss", *STALLED),
    visible_before=True,
    checks=("regularisation",),
)
def dropout_90_cifar(seed: int, sick: bool) -> Run:
    """Dropout 0.9 on CIFAR-10."""
    model = mlp(seed, (768, 64, 64, 10), dropout=0.9 if sick else 0.1)
    return Run.of(data.cifar(seed), model, pynn.Adam(1e-3), seed, 6)


@CORPUS.fault("digits", "overfitting")
def overfitting_label_noise(seed: int, sick: bool) -> Run:
    """A large network and 150 examples, a third of them mislabelled; the twin has all examples and no noise."""
    split = data.digits(seed)
    if sick:
        noisy = data.with_label_noise(split, 0.35, seed)
        split = noisy._replace(x=noisy.x[:150], y=noisy.y[:150])
    return Run.of(split, mlp(seed, (64, 256, 256, 10)), pynn.Adam(1e-3), seed, 60 if sick else 10, 32)


@CORPUS.fault("cifar", "overfitting")
def overfitting_cifar(seed: int, sick: bool) -> Run:
    """1000 images, a wide network, no regularisation, and far too long; the twin has 10 000 and stops in time."""
    split = data.cifar(seed, 1000 if sick else 10000)
    return Run.of(split, mlp(seed, (768, 256, 128, 10)), pynn.Adam(5e-4), seed, 25 if sick else 4)


@CORPUS.fault("moons", "overfitting")
def overfitting_moons(seed: int, sick: bool) -> Run:
    """40 noisy points and a large network."""
    split = data.moons(seed)
    if sick:
        flip = np.random.default_rng(seed).random((40, 1)) < 0.3
        split = split._replace(x=split.x[:40], y=np.where(flip, 1 - split.y[:40], split.y[:40]).astype(np.float32))
    model, epochs, batch_size = mlp(seed, (2, 128, 128, 1)), 200 if sick else 10, 20 if sick else 32
    return Run.of(split, model, pynn.Adam(0.01), seed, epochs, batch_size, pynn.BCEWithLogitsLoss())


@CORPUS.fault("friedman", "overfitting")
def overfitting_regression(seed: int, sick: bool) -> Run:
    """60 rows of a noisy regression in a network of 17 000 weights."""
    split = data.friedman(seed, noise=3.0)
    if sick:
        split = split._replace(x=split.x[:60], y=split.y[:60])
    model = mlp(seed, (10, 128, 128, 1))
    return Run.of(split, model, pynn.Adam(2e-3), seed, 80 if sick else 8, 20 if sick else 64, loss=pynn.MSELoss())


@CORPUS.fault("digits", "batchnorm_mismatch", also=("overfitting",))
def batchnorm_momentum_1e4(seed: int, sick: bool) -> Run:
    """Batch norm with momentum 1e-4: the running statistics hardly leave their start."""
    model = mlp(seed, (64, 64, 64, 10), norm=1e-4 if sick else 0.1)
    return Run.of(data.digits(seed), model, pynn.SGD(0.1, momentum=0.9), seed, 8)


@CORPUS.fault("mnist", "batchnorm_mismatch", also=("overfitting",))
def batchnorm_never_updated(seed: int, sick: bool) -> Run:
    """Batch norm with momentum 0, taken for "no momentum"."""
    model = mlp(seed, (784, 64, 64, 10), norm=0.0 if sick else 0.1)
    return Run.of(data.mnist(seed), model, pynn.SGD(0.05, momentum=0.9), seed, 4)


@CORPUS.fault("clouds", "batchnorm_mismatch", also=("overfitting", "oscillating"))
def batchnorm_momentum_of_keras(seed: int, sick: bool) -> Run:
    """Batch norm with momentum 0.99 in Keras's sense: inference uses the statistics of the last batch of 4."""
    model = mlp(seed, (20, 32, 32, 5), norm=0.99 if sick else 0.01)
    return Run.of(data.clouds(seed), model, pynn.SGD(0.02), seed, 5, 4)


@CORPUS.fault("digits", "batchnorm_mismatch", also=("overfitting", "oscillating"), onset=111)
def batchnorm_statistics_reset(seed: int, sick: bool) -> Run:
    """After 110 steps a restored state dict resets the running statistics, which then follow slowly."""

    def reset(trainer: pynn.Trainer) -> None:
        for name, buffer in trainer.model.named_buffers():
            buffer[...] = 20.0 if name.endswith("var") else 3.0

    callbacks = [At(110, reset)] if sick else ()
    split = data.digits(seed)
    return Run.of(split, mlp(seed, (64, 64, 64, 10), norm=0.002), pynn.SGD(0.1), seed, 10, callbacks=callbacks)


@CORPUS.fault("digits", "batchnorm_mismatch", "overfitting")
def own_norm_keeps_no_statistics(seed: int, sick: bool) -> Run:
    """A custom batch norm that never updates its running statistics."""
    pynn.manual_seed(seed)
    layers: list[pynn.Layer] = []
    for fan_in in (64, 64):
        layers += [
            pynn.Linear(fan_in, 64, init=lambda s: 3 * pynn.init.he_normal(s)),
            OwnNorm(64, not sick),
            pynn.ReLU(),
        ]
    model = pynn.Sequential(*layers, pynn.Linear(64, 10))
    return Run.of(data.digits(seed), model, pynn.SGD(0.1), seed, 8)


@CORPUS.fault(
    "rare", "class_imbalance", also=("underfitting", "plateau"), visible_before=True, checks=("label balance",)
)
def collapsed_to_the_majority(seed: int, sick: bool) -> Run:
    """One example in 100 is positive; the network says no to all. The twin weights the positives."""
    split = data.rare(seed, 100, 2.0, 6000)
    loss = pynn.BCEWithLogitsLoss(pos_weight=None if sick else 60.0)
    return Run.of(split, mlp(seed, (10, 16, 1)), pynn.SGD(0.1), seed, 10, loss=loss, metric="balanced")


@CORPUS.fault(
    "digits", "class_imbalance", also=("underfitting", "plateau"), visible_before=True, checks=("label balance",)
)
def seven_classes_missed(seed: int, sick: bool) -> Run:
    """Of seven digits there are 20 times fewer than of three, and they are not learnt. The twin weights classes."""
    split = data.thinned(data.digits(seed), 3, 20)
    weight = None if sick else [1.0] * 3 + [20.0] * 7
    loss = pynn.CrossEntropyLoss(weight)
    return Run.of(split, mlp(seed, (64, 32, 10)), pynn.SGD(0.02), seed, 15, 32, loss, metric="balanced")


@CORPUS.fault(
    "mnist", "class_imbalance", also=("underfitting", "plateau"), visible_before=True, checks=("label balance",)
)
def one_against_the_rest(seed: int, sick: bool) -> Run:
    """Is it a nine? One image in 60 is, and early on no is always right. The twin weights the nines."""
    whole = data.mnist(seed)
    rows = (whole.y != 9) | (np.cumsum(whole.y == 9) % 6 == 1)
    rows_v = (whole.yv != 9) | (np.cumsum(whole.yv == 9) % 6 == 1)
    targets = [(y == 9).astype(np.float32)[:, None] for y in (whole.y[rows], whole.yv[rows_v])]
    split = data.Split(whole.x[rows], targets[0], whole.xv[rows_v], targets[1])
    loss = pynn.BCEWithLogitsLoss(pos_weight=None if sick else 40.0)
    return Run.of(split, mlp(seed, (784, 32, 1)), pynn.SGD(0.005), seed, 4, loss=loss, metric="balanced")
