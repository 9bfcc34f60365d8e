"""More of `unseen`: data, batches and augmentation."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import numpy as np

import pynn
from bench.faults import data, tables
from bench.faults.cases import Run
from bench.faults.data import Split, as_float32, split_by_seed
from bench.faults.networks import mlp

from .classics import run, with_inputs
from .unseen import explained, program


@program("validation_scale")
def validation_targets_not_scaled(sick: bool) -> Run:
    """The training targets were standardised, those of validation were not."""
    split = tables.diabetes(0)
    mean, spread = split.y.mean(), split.y.std()
    yv = split.yv if sick else (split.yv - mean) / spread
    split = split._replace(y=(split.y - mean) / spread, yv=yv)
    model = mlp(0, (10, 16, 1), init=None)
    return run(split, model, pynn.Adam(1e-3, weight_decay=1e-2), 30, 16, pynn.MSELoss())


def texts(seed: int = 0) -> Split:
    """Texts of twelve of 500 words on four subjects, as the numbers of the words."""
    rng = np.random.default_rng([seed, 22])
    topic = rng.integers(0, 4, 3200)
    shares = 0.5 * rng.dirichlet(np.full(500, 0.1), 4) + 0.5 / 500
    words = np.stack([rng.choice(500, 12, p=shares[each]) for each in topic])
    return split_by_seed(as_float32(words), topic.astype(np.int64), seed)


@program("unnormalised_inputs")
def word_numbers_as_amounts(sick: bool) -> Run:
    """The numbers of words, 0 to 499, straight into a linear layer instead of an embedding."""
    pynn.manual_seed(0)
    first = [] if sick else [pynn.Embedding(500, 16), pynn.Flatten()]
    model = pynn.Sequential(*first, pynn.Linear(12 if sick else 192, 32), pynn.ReLU(), pynn.Linear(32, 4))
    return run(texts(), model, pynn.Adam(3e-3, weight_decay=1e-4), 6)


@program("validation_scale", "wrong_layout")
def validation_images_transposed(sick: bool) -> Run:
    """Validation images come with rows and columns exchanged."""
    split = data.digit_images(0)
    if sick:
        split = split._replace(xv=as_float32(split.xv.transpose(0, 1, 3, 2)))
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(1, 16, 3, padding=1), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Conv2d(16, 32, 3, padding=1),
        pynn.ReLU(), pynn.Flatten(), pynn.Linear(512, 10),
    )  # fmt: skip
    return run(split, model, pynn.Adam(2e-3), 10)


def keypoints(seed: int = 0) -> Split:
    """Images with one spot; the targets are its two coordinates."""
    rng, grid = np.random.default_rng([seed, 23]), np.mgrid[:12, :12]
    centre = rng.uniform(2, 9, (1200, 2))
    x = np.exp(-np.square(grid - centre[:, :, None, None]).sum(axis=1) / 6)[:, None]
    return split_by_seed(as_float32((x - x.mean()) / x.std()), as_float32((centre - 5.5) / 2), seed)


@program("wrong_augmentation")
def images_flipped_without_their_keypoints(sick: bool) -> Run:
    """Images are flipped at random, the coordinates to be found in them are not."""
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(1, 16, 3, padding=1), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Conv2d(16, 16, 3, padding=1),
        pynn.ReLU(), pynn.Flatten(), pynn.Linear(576, 2),
    )  # fmt: skip
    made = run(keypoints(), model, pynn.Adam(1e-3), 15, 32, pynn.MSELoss())
    made.augment = [pynn.augment.RandomHorizontalFlip()] if sick else []
    return made


@program("unshuffled", "small_batch_norm")
def batches_of_one_class(sick: bool) -> Run:
    """A sampler that fills each batch from one class, before batch norm."""
    split = data.digits(0)
    if sick:
        rng = np.random.default_rng(0)
        groups = [rng.permutation(np.flatnonzero(split.y == label)) for label in range(10)]
        batches = [group[start : start + 32] for group in groups for start in range(0, len(group) - 31, 32)]
        order = np.concatenate([batches[index] for index in rng.permutation(len(batches))])
        split = split._replace(x=split.x[order], y=split.y[order])
    model = mlp(0, (64, 64, 64, 10), norm=0.1)
    return run(split, model, pynn.Adam(2e-3), 12, 32, shuffle=not sick)


@program("validation_scale", score=explained(lambda value: value))
def trend_beyond_training(sick: bool) -> Run:
    """A rising series, split in time: validation has values that training never saw; not differenced."""
    time, rng = np.arange(1400), np.random.default_rng(24)
    series = 0.01 * time + np.sin(time / 6) + 0.1 * rng.standard_normal(len(time))
    if not sick:
        series = series - 0.01 * time
    series = as_float32((series - series[:1000].mean()) / series[:1000].std())
    x, y = np.lib.stride_tricks.sliding_window_view(series[:-1], 16).copy()[:, None], series[16:, None]
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv1d(1, 16, 5), pynn.Tanh(), pynn.Conv1d(16, 16, 5), pynn.Tanh(), pynn.Flatten(), pynn.Linear(128, 1)
    )
    return run(Split(x[:1000], y[:1000], x[1000:], y[1000:]), model, pynn.Adam(2e-3), 20, 32, pynn.MSELoss())


@program("wrong_layout")
def reshaped_instead_of_transposed(sick: bool) -> Run:
    """Images of (height, width, colours) reshaped, not transposed, to (colours, height, width)."""
    split = data.stripes(0)
    if sick:
        split = with_inputs(split, lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape))
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Conv2d(3, 16, 3, padding=1), pynn.GroupNorm(4, 16), pynn.ReLU(), pynn.MaxPool2d(2),
        pynn.Conv2d(16, 32, 3, padding=1), pynn.GroupNorm(4, 32), pynn.ReLU(), pynn.AdaptiveAvgPool2d(1),
        pynn.Flatten(), pynn.Linear(32, 4),
    )  # fmt: skip
    return run(split, model, pynn.Adam(3e-3), 15)
