"""More faults, on other data and in other styles than those of the other modules."""

# ruff: noqa: D401 - a docstring here describes the run that is returned.
from __future__ import annotations

import numpy as np

import pynn

from . import data, tables
from .cases import BLOWN_UP, STALLED, Corpus, Run
from .networks import At, mlp, set_rate

CORPUS = Corpus()


@CORPUS.fault("clusters", "input_not_normalised", also=("bad_initial_loss", *BLOWN_UP), visible_before=True)
def missing_values_as_minus_999(seed: int, sick: bool) -> Run:
    """One value in fifty is -999, for "missing"."""
    split = tables.clusters(seed)
    if sick:
        rng = np.random.default_rng(seed)
        x, xv = (np.where(rng.random(x.shape) < 0.02, np.float32(-999), x) for x in (split.x, split.xv))
        split = split._replace(x=x, xv=xv)
    return Run.of(split, mlp(seed, (20, 64, 4)), pynn.Adam(1e-3), seed, 15, 32)


@CORPUS.fault("houses", "bad_initial_loss", "lr_too_low", also=STALLED, visible_before=True, checks=("target scale",))
def prices_in_dollars(seed: int, sick: bool) -> Run:
    """The target in units of 1 instead of 100 000: Adam's steps never reach it."""
    split = tables.houses(seed)
    if sick:
        split = split._replace(y=split.y * 1e5, yv=split.yv * 1e5)
    return Run.of(split, mlp(seed, (6, 64, 1)), pynn.Adam(2e-3), seed, 15, 64, pynn.MSELoss())


@CORPUS.fault("clusters", "lr_too_low", "plateau", also=STALLED, onset=40)
def decay_by_step(seed: int, sick: bool) -> Run:
    """The rate should shrink by a tenth per epoch, but does per step."""
    schedule = pynn.ExponentialLR(0.9, by="step" if sick else "epoch")
    return Run.of(tables.clusters(seed), mlp(seed, (20, 64, 64, 4)), pynn.SGD(0.1), seed, 12, schedule=schedule)


@CORPUS.fault("friedman", "underfitting", "saturated_units", also=(*STALLED, "lr_too_low"))
def sigmoid_behind_a_regression(seed: int, sick: bool) -> Run:
    """A sigmoid after the last layer, and targets of both signs."""
    model = mlp(seed, (10, 32, 1), tail=[pynn.Sigmoid()] if sick else [])
    return Run.of(data.friedman(seed), model, pynn.Adam(5e-3), seed, 25, 32, pynn.MSELoss())


@CORPUS.fault(
    "cancer",
    "regularisation_too_strong",
    "diverging",
    also=("lr_too_high", "bad_initial_loss", *BLOWN_UP),
    visible_before=True,
    checks=("regularisation",),
)
def penalty_beyond_the_weights(seed: int, sick: bool) -> Run:
    """An L2 penalty of 100 at a rate of 0.05: each step takes five times the weights away."""
    penalty = pynn.L2(100.0 if sick else 1e-4)
    return Run.of(tables.cancer(seed), mlp(seed, (30, 32, 2)), pynn.SGD(0.05), seed, 15, 32, regularizers=[penalty])


@CORPUS.fault("digits", "regularisation_too_strong", "underfitting", also=STALLED)
def decay_of_a_tenth(seed: int, sick: bool) -> Run:
    """Weight decay 0.1, mild enough for the network to learn most of it."""
    optimizer = pynn.SGD(0.05, momentum=0.9, weight_decay=0.1 if sick else 1e-4)
    return Run.of(data.digits(seed), mlp(seed, (64, 48, 48, 10)), optimizer, seed, 12)


@CORPUS.fault(
    "friedman",
    "diverging",
    "not_learning",
    also=("lr_too_high", *BLOWN_UP),
    visible_before=True,
    checks=("gradient check",),
)
def loss_of_wrong_sign(seed: int, sick: bool) -> Run:
    """A custom squared error whose gradient points uphill."""
    sign = np.float32(-2 if sick else 2)

    def loss(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        off = prediction - target
        return float(np.square(off).mean()), sign * off / np.float32(off.size)

    return Run.of(data.friedman(seed), mlp(seed, (10, 32, 1)), pynn.SGD(0.01), seed, 12, 32, loss, metric="r2")


@CORPUS.fault("digits", "lr_too_high", "dead_units", also=(*BLOWN_UP, "lr_too_low"), onset=101)
def spike_in_the_rate(seed: int, sick: bool) -> Run:
    """The rate is 60 for three steps from the 101st on, then as before."""
    callbacks = [At(100, set_rate(60.0)), At(103, set_rate(0.1))] if sick else ()
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.1), seed, 15, callbacks=callbacks)


@CORPUS.fault("clusters", "lr_too_low", "not_learning", also=STALLED)
def clipped_to_nothing(seed: int, sick: bool) -> Run:
    """The gradient's norm is clipped at 0.001."""
    split = tables.clusters(seed, separation=2.0)
    return Run.of(split, mlp(seed, (20, 64, 4)), pynn.SGD(0.1), seed, 12, clip_norm=1e-3 if sick else 10.0)


@CORPUS.fault("clusters", "lr_too_high", "oscillating", "diverging", also=BLOWN_UP)
def adam_half_in_tanh(seed: int, sick: bool) -> Run:
    """Adam with a rate of 0.5: its second step saturates the tanh units."""
    model = mlp(seed, (20, 64, 64, 4), pynn.Tanh, "xavier_normal")
    return Run.of(tables.clusters(seed), model, pynn.Adam(0.5 if sick else 3e-3), seed, 15)


@CORPUS.fault("circles", "underfitting", also=("plateau", "zigzag", "oscillating", "not_learning"))
def linear_on_circles(seed: int, sick: bool) -> Run:
    """A linear classifier for two circles, one within the other."""
    model = mlp(seed, (2, 2), init=None) if sick else mlp(seed, (2, 32, 2))
    return Run.of(tables.circles(seed), model, pynn.Adam(0.01), seed, 30, 32)


@CORPUS.fault("friedman", "regularisation_too_strong", "underfitting", also=(*STALLED, "bad_initial_loss"))
def dropout_85_in_a_regression(seed: int, sick: bool) -> Run:
    """Dropout 0.85 in a narrow regression network, whose outputs jump about."""
    model = mlp(seed, (10, 32, 32, 1), dropout=0.85 if sick else 0.05)
    return Run.of(data.friedman(seed), model, pynn.Adam(3e-3), seed, 20, 32, pynn.MSELoss())
