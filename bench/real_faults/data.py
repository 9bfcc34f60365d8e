"""The data of the cases: generated as published, read from PYNN_DATA, or from the package vega_datasets."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

import numpy as np

from bench.faults.data import Split
from pynn import datasets

#: Rows of the image sets that a case trains on, and that it is validated on.
ROWS, HELD_OUT = 2000, 1000
#: Rows of the generated sets that are for training; the other 300 are for validation.
TRAINING = 700


def blobs() -> Split:
    """Three clouds of points, unscaled, from about -12 to 6."""
    from sklearn.datasets import make_blobs

    return _first(*make_blobs(n_samples=1000, centers=3, cluster_std=2, n_features=2, random_state=2))


def circles() -> Split:
    """Two noisy circles, one within the other; targets (n, 1)."""
    from sklearn.datasets import make_circles

    split = _first(*make_circles(n_samples=1000, noise=0.1, random_state=1))
    return split._replace(y=_floats(split.y)[:, None], yv=_floats(split.yv)[:, None])


def mnist() -> Split:
    """Handwritten digits, 1x28x28, 0 to 255."""
    return _images("mnist", (1, 28, 28))


def cifar() -> Split:
    """Images of ten kinds of things, 3x32x32, 0 to 255."""
    return _images("cifar", (3, 32, 32))


def auto_mpg() -> Split:
    """392 cars, 313 for training: nine columns, three of which are the one-hot origin; the target is miles per gallon.

    Unscaled; targets (n, 1).
    """
    try:
        text = files("vega_datasets").joinpath("_data", "cars.json").read_text()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the cases on cars need their data: pip install vega_datasets") from error
    columns = ("Cylinders", "Displacement", "Horsepower", "Weight_in_lbs", "Acceleration")
    cars = [car for car in json.loads(text) if car["Miles_per_Gallon"] is not None and car["Horsepower"] is not None]
    x = [
        [
            *(car[name] for name in columns),
            int(car["Year"][:4]),
            *(car["Origin"] == o for o in ("USA", "Europe", "Japan")),
        ]
        for car in cars
    ]
    y = [[car["Miles_per_Gallon"]] for car in cars]
    x, xv, y, yv = datasets.train_test_split(_floats(x), _floats(y), test_fraction=0.2, seed=0)
    return Split(x, y, xv, yv)


def spans(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return minimum and range of each column of the training inputs."""
    low = split.x.min(axis=0)
    return low, split.x.max(axis=0) - low


def min_max(split: Split) -> Split:
    """Return inputs and targets scaled to [0, 1] by the training part."""
    low, span = spans(split)
    bottom, height = split.y.min(), np.ptp(split.y)
    return Split(
        _floats((split.x - low) / span),
        _floats((split.y - bottom) / height),
        _floats((split.xv - low) / span),
        _floats((split.yv - bottom) / height),
    )


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return labels as rows of zeros with a one."""
    return _floats(labels[:, None] == np.arange(classes))


def _first(x: np.ndarray, y: np.ndarray) -> Split:
    x, y = _floats(x), y.astype(np.int64)
    return Split(x[:TRAINING], y[:TRAINING], x[TRAINING:], y[TRAINING:])


@lru_cache(maxsize=1)
def _images(name: str, shape: tuple[int, ...]) -> Split:
    (x, y), (xv, yv) = datasets.load_mnist() if name == "mnist" else datasets.load_cifar10()
    rng = np.random.default_rng(0)
    train, held_out = rng.permutation(len(x))[:ROWS], rng.permutation(len(xv))[:HELD_OUT]
    x, xv = x[train].reshape(-1, *shape), xv[held_out].reshape(-1, *shape)
    return Split(_floats(x), y[train].astype(np.int64), _floats(xv), yv[held_out].astype(np.int64))


def _floats(x: object) -> np.ndarray:
    return np.ascontiguousarray(x, dtype=np.float32)
