"""Small synthetic classification problems of any size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..utils.validation import seeded

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


def spiral(
    n_per_class: int = 100, classes: int = 3, noise: float = 0.2, seed: int | np.random.Generator = 0
) -> Labelled:
    """Return CS231n's spiral: interleaved arms that are not linearly separable.

    Class j lies at r (sin t, cos t) with the radius r from 0 to 1 and the angle t from 4j to 4(j + 1) radians plus
    Gaussian noise.

    Parameters
    ----------
    n_per_class : int, default 100
        Points per class, at least 1.
    classes : int, default 3
        Number of arms, at least 1. From 12 on arms overlap, because 44 radians are seven turns.
    noise : float, default 0.2
        Standard deviation of the angle, in radians, >= 0.
    seed : int or numpy.random.Generator, default 0
        Seed or generator of the random numbers.

    Returns
    -------
    x : ndarray of shape (n_per_class * classes, 2), float32
    y : ndarray of shape (n_per_class * classes,), int64
        Rows are in random order.

    Raises
    ------
    TypeError, ValueError
        If a count is not a positive int, or `noise` is negative.

    Notes
    -----
    Source: CS231n notes, "Putting it together: minimal neural network case study".

    Examples
    --------
    >>> from pynn.datasets import spiral
    >>> x, y = spiral(n_per_class=50)
    >>> x.shape, y.shape
    ((150, 2), (150,))
    """
    _check_count("n_per_class", n_per_class)
    _check_count("classes", classes)
    _check_spread("noise", noise)
    rng = seeded(seed)
    y = np.repeat(np.arange(classes), n_per_class)
    radius = np.tile(np.linspace(0.0, 1.0, n_per_class), classes)
    angle = 4.0 * (y + radius) + noise * rng.standard_normal(len(y))
    return _shuffled(np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), y, rng)


def moons(n: int = 200, noise: float = 0.1, seed: int | np.random.Generator = 0) -> Labelled:
    """Return two interleaved half circles.

    Class 0 is the upper half of the unit circle around (0, 0), class 1 the lower half of that around (1, 0.5).

    Parameters
    ----------
    n : int, default 200
        Number of points, at least 2; for odd n class 1 gets one more.
    noise : float, default 0.1
        Standard deviation of the Gaussian noise on both coordinates, >= 0.
    seed : int or numpy.random.Generator, default 0
        Seed or generator of the random numbers.

    Returns
    -------
    x : ndarray of shape (n, 2), float32
    y : ndarray of shape (n,), int64
        Rows are in random order.

    Raises
    ------
    TypeError, ValueError
        If `n` is not an int of at least 2, or `noise` is negative.

    Examples
    --------
    >>> from pynn.datasets import moons
    >>> x, y = moons(n=101)
    >>> x.shape, int(y.sum())
    ((101, 2), 51)
    """
    _check_count("n", n, minimum=2)
    _check_spread("noise", noise)
    rng = seeded(seed)
    upper = np.linspace(0.0, math.pi, n // 2)
    lower = np.linspace(0.0, math.pi, n - n // 2)
    points = np.concatenate(
        [np.column_stack([np.cos(upper), np.sin(upper)]), np.column_stack([1 - np.cos(lower), 0.5 - np.sin(lower)])]
    )
    y = np.repeat([0, 1], [len(upper), len(lower)])
    return _shuffled(points + noise * rng.standard_normal(points.shape), y, rng)


def blobs(
    n: int = 300, classes: int = 3, features: int = 2, std: float = 1.0, seed: int | np.random.Generator = 0
) -> Labelled:
    """Return one isotropic Gaussian cloud per class, with its centre uniform in [-10, 10] in each coordinate.

    Parameters
    ----------
    n : int, default 300
        Number of points, at least `classes`; if not divisible, the first classes get one more.
    classes : int, default 3
        Number of clouds, at least 1.
    features : int, default 2
        Number of coordinates, at least 1.
    std : float, default 1.0
        Standard deviation of a cloud in each coordinate, >= 0.
    seed : int or numpy.random.Generator, default 0
        Seed or generator of the random numbers.

    Returns
    -------
    x : ndarray of shape (n, features), float32
    y : ndarray of shape (n,), int64
        Rows are in random order.

    Raises
    ------
    TypeError, ValueError
        If a count is not an int or too small, or `std` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from pynn.datasets import blobs
    >>> x, y = blobs(n=10, classes=3, features=5)
    >>> x.shape, np.bincount(y)
    ((10, 5), array([4, 3, 3]))
    """
    _check_count("classes", classes)
    _check_count("n", n, minimum=classes)
    _check_count("features", features)
    _check_spread("std", std)
    rng = seeded(seed)
    centres = rng.uniform(-10.0, 10.0, (classes, features))
    y = np.sort(np.arange(n) % classes)
    return _shuffled(centres[y] + std * rng.standard_normal((n, features)), y, rng)


def _shuffled(x: NDArray[np.float64], y: NDArray[np.int64], rng: np.random.Generator) -> Labelled:
    order = rng.permutation(len(y))
    return x[order].astype(np.float32), y[order].astype(np.int64)


def _check_count(name: str, value: object, minimum: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}; expected an int")
    if value < minimum:
        raise ValueError(f"{name} is {value}; expected at least {minimum}")


def _check_spread(name: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}; expected a finite number >= 0")
