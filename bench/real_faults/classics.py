"""Faulty programs that people ask about again and again, written down from memory, each with its healthy twin.

They are the kinds that Stack Overflow's questions, UMLAUT, NeuraLint, DeepLocalize, DeepFD and GRIST collect. The
documented cause, a tag of `accepted.ACCEPTED`, was settled before preflight and monitor saw the program.
"""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Run
from bench.faults.data import Split
from bench.faults.networks import mlp

from . import data as own_data
from .own_code import log_of_clipped
from .programs import Programs

PROGRAMS = Programs()
program = PROGRAMS.program


def run(
    split: Split,
    model: pynn.Sequential,
    optimizer: pynn.Optimizer,
    epochs: int,
    batch: int = 32,
    loss: Any = None,
    **settings: Any,
) -> Run:
    """Return a run with seed 0."""
    return Run.of(split, model, optimizer, 0, epochs, batch, loss, **settings)


def with_targets(split: Split, change: Callable[[np.ndarray], np.ndarray]) -> Split:
    """Return the split with changed targets."""
    return split._replace(y=change(split.y), yv=change(split.yv))


def with_inputs(split: Split, change: Callable[[np.ndarray], np.ndarray]) -> Split:
    """Return the split with changed inputs."""
    return split._replace(x=data.as_float32(change(split.x)), xv=data.as_float32(change(split.xv)))


def mnist(scale: float = 1 / 255, flat: bool = True) -> Split:
    """MNIST's images times `scale`."""
    split = own_data.mnist()
    return with_inputs(split, lambda x: (x.reshape(len(x), -1) if flat else x) * np.float32(scale))


def lenet(tail: Sequence[pynn.Layer] = (), activation: Callable[[], pynn.Layer] = pynn.ReLU) -> pynn.Sequential:
    """Two convolutions with pooling and two linear layers, as in tutorials on MNIST."""
    pynn.manual_seed(0)
    return pynn.Sequential(
        pynn.Conv2d(1, 16, 3), activation(), pynn.MaxPool2d(2), pynn.Conv2d(16, 32, 3), activation(),
        pynn.MaxPool2d(2), pynn.Flatten(), pynn.Linear(800, 64), activation(), pynn.Linear(64, 10), *tail,
    )  # fmt: skip


def raw_table(name: str) -> Split:
    """A table of scikit-learn as it comes; a target of amounts is (n, 1)."""
    from sklearn import datasets

    table = getattr(datasets, f"load_{name}")()
    amounts = name == "diabetes"
    y = data.as_float32(table.target[:, None]) if amounts else table.target.astype(np.int64)
    return data.split_by_seed(data.as_float32(table.data), y, 0)


def yes_or_no(split: Split) -> Split:
    """Labels 0 and 1 as floats, (n, 1)."""
    return with_targets(split, lambda y: data.as_float32(y[:, None]))


def one_hot(split: Split, classes: int) -> Split:
    """Labels as one-hot rows; validation labels stay as they are scored."""
    return with_targets(split, lambda y: own_data.one_hot(y, classes))


def xor() -> Split:
    """The four rows of XOR, (4, 1) targets, also for validation."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([[0], [1], [1], [0]], np.float32)
    return Split(x, y, x, y)


def binary_cross_entropy(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return Keras's binary cross-entropy, which takes probabilities."""
    p = np.clip(prediction, 1e-7, 1 - 1e-7)
    loss = -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p), dtype=np.float64)
    inside = (prediction > 1e-7) & (prediction < 1 - 1e-7)
    return float(loss), np.where(inside, (p - target) / (p * (1 - p)), 0).astype(prediction.dtype) / p.size


# Outputs, losses and targets.


@program("softmax_single_unit", threshold=0.5)
def softmax_of_one_unit(sick: bool) -> Run:
    """Yes or no from one unit with a softmax, binary cross-entropy."""
    tail = [pynn.Softmax(1) if sick else pynn.Sigmoid()]
    return run(
        yes_or_no(tables.cancer(0)), mlp(0, (30, 16, 1), init=None, tail=tail), pynn.Adam(1e-3), 30, 32,
        binary_cross_entropy, metric="accuracy",
    )  # fmt: skip


