"""More healthy networks, with other inputs, targets and losses than those of `healthy.py`; each first ran unseen."""

# ruff: noqa: D401 - a docstring here describes the run that is returned.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Corpus, Run
from bench.faults.data import Split, as_float32, split_by_seed
from bench.faults.networks import mlp

CORPUS = Corpus()


def _column(y: np.ndarray) -> np.ndarray:
    return as_float32(y).reshape(-1, 1)


def own_binary_cross_entropy(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the cross-entropy of yes or no from probabilities, clipped as many programs do."""
    p = np.clip(prediction, 1e-7, 1 - 1e-7)
    loss = -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p), dtype=np.float64)
    return float(loss), (p - target) / (p * (1 - p)) / p.size


def own_log_cosh(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean logarithm of the hyperbolic cosine of the error."""
    error = prediction - target
    return float(np.log(np.cosh(error)).mean()), np.tanh(error) / error.size


@CORPUS.control("made", 0.85)
def embedded_words(seed: int) -> Run:
    """Texts of twelve words, a vector for each of 300 words, four subjects."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 4, 3000)
    shares = 0.5 * rng.dirichlet(np.full(300, 0.1), 4) + 0.5 / 300
    words = np.stack([rng.choice(300, 12, p=shares[each]) for each in topic])
    pynn.manual_seed(seed)
    head = [pynn.Flatten(), pynn.Linear(192, 32), pynn.ReLU(), pynn.Linear(32, 4)]
    model = pynn.Sequential(pynn.Embedding(300, 16), *head)
    return Run.of(split_by_seed(words, topic, seed), model, pynn.Adam(3e-3, weight_decay=1e-4), seed, 6)


@CORPUS.control("made", 0.9)
def embedded_columns(seed: int) -> Run:
    """A table of two columns of categories and four of numbers."""
    rng = np.random.default_rng(seed)
    kind, place = rng.integers(0, 12, 2400), rng.integers(0, 40, 2400)
    numbers = rng.standard_normal((2400, 4))
    y = 1.5 * rng.standard_normal(12)[kind] + rng.standard_normal(40)[place]
    y += numbers[:, 0] - numbers[:, 1] * numbers[:, 2] + 0.3 * rng.standard_normal(2400)
    x = as_float32(np.column_stack([kind, place, numbers]))
    pynn.manual_seed(seed)
    embed = pynn.EmbedColumns([12, 40, 0, 0, 0, 0], 4)
    model = pynn.Sequential(embed, pynn.Linear(12, 64), pynn.ReLU(), pynn.Linear(64, 1))
    split = split_by_seed(x, _column(y), seed)
    return Run.of(split, model, pynn.Adam(5e-3), seed, 20, 32, pynn.MSELoss())


@CORPUS.control("digits", 0.7)
def four_questions(seed: int) -> Run:
    """Four questions about a digit, probabilities from sigmoids, a loss of the program's own."""
    split = data.digits(seed)
    questions = np.array([[n % 2 == 0, n > 4, n in (2, 3, 5, 7), n in (0, 6, 8, 9)] for n in range(10)], np.float32)
    split = split._replace(y=questions[split.y], yv=questions[split.yv])
    model = mlp(seed, (64, 64, 4), tail=[pynn.Sigmoid()])
    return Run.of(split, model, pynn.Adam(2e-3), seed, 15, 32, own_binary_cross_entropy, metric="r2")


@CORPUS.control("digits", 0.6)
def denoising_convolutions(seed: int) -> Run:
    """Convolutions down and up again that take noise from images of pixels in [0, 1]."""
    raw = data.digits_raw(seed)
    rng = np.random.default_rng(seed)
    clean = [as_float32(x / 16).reshape(-1, 1, 8, 8) for x in (raw.x, raw.xv)]
    noisy = [as_float32(np.clip(x + 0.2 * rng.standard_normal(x.shape), 0, 1)) for x in clean]
    pynn.manual_seed(seed)
    down = [pynn.Conv2d(1, 16, 3, stride=2, padding=1), pynn.ReLU(), pynn.Conv2d(16, 8, 3, padding=1), pynn.ReLU()]
    up = [pynn.Upsample(scale_factor=2), pynn.Conv2d(8, 1, 3, padding=1), pynn.Sigmoid()]
    split = Split(noisy[0], clean[0], noisy[1], clean[1])
    return Run.of(split, pynn.Sequential(*down, *up), pynn.Adam(3e-3), seed, 15, 32, pynn.MSELoss())


@CORPUS.control("digits", 0.5)
def pixels_as_probabilities(seed: int) -> Run:
    """An autoencoder whose loss takes pixels in [0, 1] for probabilities: it never comes near 0."""
    raw = data.digits_raw(seed)
    x, xv = as_float32(raw.x / 16), as_float32(raw.xv / 16)
    model = mlp(seed, (64, 32, 8, 32, 64), tail=[pynn.Sigmoid()])
    return Run.of(Split(x, x, xv, xv), model, pynn.Adam(2e-3), seed, 40, 32, own_binary_cross_entropy, metric="r2")


@CORPUS.control("made", 0.95)
def one_full_batch(seed: int) -> Run:
    """A sine of one input, 150 examples in each step."""
    rng = np.random.default_rng(seed)
    x = as_float32(rng.uniform(-3, 3, (200, 1)))
    split = split_by_seed(x, as_float32(np.sin(2 * x) + 0.1 * rng.standard_normal(x.shape)), seed)
    return Run.of(split, mlp(seed, (1, 32, 32, 1), pynn.Tanh, None), pynn.Adam(1e-2), seed, 600, 150, pynn.MSELoss())


@CORPUS.control("digits", 0.93)
def strides_instead_of_pooling(seed: int) -> Run:
    """Convolutions with stride 2, leaky ReLU, decoupled decay, a cosine schedule."""
    pynn.manual_seed(seed)
    body = [pynn.Conv2d(1, 16, 3, stride=2, padding=1), pynn.LeakyReLU(0.2)]
    body += [pynn.Conv2d(16, 32, 3, stride=2, padding=1), pynn.BatchNorm2d(32), pynn.LeakyReLU(0.2)]
    model = pynn.Sequential(*body, pynn.Flatten(), pynn.Linear(128, 10))
    optimizer, schedule = pynn.AdamW(2e-3, weight_decay=0.01), pynn.CosineAnnealingLR(12)
    return Run.of(data.digit_images(seed), model, optimizer, seed, 12, 32, schedule=schedule)


@CORPUS.control("digits", 0.93)
def gated_blocks(seed: int) -> Run:
    """Residual blocks of RMS norm and gated linear units."""
    pynn.manual_seed(seed)
    inner = [(pynn.RMSNorm(64), pynn.Linear(64, 128), pynn.GLU(), pynn.Linear(64, 64)) for _ in range(3)]
    blocks = [pynn.Residual(pynn.Sequential(*layers)) for layers in inner]
    model = pynn.Sequential(*blocks, pynn.RMSNorm(64), pynn.Linear(64, 10))
    return Run.of(data.digits(seed), model, pynn.AdamW(1e-3, weight_decay=0.05), seed, 15, 32)


@CORPUS.control("digits", 0.9)
def frozen_body(seed: int) -> Run:
    """Trained on the digits 0 to 4; then the body is frozen, and a new last layer learns all ten."""
    split = data.digits(seed)
    few = split.y < 5
    first, model = mlp(seed, (64, 64, 64, 5)), mlp(seed + 1, (64, 64, 64, 10))
    trainer = pynn.Trainer(first, pynn.CrossEntropyLoss(), pynn.Adam(2e-3), seed=seed)
    trainer.fit(split.x[few], split.y[few], epochs=10, progress=False)
    for ours, theirs in zip(list(model)[:-1], list(first)[:-1], strict=True):
        if isinstance(ours, pynn.Linear) and isinstance(theirs, pynn.Linear):
            ours.weight[...], ours.bias[...] = theirs.weight.data, theirs.bias.data
            ours.freeze()
    return Run.of(split, model, pynn.Adam(3e-3), seed, 20, 32)


@CORPUS.control("rare", 0.8)
def focal_loss(seed: int) -> Run:
    """One positive in 31, and a loss that attends to what is not yet recognised."""
    split = data.rare(seed, 30, 4.0)
    split = split._replace(y=split.y[:, 0].astype(np.int64), yv=split.yv[:, 0].astype(np.int64))
    return Run.of(split, mlp(seed, (10, 32, 2)), pynn.Adam(3e-3), seed, 15, 64, pynn.FocalLoss(), metric="balanced")


@CORPUS.control("digits", 0.93)
def support_vectors(seed: int) -> Run:
    """A linear layer and a margin."""
    optimizer = pynn.SGD(0.05, weight_decay=1e-3)
    return Run.of(data.digits(seed), mlp(seed, (64, 10), init=None), optimizer, seed, 20, 32, pynn.MultiMarginLoss())


@CORPUS.control("made", 0.9)
def next_value(seed: int) -> Run:
    """Convolutions over the last 24 values of a series of two waves."""
    time, rng = np.arange(2000), np.random.default_rng(seed)
    series = as_float32(np.sin(time / 7) + 0.5 * np.sin(time / 31) + 0.1 * rng.standard_normal(2000))
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], 24).copy()[:, None]
    y = series[24:, None]
    pynn.manual_seed(seed)
    body = [pynn.Conv1d(1, 16, 5), pynn.ReLU(), pynn.Conv1d(16, 16, 5), pynn.ReLU(), pynn.Flatten()]
    model = pynn.Sequential(*body, pynn.Linear(256, 1))
    return Run.of(Split(x[:1500], y[:1500], x[1500:], y[1500:]), model, pynn.Adam(1e-3), seed, 10, 32, pynn.MSELoss())


