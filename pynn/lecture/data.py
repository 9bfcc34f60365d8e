"""Data sets of the experiments."""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .. import datasets

#: Data sets besides the digits and synthetic data.
LOADERS = {"mnist": datasets.load_mnist, "cifar10": datasets.load_cifar10}
#: Other requirements, and how to install them.
HINTS = {
    "mnist": "needs MNIST in the folder that PYNN_DATA names",
    "cifar10": "needs CIFAR-10 in the folder that PYNN_DATA names",
    "optuna": 'needs Optuna: pip install "pynn-kernels[search]"',
}


class LectureData(NamedTuple):
    """Training and validation examples, centred and scaled by statistics of the training part."""

    x: np.ndarray
    y: np.ndarray
    xv: np.ndarray
    yv: np.ndarray

    @property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        """The validation part as `Trainer.fit` takes it."""
        return self.xv, self.yv


def digits(seed: int) -> LectureData:
    """Return 1437 + 360 handwritten digits of 8x8 pixels; the seed splits them."""
    x, xv, y, yv = datasets.train_test_split(*datasets.load_digits(), seed=seed)
    return _scaled(x, y, xv, yv)


@lru_cache(maxsize=1)
def mnist() -> LectureData:
    """Return MNIST: 60 000 + 10 000 handwritten digits of 28x28 pixels."""
    return _images("mnist")


@lru_cache(maxsize=1)
def cifar10() -> LectureData:
    """Return CIFAR-10: colour images of ten classes, as rows of 3x32x32 pixels."""
    return _images("cifar10")


def is_at_hand(name: str) -> bool:
    """Return whether a data set is in the folder that PYNN_DATA names, or a library is installed."""
    if name not in LOADERS:
        return importlib.util.find_spec(name) is not None
    if not os.environ.get("PYNN_DATA"):
        return False
    try:
        LOADERS[name]()
    except FileNotFoundError:
        return False
    return True


def _images(name: str) -> LectureData:
    (x, y), (xv, yv) = LOADERS[name]()
    return _scaled(x.reshape(len(x), -1), y, xv.reshape(len(xv), -1), yv)


def _scaled(x: np.ndarray, y: np.ndarray, xv: np.ndarray, yv: np.ndarray) -> LectureData:
    # One standard deviation for all pixels: some pixels never vary.
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(dtype=np.float64)
    return LectureData(((x - mean) / spread).astype(np.float32), y, ((xv - mean) / spread).astype(np.float32), yv)
