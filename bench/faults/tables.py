"""More data sets of the corpus: scikit-learn's small tables, and generated ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from .data import Split, as_float32, split_by_seed, standardized


def iris(seed: int) -> Split:
    """112 + 38 flowers of three kinds by 4 measurements, standardised."""
    return _table("iris", seed)


def wine(seed: int) -> Split:
    """133 + 45 wines of three kinds by 13 measurements, standardised."""
    return _table("wine", seed)


def cancer(seed: int) -> Split:
    """426 + 143 tumours by 30 measurements, standardised; two classes."""
    return _table("breast_cancer", seed)


def diabetes(seed: int) -> Split:
    """331 + 111 patients by 10 measurements, standardised; the targets as they come, 25 to 346, (n, 1)."""
    return _table("diabetes", seed)


def clusters(seed: int, n: int = 2400, classes: int = 4, separation: float = 1.5) -> Split:
    """Classes of two clusters each in 20 dimensions, six of which tell."""
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n, 20, n_informative=6, n_classes=classes, class_sep=separation, random_state=seed
    )  # fmt: skip
    return _standardized(x, y, seed)


def circles(seed: int) -> Split:
    """900 + 300 points on two circles, one within the other."""
    from sklearn.datasets import make_circles

    x, y = make_circles(1200, noise=0.1, factor=0.5, random_state=seed)
    return _standardized(x, y, seed)


def parity(seed: int) -> Split:
    """1125 + 375 rows of eight signs; the class is the product of the first four."""
    rng = np.random.default_rng([seed, 9])
    x = rng.choice([-1.0, 1.0], (1500, 8))
    return split_by_seed(as_float32(x), (x[:, :4].prod(axis=1) > 0).astype(np.int64), seed)


def many_classes(seed: int) -> Split:
    """2700 + 900 points of 60 clouds in 24 dimensions."""
    rng = np.random.default_rng([seed, 10])
    y = rng.integers(0, 60, 3600)
    return _standardized(rng.standard_normal((60, 24))[y] + 0.8 * rng.standard_normal((3600, 24)), y, seed)


def faint(seed: int) -> Split:
    """3750 + 1250 rows of 8 numbers; a ninth of the target's variance is in them, the rest is noise."""
    rng = np.random.default_rng([seed, 11])
    x = rng.standard_normal((5000, 8))
    return split_by_seed(as_float32(x), as_float32(0.35 * x[:, :1] + rng.standard_normal((5000, 1))), seed)


def majority(seed: int) -> Split:
    """1500 + 500 rows of 8 numbers, which tell a class of 30% from one of 70% with an area under the curve of 0.66."""
    rng = np.random.default_rng([seed, 14])
    y = (rng.random(2000) < 0.3).astype(np.int64)
    x = rng.standard_normal((2000, 8)) + 0.58 * y[:, None] / np.sqrt(8)
    return split_by_seed(as_float32(x), y, seed)


def outliers(seed: int) -> Split:
    """1500 + 500 rows of a regression with noise of Student's kind, whose largest values are far out."""
    rng = np.random.default_rng([seed, 12])
    x = rng.standard_normal((2000, 10))
    y = np.tanh(x @ rng.standard_normal((10, 1)) / 3) + 0.25 * rng.standard_t(2.5, (2000, 1))
    return split_by_seed(as_float32(x), as_float32(y), seed)


def houses(seed: int) -> Split:
    """1800 + 600 houses by six skewed features, standardised; the target of about 2, (n, 1)."""
    rng = np.random.default_rng([seed, 13])
    n = 2400
    income, age, rooms = rng.gamma(3, 1.3, n), rng.uniform(1, 52, n), rng.lognormal(1.6, 0.3, n)
    people, north, west = rng.lognormal(7, 0.7, n), rng.uniform(32, 42, n), rng.uniform(114, 124, n)
    by_the_sea = np.exp(-((north - 37) ** 2 + (west - 122) ** 2) / 4)
    price = 1 + 0.45 * income + 0.01 * age - 0.1 * np.log(people) + by_the_sea + 0.3 * rng.standard_normal(n)
    x = np.stack([income, age, rooms, people, north, west], axis=1)
    return _standardized(x, np.clip(price, 0.15, 5)[:, None], seed)


def _table(name: str, seed: int) -> Split:
    from sklearn import datasets

    table = getattr(datasets, f"load_{name}")()
    return _standardized(table.data, table.target if name != "diabetes" else table.target[:, None], seed)


def _standardized(x: Any, y: Any, seed: int) -> Split:
    y = as_float32(y) if y.dtype.kind == "f" else y.astype(np.int64)
    return standardized(split_by_seed(as_float32(x), y, seed), per_feature=True)