@program("labels_out_of_range")
def labels_from_one(sick: bool) -> Run:
    """Classes numbered 1 to 3 for three outputs."""
    split = with_targets(tables.iris(0), lambda y: y + sick)
    return run(split, mlp(0, (4, 16, 3), init=None), pynn.Adam(1e-2), 40, 16)


@program("wrong_loss", images=True)
def squared_error_of_softmax(sick: bool) -> Run:
    """A softmax and one-hot classes with a mean squared error, SGD 0.01."""
    if sick:
        model = mlp(0, (784, 64, 10), init=None, tail=[pynn.Softmax(1)])
        return run(one_hot(mnist(), 10), model, pynn.SGD(0.01), 10, 32, pynn.MSELoss(), metric="accuracy")
    return run(mnist(), mlp(0, (784, 64, 10), init=None), pynn.SGD(0.01, momentum=0.9), 10)


@program("wrong_loss", images=True)
def absolute_error_of_softmax(sick: bool) -> Run:
    """A softmax and one-hot classes with a mean absolute error, Adam."""
    if sick:
        model = mlp(0, (784, 64, 10), init=None, tail=[pynn.Softmax(1)])
        return run(one_hot(mnist(), 10), model, pynn.Adam(1e-3), 5, 32, pynn.L1Loss(), metric="accuracy")
    return run(mnist(), mlp(0, (784, 64, 10), init=None), pynn.Adam(1e-3), 5)


@program("wrong_output_activation")
def tanh_for_large_targets(sick: bool) -> Run:
    """Targets of about 15 from a tanh."""
    split = with_targets(data.friedman(0), lambda y: 5 * y + 15)
    tail = [pynn.Tanh()] if sick else []
    return run(split, mlp(0, (10, 64, 1), init=None, tail=tail), pynn.Adam(3e-3), 40, 32, pynn.MSELoss())


@program("wrong_output_activation")
def houses_from_a_sigmoid(sick: bool) -> Run:
    """House prices in 100,000 dollars from a sigmoid."""
    tail = [pynn.Sigmoid()] if sick else []
    return run(tables.houses(0), mlp(0, (6, 32, 1), init=None, tail=tail), pynn.Adam(3e-3), 20, 32, pynn.MSELoss())


@program("wrong_output_activation")
def rectified_regression(sick: bool) -> Run:
    """A ReLU after the last layer, standardised targets: half of them are negative."""
    tail = [pynn.ReLU()] if sick else []
    return run(data.friedman(0), mlp(0, (10, 64, 1), init=None, tail=tail), pynn.Adam(3e-3), 40, 32, pynn.MSELoss())


@program("wrong_output_activation")
def sigmoid_decoder(sick: bool) -> Run:
    """An autoencoder that ends in a sigmoid, of pixels in [-1, 1]."""
    split = with_inputs(data.digits_raw(0), lambda x: x / 8 - 1)
    split = split._replace(y=split.x, yv=split.xv)
    tail = [pynn.Sigmoid() if sick else pynn.Tanh()]
    return run(split, mlp(0, (64, 32, 16, 32, 64), init=None, tail=tail), pynn.Adam(2e-3), 40, 32, pynn.MSELoss())


@program("redundant_softmax", images=True)
def two_softmaxes(sick: bool) -> Run:
    """A softmax layer before PyTorch's cross-entropy, on the usual small CNN."""
    return run(mnist(flat=False), lenet([pynn.Softmax(1)] if sick else []), pynn.SGD(0.01, momentum=0.9), 5)


@program("redundant_softmax", "wrong_output_activation")
def two_sigmoids(sick: bool) -> Run:
    """A sigmoid layer before the binary cross-entropy that takes logits."""
    tail = [pynn.Sigmoid()] if sick else []
    model = mlp(0, (2, 16, 1), init=None, tail=tail)
    return run(data.moons(0), model, pynn.Adam(3e-3), 30, 32, pynn.BCEWithLogitsLoss(), metric="accuracy")


@program("wrong_output_activation", images=True)
def rectified_logits(sick: bool) -> Run:
    """A ReLU after the last layer, then cross-entropy; SGD 0.1."""
    return run(mnist(), mlp(0, (784, 64, 10), init=None, tail=[pynn.ReLU()] if sick else []), pynn.SGD(0.1), 6)


