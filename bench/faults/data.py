"""The data sets of the corpus, split by seed; MNIST and CIFAR-10 come from the folder that PYNN_DATA names."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pynn import datasets


class Split(NamedTuple):
    """Training and validation part."""

    x: np.ndarray
    y: np.ndarray
    xv: np.ndarray
    yv: np.ndarray

    @property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        """The validation part as `Trainer.fit` takes it."""
        return self.xv, self.yv


def available(data: str) -> bool:
    """Return whether a data set is available offline."""
    return data not in ("mnist", "cifar") or bool(os.environ.get("PYNN_DATA"))


def standardized(split: Split, per_feature: bool = False) -> Split:
    """Centre each feature and divide by the standard deviation of all (or of each) in the training part."""
    mean = split.x.mean(axis=0)
    spread = split.x.std(axis=0) + 1e-6 if per_feature else split.x.std()
    return split._replace(x=as_float32((split.x - mean) / spread), xv=as_float32((split.xv - mean) / spread))


def digits_raw(seed: int) -> Split:
    """1437 + 360 digits of 8x8 pixels, 0 to 16."""
    x, xv, y, yv = datasets.train_test_split(*datasets.load_digits(), seed=seed)
    return Split(x, y, xv, yv)


def digits(seed: int) -> Split:
    """The digits, centred and scaled."""
    return standardized(digits_raw(seed))


def mnist_raw(seed: int, n: int = 4000) -> Split:
    """`n` + 1000 handwritten digits of 28x28 pixels, 0 to 255."""
    return _drawn(_mnist(), seed, n)


def mnist(seed: int, n: int = 4000) -> Split:
    """MNIST, centred and scaled."""
    return standardized(mnist_raw(seed, n))


def cifar_raw(seed: int, n: int = 5000) -> Split:
    """`n` + 1000 images of ten kinds of things, averaged to 3x16x16 pixels, 0 to 255."""
    return _drawn(_cifar(), seed, n)


def cifar(seed: int, n: int = 5000) -> Split:
    """CIFAR-10, centred and scaled."""
    return standardized(cifar_raw(seed, n))


def as_images(split: Split, *shape: int) -> Split:
    """Reshape rows to images (channels, height, width)."""
    return split._replace(x=split.x.reshape(-1, *shape), xv=split.xv.reshape(-1, *shape))


def digit_images(seed: int) -> Split:
    """The digits, centred and scaled, as 1x8x8 images."""
    return as_images(digits(seed), 1, 8, 8)


def cifar_images(seed: int, n: int = 3000) -> Split:
    """CIFAR-10 as 3x16x16 images, each channel centred and scaled."""
    return by_channel(as_images(cifar_raw(seed, n), 3, 16, 16))


def by_channel(split: Split) -> Split:
    """Centre and scale each channel by statistics of the training images."""
    mean, spread = (f(split.x, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    return split._replace(x=as_float32((split.x - mean) / spread), xv=as_float32((split.xv - mean) / spread))


def stripes_raw(seed: int) -> Split:
    """900 + 300 images of 3x12x12 pixels, 0 to 255: stripes in four directions, in a colour of any kind, with noise."""
    rng = np.random.default_rng([seed, 9])
    y = rng.integers(0, 4, 1200)
    angle = np.pi * y / 4 + 0.15 * rng.standard_normal(1200)
    rows, columns = np.mgrid[:12, :12]
    across = np.cos(angle)[:, None, None] * rows + np.sin(angle)[:, None, None] * columns
    waves = np.sin(2 * np.pi * across / rng.uniform(3, 6, (1200, 1, 1)) + rng.uniform(0, 2 * np.pi, (1200, 1, 1)))
    colour = rng.dirichlet(np.ones(3), 1200)[:, :, None, None]
    images = 128 + 90 * waves[:, None] * colour + 25 * rng.standard_normal((1200, 3, 12, 12))
    return split_by_seed(as_float32(np.clip(images, 0, 255)), y, seed)


def stripes(seed: int) -> Split:
    """The stripes, each channel centred and scaled."""
    return by_channel(stripes_raw(seed))


def clouds_raw(seed: int) -> Split:
    """1200 + 400 points of five overlapping clouds in 20 dimensions, coordinates of about 10."""
    return split_by_seed(*datasets.blobs(1600, classes=5, features=20, std=7.0, seed=seed), seed)


def clouds(seed: int) -> Split:
    """The clouds, standardised."""
    return standardized(clouds_raw(seed), per_feature=True)


def spiral(seed: int, noise: float = 0.2) -> Split:
    """The lecture's three spiral arms: 900 + 300 points."""
    return split_by_seed(*datasets.spiral(400, 3, noise, seed=seed), seed)


def moons(seed: int) -> Split:
    """Two half moons as yes or no: 900 + 300 points, targets (n, 1)."""
    split = split_by_seed(*datasets.moons(1200, 0.15, seed=seed), seed)
    return standardized(split._replace(y=_column(split.y), yv=_column(split.yv)))


