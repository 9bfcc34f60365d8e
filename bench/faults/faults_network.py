"""Faults in the network and the loss: wrong activations, custom layers and losses, too little capacity."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

import numpy as np

import pynn

from . import data
from .cases import BLOWN_UP, NATURAL, STALLED, Corpus, Run
from .networks import (
    CentreRows,
    Residual,
    Softmax,
    Swish,
    UnitRows,
    mlp,
    naive_binary_cross_entropy,
    naive_cross_entropy,
    scaled,
)

CORPUS = Corpus()
SUMMED = (*BLOWN_UP, "lr_too_high")


@CORPUS.fault("digits", "vanishing_gradient", also=("lr_too_low", "bad_initialisation", *STALLED), visible_before=True)
def sigmoid_stack_10(seed: int, sick: bool) -> Run:
    """Ten sigmoid layers: almost no gradient reaches the first."""
    act, init = (pynn.Sigmoid, "xavier_normal") if sick else (pynn.ReLU, "he_normal")
    return Run.of(data.digits(seed), mlp(seed, (64, *[64] * 10, 10), act, init), pynn.SGD(0.01, momentum=0.9), seed, 12)


@CORPUS.fault("cifar", "vanishing_gradient", also=("lr_too_low", "bad_initialisation", *STALLED), visible_before=True)
def sigmoid_stack_8_cifar(seed: int, sick: bool) -> Run:
    """Eight sigmoid layers on CIFAR-10."""
    act, init = (pynn.Sigmoid, "xavier_normal") if sick else (pynn.ReLU, "he_normal")
    return Run.of(data.cifar(seed), mlp(seed, (768, *[64] * 8, 10), act, init), pynn.SGD(0.02, momentum=0.9), seed, 5)


@CORPUS.fault("digits", "zigzag", "vanishing_gradient", also=("lr_too_low", "bad_initialisation", *STALLED))
def sigmoid_zigzag(seed: int, sick: bool) -> Run:
    """Three sigmoid layers, whose outputs are all positive: the loss stalls while the weights zig-zag."""
    model = mlp(seed, (64, 64, 64, 64, 10), pynn.Sigmoid if sick else pynn.Tanh, None if sick else "lecun_normal")
    return Run.of(data.digits(seed), model, pynn.SGD(0.1), seed, 12)


@CORPUS.fault(
    "digits",
    "underfitting",
    "plateau",
    "not_learning",
    also=("vanishing_gradient", "lr_too_low", "zigzag"),
    visible_before=True,
    checks=("network output",),
)
def softmax_twice(seed: int, sick: bool) -> Run:
    """A softmax layer before a loss that includes one."""
    model = mlp(seed, (64, 64, 10), tail=[Softmax()] if sick else [])
    return Run.of(data.digits(seed), model, pynn.SGD(0.1), seed, 12)


@CORPUS.fault(
    "digits",
    "bad_initial_loss",
    "lr_too_high",
    "diverging",
    also=SUMMED,
    visible_before=True,
    checks=("loss reduction",),
)
def loss_summed(seed: int, sick: bool) -> Run:
    """The loss is the sum over the batch, at a rate meant for the mean."""
    loss = pynn.CrossEntropyLoss(reduction="sum" if sick else "mean")
    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.1), seed, 10, loss=loss)


@CORPUS.fault(
    "mnist",
    "bad_initial_loss",
    "lr_too_high",
    "diverging",
    also=SUMMED,
    visible_before=True,
    checks=("loss reduction",),
)
def own_loss_summed(seed: int, sick: bool) -> Run:
    """A custom cross-entropy that does not divide by the batch size."""
    loss = naive_cross_entropy((lambda n: 1.0) if sick else (lambda n: 1 / n), 1e-12)
    return Run.of(data.mnist(seed), mlp(seed, (784, 64, 64, 10)), pynn.SGD(0.05, momentum=0.5), seed, 4, loss=loss)


@CORPUS.fault(
    "friedman",
    "bad_initial_loss",
    "exploding_gradient",
    "lr_too_high",
    "diverging",
    "non_finite",
    also=SUMMED,
    visible_before=True,
    checks=("loss reduction",),
)
def squared_error_summed(seed: int, sick: bool) -> Run:
    """The squared error is summed over the batch."""
    split = data.friedman(seed)
    loss = pynn.MSELoss(reduction="sum" if sick else "mean")
    return Run.of(split, mlp(seed, (10, 64, 64, 1)), pynn.SGD(0.05), seed, 15, loss=loss)


@CORPUS.fault(
    "digits",
    "exploding_gradient",
    "bad_initialisation",
    "bad_initial_loss",
    also=("lr_too_high", *BLOWN_UP),
    visible_before=True,
)
def residual_without_scale(seed: int, sick: bool) -> Run:
    """Twenty custom residual layers, x + relu(x) W, whose branches were never scaled down."""
    pynn.manual_seed(seed)
    blocks = [Residual(64, 1.0 if sick else 0.05) for _ in range(20)]
    model = pynn.Sequential(pynn.Linear(64, 64, init="he_normal"), *blocks, pynn.Linear(64, 10))
    return Run.of(data.digits(seed), model, pynn.SGD(0.02), seed, 8)


@CORPUS.fault(
    "digits",
    "diverging",
    "not_learning",
    also=("plateau", "oscillating", "exploding_gradient", "underfitting"),
    visible_before=True,
    checks=("gradient check",),
)
def backward_of_wrong_sign(seed: int, sick: bool) -> Run:
    """A custom activation whose gradient has the wrong sign: earlier layers ascend."""
    pynn.manual_seed(seed)
    act = [Swish(-1.0 if sick else 1.0) for _ in range(2)]
    sizes = [(64, 64), (64, 64), (64, 10)]
    first, second, last = (pynn.Linear(*size, init="he_normal") for size in sizes)
    model = pynn.Sequential(first, act[0], second, act[1], last)
    return Run.of(data.digits(seed), model, pynn.SGD(0.2), seed, 10)


@CORPUS.fault("digits", visible_before=True, visible_during=False, checks=("batch independence",))
def leak_across_the_batch(seed: int, sick: bool) -> Run:
    """A custom layer takes the mean over the batch instead of over the example."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(
        pynn.Linear(64, 64, init="he_normal"), CentreRows(0 if sick else 1), pynn.ReLU(), pynn.Linear(64, 10)
    )
    return Run.of(data.digits(seed), model, pynn.SGD(0.1), seed, 6)


