"""Faults in the learning rate, from the start and during the run."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

import pynn

from . import data
from .cases import BLOWN_UP, STALLED, Corpus, Run
from .networks import At, mlp, set_rate

CORPUS = Corpus()


@CORPUS.fault(
    "digits", "lr_too_high", "diverging", "non_finite", also=BLOWN_UP, visible_before=True, checks=("learning rate",)
)
def rate_100x(seed: int, sick: bool) -> Run:
    """A hundred times the rate that works."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(10.0 if sick else 0.1), seed, 10)


@CORPUS.fault(
    "cifar", "lr_too_high", "diverging", "non_finite", also=BLOWN_UP, visible_before=True, checks=("learning rate",)
)
def rate_100x_cifar(seed: int, sick: bool) -> Run:
    """A hundred times the rate that works, on CIFAR-10 with momentum."""
    optimizer = pynn.SGD(1.0 if sick else 0.01, momentum=0.9)
    return Run.of(data.cifar(seed), mlp(seed, (768, 64, 64, 10)), optimizer, seed, 4)


@CORPUS.fault("digits", "lr_too_high", "oscillating", "diverging", also=BLOWN_UP)
def rate_3x(seed: int, sick: bool) -> Run:
    """Three times the largest rate that works, with momentum."""
    optimizer = pynn.SGD(0.3 if sick else 0.1, momentum=0.9)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 64, 10)), optimizer, seed, 12)


@CORPUS.fault("mnist", "lr_too_high", "oscillating", "diverging", also=BLOWN_UP)
def rate_3x_mnist(seed: int, sick: bool) -> Run:
    """Three times the largest rate that works, on MNIST with Adam."""
    optimizer = pynn.Adam(0.06 if sick else 0.02)
    return Run.of(data.mnist(seed), mlp(seed, (784, 64, 64, 10)), optimizer, seed, 5)


@CORPUS.fault(
    "clouds", "lr_too_high", "oscillating", "diverging", also=BLOWN_UP, visible_before=True, checks=("learning rate",)
)
def adam_rate_1(seed: int, sick: bool) -> Run:
    """Adam with a rate of 1."""
    return Run.of(data.clouds(seed), mlp(seed, (20, 64, 64, 5)), pynn.Adam(1.0 if sick else 1e-2), seed, 15)


@CORPUS.fault(
    "friedman",
    "lr_too_high",
    "diverging",
    "non_finite",
    "exploding_gradient",
    also=BLOWN_UP,
    visible_before=True,
    checks=("learning rate",),
)
def rate_too_high_regression(seed: int, sick: bool) -> Run:
    """Thirty times the rate that works, in a regression."""
    split = data.friedman(seed)
    return Run.of(split, mlp(seed, (10, 64, 64, 1)), pynn.SGD(1.5 if sick else 0.05), seed, 15, 32, loss=pynn.MSELoss())


@CORPUS.fault("digits", "lr_too_low", "not_learning", also=STALLED, visible_before=True, checks=("learning rate",))
def rate_one_millionth(seed: int, sick: bool) -> Run:
    """A rate of 1e-6: a constant was copied from elsewhere."""
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(1e-6 if sick else 0.1), seed, 10)


@CORPUS.fault("clouds", "lr_too_low", also=STALLED)
def rate_somewhat_low(seed: int, sick: bool) -> Run:
    """A hundredth of a good rate: the loss falls, but needs a hundred times as long."""
    return Run.of(data.clouds(seed), mlp(seed, (20, 32, 32, 5)), pynn.SGD(1e-3 if sick else 0.1), seed, 15)


@CORPUS.fault("mnist", "lr_too_low", "not_learning", also=STALLED, visible_before=True, checks=("learning rate",))
def adam_rate_too_low(seed: int, sick: bool) -> Run:
    """Adam with a rate of 1e-7."""
    return Run.of(data.mnist(seed), mlp(seed, (784, 64, 10)), pynn.Adam(1e-7 if sick else 1e-3), seed, 4)


@CORPUS.fault("digits", "lr_too_low", "plateau", also=STALLED, onset=40)
def schedule_by_step(seed: int, sick: bool) -> Run:
    """The rate was to fall tenfold every 20 epochs, and falls every 20 steps."""
    split = data.digits(seed)
    schedule = pynn.StepLR(20, 0.1, by="step" if sick else "epoch")
    return Run.of(split, mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.05), seed, 15, schedule=schedule)


@CORPUS.fault("digits", "plateau", "lr_too_low", also=STALLED, onset=61)
def rate_drops_to_nothing(seed: int, sick: bool) -> Run:
    """After 60 steps the rate falls to 1e-9, long before the end."""
    callbacks = [At(60, set_rate(1e-9))] if sick else ()
    split = data.digits(seed)
    model = mlp(seed, (64, 64, 64, 64, 10), pynn.Tanh, "lecun_normal")
    return Run.of(split, model, pynn.SGD(0.02), seed, 20, callbacks=callbacks)


@CORPUS.fault("cifar", "plateau", "lr_too_low", also=STALLED, onset=51)
def rate_drops_to_nothing_cifar(seed: int, sick: bool) -> Run:
    """After 50 steps on CIFAR-10 the rate falls to 1e-8."""
    callbacks = [At(50, set_rate(1e-8))] if sick else ()
    split = data.cifar(seed)
    return Run.of(split, mlp(seed, (768, 64, 10)), pynn.SGD(0.01, momentum=0.5), seed, 8, 100, callbacks=callbacks)


@CORPUS.fault("digits", "lr_too_high", "diverging", "non_finite", also=BLOWN_UP, onset=151)
def rate_jumps_100x(seed: int, sick: bool) -> Run:
    """After 150 steps the rate jumps a hundredfold by a bug in the schedule."""
    callbacks = [At(150, set_rate(10.0))] if sick else ()
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.1), seed, 15, callbacks=callbacks)


@CORPUS.fault("mnist", "lr_too_high", "diverging", "oscillating", also=BLOWN_UP, onset=101)
def rate_jumps_adam(seed: int, sick: bool) -> Run:
    """After 100 steps Adam's rate jumps from 1e-3 to 0.3."""
    callbacks = [At(100, set_rate(0.3))] if sick else ()
    return Run.of(data.mnist(seed), mlp(seed, (784, 64, 64, 10)), pynn.Adam(1e-3), seed, 5, callbacks=callbacks)


@CORPUS.fault("digits", "oscillating", "lr_too_high", "diverging", also=BLOWN_UP)
def momentum_99(seed: int, sick: bool) -> Run:
    """Momentum 0.99 at a rate for no momentum: the loss oscillates."""
    optimizer = pynn.SGD(0.1, momentum=0.99 if sick else 0.0)
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), optimizer, seed, 12)
