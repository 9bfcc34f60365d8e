"""The data of `plain`: weather, airports and temperatures of the package vega_datasets, and generated sets."""

# ruff: noqa: D401 - a docstring here describes the data set that is returned.
from __future__ import annotations

import csv
from collections import Counter
from functools import cache
from importlib.resources import files

import numpy as np

from bench.faults.data import Split, as_float32, split_by_seed, standardized

#: Kinds of weather, the commonest first.
WEATHER = ("sun", "fog", "rain", "drizzle", "snow")
#: Number of kinds that are not rare.
COMMON = 3
#: Number of states of `airports`.
STATES = 8


@cache
def _rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of vega_datasets."""
    try:
        text = files("vega_datasets").joinpath("_data", name).read_text()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("these programs need their data: pip install vega_datasets") from error
    return list(csv.DictReader(text.splitlines()))


def weather_raw() -> Split:
    """1096 + 365 days in Seattle: rain, highest and lowest temperature, wind, season; five kinds of weather."""
    rows = _rows("seattle-weather.csv")
    season = 2 * np.pi * np.arange(len(rows)) / 365.25
    columns = [[float(row[name]) for name in ("precipitation", "temp_max", "temp_min", "wind")] for row in rows]
    x = np.column_stack([columns, np.sin(season), np.cos(season)])
    return split_by_seed(as_float32(x), np.array([WEATHER.index(row["weather"]) for row in rows]), 0)


def weather() -> Split:
    """The days, standardised."""
    return standardized(weather_raw(), per_feature=True)


def common_weather() -> Split:
    """The days of the three commonest kinds of weather, standardised."""
    split = weather_raw()
    train, held_out = split.y < COMMON, split.yv < COMMON
    own = Split(split.x[train], split.y[train], split.xv[held_out], split.yv[held_out])
    return standardized(own, per_feature=True)


def airports_raw() -> Split:
    """880 + 293 airports by latitude and longitude in degrees; the state, of the eight with most airports."""
    rows = _rows("airports.csv")
    states = [state for state, _ in Counter(row["state"] for row in rows).most_common(STATES)]
    own = [row for row in rows if row["state"] in states]
    x = [[float(row["latitude"]), float(row["longitude"])] for row in own]
    return split_by_seed(as_float32(np.array(x)), np.array([states.index(row["state"]) for row in own]), 0)


def airports() -> Split:
    """The airports, standardised."""
    return standardized(airports_raw(), per_feature=True)


def temperatures_raw() -> Split:
    """The temperature in Fahrenheit six hours after twelve that are known, at 1200 + 400 times of a year: (n, 1)."""
    degrees = as_float32(np.array([float(row["temp"]) for row in _rows("seattle-temps.csv")]))
    starts = np.random.default_rng(31).choice(len(degrees) - 18, 1600, replace=False)
    x = degrees[starts[:, None] + np.arange(12)]
    return split_by_seed(x, degrees[starts + 17][:, None], 0)


def temperatures() -> Split:
    """The temperatures, inputs and targets standardised."""
    return standardized_targets(standardized(temperatures_raw()))


def standardized_targets(split: Split) -> Split:
    """Targets less their mean, over their standard deviation, both of the training part."""
    mean, spread = split.y.mean(axis=0), split.y.std(axis=0)
    return split._replace(y=(split.y - mean) / spread, yv=(split.yv - mean) / spread)


def circuits_raw() -> Split:
    """Friedman's second problem: impedance by four measurements of 0 to 1760; targets of 0 to 1750, (n, 1)."""
    from sklearn.datasets import make_friedman2

    x, y = make_friedman2(1600, noise=20.0, random_state=0)
    return split_by_seed(as_float32(x), as_float32(y[:, None]), 0)


def circuits() -> Split:
    """The circuits, inputs and targets standardised."""
    return standardized_targets(standardized(circuits_raw(), per_feature=True))


def shells(features: int = 4, classes: int = 3, n: int = 1600) -> Split:
    """Gaussian points, whose class is the shell in which they lie."""
    from sklearn.datasets import make_gaussian_quantiles

    x, y = make_gaussian_quantiles(n_samples=n, n_features=features, n_classes=classes, random_state=0)
    return split_by_seed(as_float32(x), y.astype(np.int64), 0)


def roll_raw() -> Split:
    """Points of a rolled sheet, from -10 to 21; the targets are the two coordinates on the sheet."""
    from sklearn.datasets import make_swiss_roll

    x, along = make_swiss_roll(1600, noise=0.3, random_state=0)
    return split_by_seed(as_float32(x), as_float32(np.column_stack([along, x[:, 1]])), 0)


def roll() -> Split:
    """The points, inputs and targets standardised."""
    return standardized_targets(standardized(roll_raw(), per_feature=True))


def chessboard(fields: int = 3) -> Split:
    """900 + 300 points of a board of `fields` by `fields` squares, black or white."""
    x = np.random.default_rng(32).uniform(-1.5, 1.5, (1200, 2))
    squares = np.floor((x + 1.5) * fields / 3).astype(np.int64).sum(axis=1)
    return split_by_seed(as_float32(x), squares % 2, 0)


def shapes_raw() -> Split:
    """900 + 300 images of 1x14x14 pixels, 0 to 255: a disc, a square, a cross or a triangle somewhere, with noise."""
    rng = np.random.default_rng(33)
    y, size = rng.integers(0, 4, 1200), rng.uniform(3, 5, (1200, 1, 1))
    down, right = np.mgrid[:14, :14][:, None] - rng.uniform(5, 8, (2, 1200, 1, 1))
    inside = np.stack([
        np.hypot(down, right) < size,
        np.maximum(abs(down), abs(right)) < size * 0.85,
        (np.minimum(abs(down), abs(right)) < size / 3) & (np.maximum(abs(down), abs(right)) < size),
        (abs(down) < size) & (abs(right) < (down + size) / 2),
    ])[y, np.arange(1200)]  # fmt: skip
    x = rng.uniform(80, 220, (1200, 1, 1)) * inside + 30 * rng.standard_normal(inside.shape)
    return split_by_seed(as_float32(np.clip(x, 0, 255)[:, None]), y, 0)


def shapes() -> Split:
    """The images of shapes, centred and scaled."""
    split = shapes_raw()
    mean, spread = split.x.mean(), split.x.std()
    return split._replace(x=(split.x - mean) / spread, xv=(split.xv - mean) / spread)


def sensors() -> Split:
    """900 + 300 recordings of three sensors at 32 moments: four kinds of waves, which the third does not see."""
    rng = np.random.default_rng(34)
    y, time = rng.integers(0, 4, 1200), np.arange(32)
    phase = time / rng.uniform(4, 7, (1200, 1)) + rng.uniform(0, 1, (1200, 1))
    turn = phase % 1
    waves = np.stack([np.sin(2 * np.pi * phase), np.sign(turn - 0.5), 2 * turn - 1, np.where(turn < 0.15, 2.0, -0.35)])
    own = waves[y, np.arange(1200)]
    x = np.stack([own, -0.5 * own, np.zeros_like(own)], axis=1) + 0.4 * rng.standard_normal((1200, 3, 32))
    return split_by_seed(as_float32(x), y, 0)


def subjects() -> Split:
    """1200 + 400 texts as counts of 40 words; which of five subjects they have, several or none: (n, 5)."""
    from sklearn.datasets import make_multilabel_classification

    x, y = make_multilabel_classification(1600, n_features=40, n_classes=5, n_labels=2, random_state=0)
    return standardized(split_by_seed(as_float32(x), as_float32(y), 0))