@CORPUS.fault("digits", "non_finite", onset=NATURAL)
def row_norm_without_epsilon(seed: int, sick: bool) -> Run:
    """A custom layer divides each row by its length, which is 0 where no ReLU unit is active."""
    pynn.manual_seed(seed)
    first, last = pynn.Linear(64, 9, init="he_normal"), pynn.Linear(9, 10, init=scaled("he_normal", 2.0))
    model = pynn.Sequential(first, pynn.ReLU(), UnitRows(0.0 if sick else 0.1), last)
    return Run.of(data.digits(seed), model, pynn.SGD(0.3), seed, 20)


@CORPUS.fault("spiral", "underfitting", also=("plateau", "zigzag", "oscillating"))
def linear_on_spirals(seed: int, sick: bool) -> Run:
    """A linear classifier on the lecture's spirals."""
    split = data.standardized(data.spiral(seed))
    model = mlp(seed, (2, 3), init=None) if sick else mlp(seed, (2, 100, 3))
    return Run.of(split, model, pynn.SGD(0.1, momentum=0.9), seed, 40)


@CORPUS.fault(
    "spiral", "underfitting", also=("plateau", "zigzag", "oscillating"), visible_before=True, checks=("non-linearity",)
)
def activations_forgotten(seed: int, sick: bool) -> Run:
    """Three linear layers and no activation between them."""
    split = data.standardized(data.spiral(seed))
    model = mlp(seed, (2, 64, 64, 3), None if sick else pynn.ReLU, None)
    return Run.of(split, model, pynn.Adam(3e-3), seed, 40)


@CORPUS.fault("mnist", "underfitting", also=("plateau", "zigzag", "oscillating", "saturated_units"))
def bottleneck_of_two(seed: int, sick: bool) -> Run:
    """A hidden layer of two units where thirty are needed."""
    model = mlp(seed, (784, 2 if sick else 32, 10), pynn.Tanh, "lecun_normal")
    return Run.of(data.mnist(seed), model, pynn.SGD(0.1, momentum=0.9), seed, 8)


@CORPUS.fault("digits", "underfitting", also=("plateau", "zigzag", "oscillating", "saturated_units"))
def bottleneck_of_one(seed: int, sick: bool) -> Run:
    """A layer of a single unit in the middle."""
    model = mlp(seed, (64, 32, 1 if sick else 32, 10), pynn.Tanh, "lecun_normal")
    return Run.of(data.digits(seed), model, pynn.SGD(0.1, momentum=0.9), seed, 20)


@CORPUS.fault("friedman", "underfitting", also=("plateau",))
def regression_too_small(seed: int, sick: bool) -> Run:
    """A single ReLU unit for a curved surface."""
    split = data.friedman(seed)
    model = mlp(seed, (10, 1 if sick else 32, 1), pynn.Tanh, "lecun_normal")
    return Run.of(split, model, pynn.Adam(0.01), seed, 30, loss=pynn.MSELoss())


@CORPUS.fault("digits", "non_finite", onset=121)
def nan_in_a_batch(seed: int, sick: bool) -> Run:
    """In a custom loop, one broken example at step 121 holds a NaN."""

    def feed(step: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if sick and step == 121:
            x = x.copy()
            x[5, 7] = np.nan
        return x, y

    return Run.of(data.digits(seed), mlp(seed, (64, 64, 10)), pynn.SGD(0.1), seed, 10, feed=feed)


@CORPUS.fault("mnist", "non_finite", onset=NATURAL)
def log_of_zero(seed: int, sick: bool) -> Run:
    """A custom loss takes log(1 - p), and p rounds to 1 once the network is sure."""
    split = data.mnist(seed)
    split = split._replace(y=(split.y == 0).astype(np.float32)[:, None], yv=(split.yv == 0).astype(np.float32)[:, None])
    loss = naive_binary_cross_entropy if sick else pynn.BCEWithLogitsLoss()
    return Run.of(split, mlp(seed, (784, 64, 1)), pynn.SGD(0.1, momentum=0.9), seed, 8, loss=loss)


@CORPUS.fault(
    "digits",
    "input_not_normalised",
    "exploding_gradient",
    "diverging",
    "non_finite",
    also=("lr_too_high", *BLOWN_UP),
    onset=121,
)
def augmentation_returns_raw(seed: int, sick: bool) -> Run:
    """From step 121 on, the augmentation of a custom loop returns pixels from 0 to 255."""

    def feed(step: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (x * np.float32(40) + np.float32(80) if sick and step > 120 else x), y

    return Run.of(data.digits(seed), mlp(seed, (64, 64, 64, 10)), pynn.SGD(0.1), seed, 12, feed=feed)