def friedman(seed: int, noise: float = 1.0) -> Split:
    """Friedman's first regression problem: 1200 + 400 rows of 10 numbers; the target standardised, (n, 1)."""
    rng = np.random.default_rng([seed, 1])
    x = rng.random((1600, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = (y - y.mean()) / y.std()
    y = (y + noise * 0.2 * rng.standard_normal(len(y)))[:, None]
    return split_by_seed(as_float32((x - 0.5) * np.sqrt(12)), as_float32(y), seed)


def plane(seed: int, noise: float = 0.3) -> Split:
    """A linear target of 12 inputs: 900 + 300 rows."""
    rng = np.random.default_rng([seed, 2])
    x = rng.standard_normal((1200, 12))
    slope = rng.standard_normal((12, 1))
    y = x @ slope / np.linalg.norm(slope) + noise * rng.standard_normal((1200, 1))
    return split_by_seed(as_float32(x), as_float32(y), seed)


def words(seed: int) -> Split:
    """1500 + 500 short texts on four subjects as counts of 400 words: 97% of the inputs are zero."""
    rng = np.random.default_rng([seed, 3])
    y = rng.integers(0, 4, 2000)
    common = rng.dirichlet(np.full(400, 0.3))
    subject = rng.dirichlet(np.full(400, 0.1), size=4)
    x = np.stack([rng.multinomial(14, 0.4 * common + 0.6 * subject[label]) for label in y])
    return split_by_seed(as_float32(x), y, seed)


def categories(seed: int) -> Split:
    """A table of six columns of categories, one-hot: 1500 + 500 rows of 60 inputs, two classes."""
    rng = np.random.default_rng([seed, 4])
    codes = rng.integers(0, 10, (2000, 6))
    effect = rng.standard_normal((6, 10))
    score = effect[np.arange(6), codes].sum(axis=1)
    y = (score + 0.3 * rng.standard_normal(2000) > 0).astype(np.int64)
    return split_by_seed(as_float32(np.eye(10)[codes].reshape(2000, 60)), y, seed)


def rare(seed: int, ratio: int, shift: float, n: int = 3000) -> Split:
    """Two classes in 10 dimensions, one in `ratio` positive, its centre `shift` standard deviations away; (n, 1)."""
    rng = np.random.default_rng([seed, 5])
    y = (np.arange(n) % (ratio + 1) == 0).astype(np.int64)
    x = rng.standard_normal((n, 10)) + shift / np.sqrt(10) * y[:, None]
    split = split_by_seed(as_float32(x), y, seed)
    return split._replace(y=_column(split.y), yv=_column(split.yv))


def easy(seed: int) -> Split:
    """900 + 300 points of three clouds far apart in 8 dimensions."""
    return split_by_seed(*datasets.blobs(1200, classes=3, features=8, std=1.5, seed=seed), seed)


def overlapping(seed: int) -> Split:
    """1800 + 600 points of five clouds in 6 dimensions, of which about half are separable."""
    rng = np.random.default_rng([seed, 8])
    y = rng.integers(0, 5, 2400)
    centres = 0.42 * rng.standard_normal((5, 6))
    return split_by_seed(as_float32(centres[y] + rng.standard_normal((2400, 6))), y, seed)


def thinned(split: Split, kept: int, every: int) -> Split:
    """Leave only one in `every` examples of the classes from `kept` on, in both parts."""
    chosen = []
    for x, y in ((split.x, split.y), (split.xv, split.yv)):
        rows = (y < kept) | (np.cumsum(y >= kept) % every == 1)
        chosen += [x[rows], y[rows]]
    return Split(*chosen)


def with_label_noise(split: Split, share: float, seed: int, classes: int = 10) -> Split:
    """Replace a share of the training labels by random ones."""
    rng = np.random.default_rng([seed, 6])
    wrong = rng.random(len(split.y)) < share
    return split._replace(y=np.where(wrong, rng.integers(0, classes, len(split.y)), split.y))


def split_by_seed(x: np.ndarray, y: np.ndarray, seed: int) -> Split:
    """Return a quarter of the rows as validation part."""
    x, xv, y, yv = datasets.train_test_split(x, y, test_fraction=0.25, seed=seed)
    return Split(x, y, xv, yv)


def _drawn(parts: tuple[np.ndarray, ...], seed: int, n: int) -> Split:
    x, y, xv, yv = parts
    rng = np.random.default_rng([seed, 7])
    train, held_out = rng.permutation(len(x))[:n], rng.permutation(len(xv))[:1000]
    return Split(as_float32(x[train]), y[train], as_float32(xv[held_out]), yv[held_out])


@lru_cache(maxsize=1)
def _mnist() -> tuple[np.ndarray, ...]:
    (x, y), (xv, yv) = datasets.load_mnist()
    return x.reshape(-1, 784), y, xv.reshape(-1, 784), yv


@lru_cache(maxsize=1)
def _cifar() -> tuple[np.ndarray, ...]:
    (x, y), (xv, yv) = datasets.load_cifar10()
    return _halved(x), y, _halved(xv), yv


def _halved(images: np.ndarray) -> np.ndarray:
    blocks = images.reshape(len(images), 3, 16, 2, 16, 2).astype(np.float32)
    return blocks.mean(axis=(3, 5)).reshape(len(images), 768)


def _column(y: np.ndarray) -> np.ndarray:
    return as_float32(y)[:, None]


def as_float32(x: np.ndarray) -> np.ndarray:
    """Return a contiguous array of float32."""
    return np.ascontiguousarray(x, dtype=np.float32)