@CORPUS.control("made", 0.95)
def where_the_spot_is(seed: int) -> Run:
    """The two coordinates of a spot in an image."""
    rng, grid = np.random.default_rng(seed), np.mgrid[:12, :12]
    centre = rng.uniform(2, 9, (1200, 2))
    distances = np.square(grid - centre[:, :, None, None]).sum(axis=1)
    x = np.exp(-distances / 6)[:, None]
    split = split_by_seed(as_float32((x - x.mean()) / x.std()), as_float32((centre - 5.5) / 2), seed)
    pynn.manual_seed(seed)
    body = [pynn.Conv2d(1, 16, 3, padding=1), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Conv2d(16, 16, 3, padding=1)]
    model = pynn.Sequential(*body, pynn.ReLU(), pynn.Flatten(), pynn.Linear(576, 2))
    return Run.of(split, model, pynn.Adam(1e-3), seed, 12, 32, pynn.MSELoss())


@CORPUS.control("made", 0.9)
def five_unequal_amounts(seed: int) -> Run:
    """Five targets of sizes from 0.5 to 10."""
    rng = np.random.default_rng(seed)
    x, weights = rng.standard_normal((1600, 8)), rng.standard_normal((8, 5))
    y = np.tanh(x @ weights / 2) * [1, 2, 5, 0.5, 10] + 0.05 * rng.standard_normal((1600, 5))
    split = split_by_seed(as_float32(x), as_float32(y), seed)
    return Run.of(split, mlp(seed, (8, 64, 64, 5)), pynn.Adam(3e-3), seed, 30, 64, pynn.MSELoss())


@CORPUS.control("friedman", 0.75)
def robust_loss_of_ones_own(seed: int) -> Run:
    """A loss of the program's own that is nearly linear far out."""
    model = mlp(seed, (10, 64, 1))
    return Run.of(data.friedman(seed), model, pynn.Adam(3e-3), seed, 20, 32, own_log_cosh, metric="r2")


@CORPUS.control("wine", 0.9)
def rate_in_three_steps(seed: int) -> Run:
    """133 wines; every 20 epochs the rate falls to a tenth."""
    optimizer, schedule = pynn.SGD(0.05, momentum=0.9, weight_decay=1e-3), pynn.StepLR(20, 0.1)
    return Run.of(tables.wine(seed), mlp(seed, (13, 16, 3)), optimizer, seed, 60, 16, schedule=schedule)
