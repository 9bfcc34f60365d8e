"""Programs of well-known tutorials, which learn as they are: no check may fail, no fault be claimed."""

from __future__ import annotations

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Corpus, Run
from bench.faults.data import as_float32, split_by_seed
from bench.faults.networks import mlp

from . import data as images
from .classics import lenet, mnist, raw_table, run, with_inputs, with_targets, xor, yes_or_no

CORPUS = Corpus()


def sparse_cross_entropy(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return Keras's cross-entropy of probabilities and numbers of classes."""
    rows = np.arange(len(target))
    chosen = np.clip(prediction[rows, target], 1e-7, 1)
    gradient = np.zeros_like(prediction)
    gradient[rows, target] = -1 / chosen / len(target)
    return -float(np.log(chosen).mean()), gradient


@CORPUS.control("iris", 0.9)
def iris_of_the_tutorial(seed: int) -> Run:
    """Raw centimetres, 4-8-3, Adam 0.01."""
    return run(raw_table("iris"), mlp(seed, (4, 8, 3), init=None), pynn.Adam(0.01), 100, 5)


@CORPUS.control("wine", 0.9)
def scaled_wine(seed: int) -> Run:
    """13-10-10-3, tanh, a softmax, and the program's own cross-entropy of probabilities."""
    model = mlp(seed, (13, 10, 10, 3), pynn.Tanh, "xavier_uniform", tail=[pynn.Softmax(1)])
    return run(tables.wine(seed), model, pynn.Adam(5e-3), 60, 8, sparse_cross_entropy, metric="accuracy")


@CORPUS.control("digits", 0.9)
def digits_perceptron(seed: int) -> Run:
    """Digits from 0 to 16 divided by 16, scikit-learn's sizes."""
    return run(with_inputs(data.digits_raw(seed), lambda x: x / 16), mlp(seed, (64, 50, 10)), pynn.SGD(0.1), 40)


@CORPUS.control("mnist", 0.88)
def mnist_perceptron(seed: int) -> Run:
    """784-128-10 with dropout 0.2, pixels from 0 to 1, Adam, 5 epochs."""
    return run(mnist(), mlp(seed, (784, 128, 10), init=None, dropout=0.2), pynn.Adam(1e-3), 5)


@CORPUS.control("mnist", 0.9)
def mnist_convolutions(seed: int) -> Run:
    """Two convolutions with pooling, Adam, 4 epochs."""
    return run(mnist(flat=False), lenet(), pynn.Adam(1e-3), 4)


@CORPUS.control("diabetes", 0.35)
def diabetes_progression(seed: int) -> Run:
    """Standardised targets, 10-32-1."""
    split = with_targets(tables.diabetes(seed), lambda y: (y - 152) / 77)
    model = mlp(seed, (10, 32, 1), init=None)
    return run(split, model, pynn.Adam(1e-3, weight_decay=1e-2), 30, 16, pynn.MSELoss())


@CORPUS.control("houses", 0.7)
def house_prices(seed: int) -> Run:
    """13-64-64-1 of the book by Chollet: RMSprop, absolute prices."""
    return run(tables.houses(seed), mlp(seed, (6, 64, 64, 1), init=None), pynn.RMSprop(1e-3), 20, 16, pynn.MSELoss())


@CORPUS.control("cancer", 0.93)
def tumours(seed: int) -> Run:
    """30-16-8-1 with a binary cross-entropy."""
    model = mlp(seed, (30, 16, 8, 1), init=None)
    return run(
        yes_or_no(tables.cancer(seed)), model, pynn.Adam(1e-3), 30, 16, pynn.BCEWithLogitsLoss(), metric="accuracy"
    )


@CORPUS.control("made", 0.7)
def pima_like(seed: int) -> Run:
    """12-8-1 for eight measurements of which some tell, as of Pima's patients: three in four are right at best."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((768, 8))
    odds = 1.2 * x[:, 1] + 0.7 * x[:, 5] + 0.4 * x[:, 7] - 0.8
    y = (rng.random(768) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    split = split_by_seed(as_float32(x), as_float32(y[:, None]), seed)
    model = mlp(seed, (8, 12, 8, 1), init=None)
    return run(split, model, pynn.Adam(1e-3), 60, 10, pynn.BCEWithLogitsLoss(), metric="accuracy")


@CORPUS.control("made", 0.95)
def noisy_sine(seed: int) -> Run:
    """One period of a sine with noise, 1-32-32-1, tanh."""
    x = np.random.default_rng(seed).uniform(-np.pi, np.pi, (600, 1))
    y = np.sin(x) + 0.1 * np.random.default_rng(seed + 1).standard_normal(x.shape)
    split = split_by_seed(as_float32(x), as_float32(y), seed)
    return run(split, mlp(seed, (1, 32, 32, 1), pynn.Tanh, "xavier_normal"), pynn.Adam(5e-3), 60, 32, pynn.MSELoss())


@CORPUS.control("spiral", 0.9)
def spirals(seed: int) -> Run:
    """CS231n's spirals, 2-100-3, SGD 1 on all examples, with its L2 penalty."""
    model = mlp(seed, (2, 100, 3), init=None)
    return run(data.spiral(seed), model, pynn.SGD(0.5), 600, 900, regularizers=[pynn.L2(1e-3)])


@CORPUS.control("moons", 0.93)
def half_moons(seed: int) -> Run:
    """2-16-1, SGD with momentum."""
    model = mlp(seed, (2, 16, 1), init=None)
    optimizer = pynn.SGD(0.1, momentum=0.9)
    return run(data.moons(seed), model, optimizer, 40, 32, pynn.BCEWithLogitsLoss(), metric="accuracy")


@CORPUS.control("made", 1.0)
def xor_that_learns(seed: int) -> Run:
    """XOR, 2-8-1, tanh, Adam, 300 steps of all four rows."""
    model = mlp(seed, (2, 8, 1), pynn.Tanh, None)
    return run(xor(), model, pynn.Adam(0.05), 300, 4, pynn.BCEWithLogitsLoss(), metric="accuracy")


@CORPUS.control("mnist", 0.5)
def mnist_autoencoder(seed: int) -> Run:
    """784-64-784 of Keras's blog: sigmoid output, binary cross-entropy of pixels."""
    split = mnist()
    split = split._replace(y=split.x, yv=split.xv)
    model = mlp(seed, (784, 64, 784), init=None, tail=[pynn.Sigmoid()])
    return run(split, model, pynn.Adam(2e-3), 12, 64, pynn.MSELoss(), metric="r2")


@CORPUS.control("cifar", 0.35)
def small_cifar_convolutions(seed: int) -> Run:
    """PyTorch's tutorial: 3-6-16 convolutions of 5x5, 120-84-10, on 2000 images."""
    pynn.manual_seed(seed)
    model = pynn.Sequential(
        pynn.Conv2d(3, 16, 5), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Conv2d(16, 32, 5), pynn.ReLU(), pynn.MaxPool2d(2),
        pynn.Flatten(), pynn.Linear(800, 120), pynn.ReLU(), pynn.Linear(120, 84), pynn.ReLU(), pynn.Linear(84, 10),
    )  # fmt: skip
    split = with_inputs(images.cifar(), lambda x: x / 127.5 - 1)
    return run(split, model, pynn.SGD(0.01, momentum=0.9), 6, 16)


@CORPUS.control("words", 0.8)
def bag_of_words(seed: int) -> Run:
    """Whether a word occurs, 400-16-16-4, RMSprop."""
    split = with_inputs(data.words(seed), lambda x: x > 0)
    return run(split, mlp(seed, (400, 16, 16, 4), init=None), pynn.RMSprop(1e-3), 10, 32)


@CORPUS.control("made", 0.85)
def one_pass_over_much(seed: int) -> Run:
    """40,000 rows once, batches of 64."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((50_000, 16)).astype(np.float32)
    y = (np.tanh(x[:, :8] @ rng.standard_normal((8, 4))) @ rng.standard_normal((4, 3))).argmax(axis=1)
    return run(split_by_seed(x, y, seed), mlp(seed, (16, 64, 64, 3)), pynn.Adam(2e-3), 1, 64)