@program("wrong_loss")
def classes_for_amounts(sick: bool) -> Run:
    """The binary cross-entropy for house prices."""
    loss = pynn.BCEWithLogitsLoss() if sick else pynn.MSELoss()
    return run(tables.houses(0), mlp(0, (6, 32, 1), init=None), pynn.Adam(3e-3), 20, 32, loss, metric="r2")


@program("wrong_loss", "wrong_output_activation", threshold=0.5)
def tanh_with_binary_cross_entropy(sick: bool) -> Run:
    """A tanh, between -1 and 1, before a binary cross-entropy that takes probabilities."""
    tail = [pynn.Tanh() if sick else pynn.Sigmoid()]
    split = with_inputs(yes_or_no(raw_table("breast_cancer")), lambda x: x / 100)
    return run(
        split, mlp(0, (30, 16, 1), init=None, tail=tail), pynn.SGD(0.01), 40, 16, binary_cross_entropy,
        metric="accuracy",
    )  # fmt: skip


@program("wrong_loss", "wrong_output_activation", images=True)
def logarithm_of_logits(sick: bool) -> Run:
    """The logarithm of outputs without a softmax, clipped from 1e-7."""
    tail = [] if sick else [pynn.Softmax(1)]
    model = mlp(0, (784, 64, 10), init=None, tail=tail)
    return run(one_hot(mnist(), 10), model, pynn.Adam(1e-3), 6, 32, log_of_clipped(1e-7), metric="accuracy")


@program("numerical", images=True)
def logarithm_of_zero(sick: bool) -> Run:
    """A softmax and -sum(y log p) without a clip, at a rate at which some p become 0."""
    model = mlp(0, (784, 64, 10), tail=[pynn.Softmax(1)])
    return run(one_hot(mnist(1.0 if sick else 1 / 255), 10), model, pynn.SGD(0.01), 6, 32, plain_log, metric="accuracy")


def plain_log(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return -sum(y log p) as written in a textbook: 0 times the logarithm of 0 is not a number."""
    with np.errstate(all="ignore"):
        loss = -float((target * np.log(prediction)).sum(axis=1).mean())
        return loss, (-target / prediction / len(target)).astype(prediction.dtype)


@program("flipped_gradient", images=True)
def sign_of_the_loss(sick: bool) -> Run:
    """A cross-entropy of the program's own that lost its minus."""
    model = mlp(0, (784, 64, 10), init=None, tail=[pynn.Softmax(1)])
    right = log_of_clipped(1e-7)

    def loss(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = right(prediction, target)
        return (-value, -gradient) if sick else (value, gradient)

    return run(one_hot(mnist(), 10), model, pynn.Adam(1e-3), 6, 32, loss, metric="accuracy")


@program("unscaled_targets", "wrong_loss_reduction")
def raw_targets_with_momentum(sick: bool) -> Run:
    """Diabetes, targets from 25 to 346 as they come, SGD 0.01 with momentum."""
    split = tables.diabetes(0)
    if not sick:
        split = with_targets(split, lambda y: (y - 152) / 77)
    return run(split, mlp(0, (10, 32, 1), init=None), pynn.SGD(0.01, momentum=0.9), 30, 32, pynn.MSELoss())


@program("wrong_loss_reduction")
def summed_squares(sick: bool) -> Run:
    """Squared errors summed over batches of 64, SGD 0.05."""
    loss = pynn.MSELoss(reduction="sum" if sick else "mean")
    return run(data.friedman(0), mlp(0, (10, 64, 1), init=None), pynn.SGD(0.05), 30, 64, loss)


@program("frozen")
def everything_frozen(sick: bool) -> Run:
    """All layers frozen, the last one too."""
    model = mlp(0, (64, 64, 10))
    if sick:
        for layer in model:
            layer.freeze()
    return run(data.digits(0), model, pynn.Adam(1e-3), 10)


@program("dropout_at_the_end", "over_regularisation")
def dropout_at_the_end(sick: bool) -> Run:
    """Dropout 0.5 after the last layer."""
    return run(data.digits(0), mlp(0, (64, 64, 10), tail=[pynn.Dropout(0.5)] if sick else []), pynn.Adam(1e-3), 15)
