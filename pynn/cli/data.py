"""Data for ``pynn train``: read, checked, and split into training, validation and test parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets
from ..datasets.readers import read_npy
from ..datasets.tables.missing import is_missing
from ..preprocessing import Standardize
from ..tabular.recipe import FOLDS, MOST_ROWS
from ..utils.arrays import check_finite
from ..utils.streams import say
from .tables import BUNDLED, SOURCES, DataOptions, read_table, table_notes

#: The split does not depend on the training seed, so runs with different seeds are comparable.
SPLIT_SEED = 0
TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.1
FEWEST_EXAMPLES = 10
_DIGITS = [str(digit) for digit in range(10)]
_CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_CHANNELS = (1, 3, 4)

_TOO_MANY = (
    "{name} has {classes} classes in {examples} examples, too few of each to train, validate and test; if the target "
    "is a quantity, use --task regression"
)

Part = tuple[np.ndarray, np.ndarray]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class LoadedData:
    """Training, validation and test examples: rows of features, or images (n, channels, height, width).

    `class_names` is None for regression. A table has its schema, the options that read it again, and notes on how it
    was read.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    class_names: list[str] | None
    schema: datasets.Schema | None = None
    chosen: DataOptions | None = None
    notes: tuple[str, ...] = ()
    #: If not 0, all examples are in the training part, to be cross-fitted.
    folds: int = 0
    #: Whether all features share one unit, as pixels do.
    one_unit: bool = False
    #: Augmentations that keep the label, in the syntax of ``--augment``.
    augment: str = "none"

    def say_notes(self, quiet: bool) -> None:
        """Tell what was made of the columns of a table."""
        for line in () if quiet else self.notes:
            say(line)

    def parts(self) -> dict[str, Part]:
        """Return the parts by name."""
        return {"training": self.train, "validation": self.validation, "test": self.test}


def load_data(options: DataOptions, images: bool = False, folds: int | None = 0) -> LoadedData:
    """Load the data set that the options name, as images or as rows of features.

    With `folds`, nothing is set aside; None decides it by the size of a table.
    """
    source, target, task = options[:3]
    suffix = Path(source).suffix.lower()
    if target is not None and suffix != ".npy" and not options.is_table():
        raise click.BadOptionUsage("--target", "--target is for tables (such as .csv files) and .npy files")
    if task is not None and source in BUNDLED:
        raise click.BadOptionUsage("--task", "--task is for files")
    if options.is_table():
        if images:
            raise click.BadOptionUsage("--model", f"--model cnn is for images; {source} is a table")
        if folds == 1:
            raise click.BadOptionUsage("--folds", "--folds is 1; expected at least 2, or 0 for one network")
        return _table(options, folds)
    if folds:
        raise click.BadOptionUsage("--folds", f"--folds is for tables; {source} is none")
    options.refuse_those_of_tables()
    if source == "digits":
        x, y = datasets.load_digits()
        return _in_parts("digits", _shaped(x.reshape(-1, 8, 8), images), y, split("digits", y), _DIGITS, one_unit=True)
    if source == "mnist":
        return _with_test_part("mnist", datasets.load_mnist(), _DIGITS, images)
    if source == "cifar10":
        return _with_test_part("cifar10", datasets.load_cifar10(), _CIFAR10, images, augment="crop,flip")
    if suffix == ".npz":
        return _arrays(source, *datasets.read_npz(source), task, images)
    if suffix == ".npy":
        if target is None:
            raise click.BadOptionUsage("--target", f"{source} needs --target with an .npy file of targets")
        return _arrays(source, read_npy(source), read_npy(target), task, images)
    raise click.BadOptionUsage("--data", f"--data is {source!r}; expected {SOURCES}")


def _with_test_part(name: str, parts: tuple[Part, Part], classes: list[str], images: bool, **more: Any) -> LoadedData:
    (x, y), (x_test, y_test) = parts
    x, x_test = _shaped(x, images), _shaped(x_test, images)
    x_train, x_validation, y_train, y_validation = datasets.train_test_split(x, y, VALIDATION_FRACTION, SPLIT_SEED)
    return LoadedData(
        name, (x_train, y_train), (x_validation, y_validation), (x_test, y_test), classes, one_unit=True, **more
    )


def _shaped(x: np.ndarray, images: bool) -> np.ndarray:
    return as_images(x, "x") if images else as_rows(x)


def _table(options: DataOptions, folds: int | None) -> LoadedData:
    table, settled = read_table(options)
    path, y = options.source, table.y
    assert y is not None
    _check_target(f"{path}: target {table.schema['target']['name']!r}", y, table.class_names)
    if folds is None:
        folds = FOLDS if len(y) <= MOST_ROWS else 0
    rows = split(path, y) if not folds else _folded(path, y, table.class_names, folds)
    # The means of the training rows replace missing values, in all parts and later in `pynn predict`.
    try:
        filled = table.fit_fill(rows[0])
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from error
    return _in_parts(
        Path(path).name,
        filled.x,
        y,
        rows,
        table.class_names,
        schema=filled.schema,
        chosen=settled,
        notes=table_notes(table),
        folds=folds,
    )


def _folded(name: str, y: np.ndarray, class_names: list[str] | None, folds: int) -> Rows:
    """Return all rows for training; raise a click error if they are too few for their folds or classes."""
    if len(y) < max(FEWEST_EXAMPLES, 2 * folds):
        raise click.ClickException(
            f"{name} has {len(y)} examples; expected at least {max(FEWEST_EXAMPLES, 2 * folds)}, to have enough for "
            f"{folds} folds"
        )
    if class_names is not None and 2 * len(class_names) > len(y):
        raise click.ClickException(_TOO_MANY.format(name=name, classes=len(class_names), examples=len(y)))
    return np.arange(len(y)), np.arange(0), np.arange(0)


def _arrays(path: str, x: np.ndarray, y: np.ndarray, task: str | None, images: bool) -> LoadedData:
    if len(x) != len(y):
        raise click.ClickException(
            f"{path} has {len(x)} examples but {len(y)} targets; expected one target per example"
        )
    if x.dtype.kind not in "fiub":
        raise click.ClickException(f"{path}: x holds {x.dtype}; expected numbers")
    if x.ndim < 2:
        raise click.ClickException(f"{path}: x has shape {x.shape}; expected one example per row, (n, features)")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise click.ClickException(f"{path}: y has shape {y.shape}; expected one target per example, (n,)")
    one_unit = x.ndim > 2 or x.dtype == np.uint8
    check_finite(x, f"{path}: x")
    x = as_images(x, f"{path}: x") if images else as_rows(x)
    targets, class_names = _targets(path, y, task)
    _check_target(f"{path}: y", targets, class_names)
    return _in_parts(Path(path).name, x, targets, split(path, targets), class_names, one_unit=one_unit)


def _in_parts(
    name: str, x: np.ndarray, y: np.ndarray, rows: Rows, class_names: list[str] | None, **more: Any
) -> LoadedData:
    train, validation, test = ((x[part], y[part]) for part in rows)
    return LoadedData(name, train, validation, test, class_names, **more)


def _targets(path: str, y: np.ndarray, task: str | None) -> tuple[np.ndarray, list[str] | None]:
    """Return class indices and names, or numbers and None. As in tables, whole numbers are classes by default."""
    if y.dtype.kind not in "fiubUS":
        raise click.ClickException(f"{path}: y holds {y.dtype}; expected numbers or text")
    is_text = y.dtype.kind in "US"
    if is_text:
        y = _text(path, y)
    if not is_text:
        check_finite(y, f"{path}: y")
    whole = not is_text and bool((y == np.floor(y)).all()) if y.dtype.kind == "f" else not is_text
    if task == "regression" and is_text:
        raise click.ClickException(f"{path}: y holds text; regression needs numbers")
    if task == "classification" and not (whole or is_text):
        raise click.ClickException(f"{path}: y holds fractions, which cannot be class labels; use --task regression")
    if task == "regression" or not (whole or is_text):
        return _amounts(path, y), None
    labels, indices = np.unique(y, return_inverse=True)
    # Python's integers hold labels of any size.
    return indices.astype(np.int64), [str(label) if is_text else str(int(label)) for label in labels]


def _text(path: str, y: np.ndarray) -> np.ndarray:
    """Return text labels as str, or raise a click error if one is missing."""
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{path}: y holds bytes that are not UTF-8 text: {error}") from error
    without = next((row for row, label in enumerate(y.tolist()) if is_missing(label)), None)
    if without is not None:
        raise click.ClickException(f"{path}: y has no label in row {without} ({str(y[without])!r})")
    return y


def _amounts(path: str, y: np.ndarray) -> np.ndarray:
    """Return regression targets as float64, or raise a click error if one overflows float32."""
    amounts = y.astype(np.float64)
    with np.errstate(over="ignore"):
        beyond = np.flatnonzero(~np.isfinite(amounts.astype(np.float32)))
    if len(beyond):
        raise click.ClickException(f"{path}: y has {y[beyond[0]]} in row {beyond[0]}; float32 holds up to 3.4e38")
    return amounts


def _check_target(what: str, y: np.ndarray, class_names: list[str] | None) -> None:
    if class_names is not None and len(class_names) < 2:
        raise click.ClickException(f"{what} has one class only ({class_names[0] if class_names else 'none'})")
    if class_names is None and len(y) and y.min() == y.max():
        raise click.ClickException(f"{what} has one value only ({y[0]:g})")
    if class_names is None and len(y) and Standardize().fit(y[:, None]).is_constant_.all():
        raise click.ClickException(
            f"{what} has values from {y.min():.17g} to {y.max():.17g}, too close for their squares to differ; shift or "
            "scale it"
        )


def split(name: str, y: np.ndarray) -> Rows:
    """Return the rows for training, validation and test, stratified by class."""
    if len(y) < FEWEST_EXAMPLES:
        raise click.ClickException(
            f"{name} has {len(y)} examples; expected at least {FEWEST_EXAMPLES}, to have enough for validation and test"
        )
    try:
        rest, test, y_rest, _ = datasets.train_test_split(np.arange(len(y)), y, TEST_FRACTION, SPLIT_SEED)
        share = VALIDATION_FRACTION / (1 - TEST_FRACTION)
        train, validation, _, _ = datasets.train_test_split(rest, y_rest, share, SPLIT_SEED)
    except ValueError as error:
        classes = len(np.unique(y))
        raise click.ClickException(_TOO_MANY.format(name=name, classes=classes, examples=len(y))) from error
    return train, validation, test


def as_rows(x: np.ndarray) -> np.ndarray:
    """Return examples of any shape as rows of features."""
    return x.reshape(len(x), -1) if len(x) else x.reshape(0, int(np.prod(x.shape[1:])))


def as_images(x: np.ndarray, name: str) -> np.ndarray:
    """Return images of any common layout as (n, channels, height, width), or raise a click error."""
    if x.ndim == 3:
        return x[:, None]
    if x.ndim != 4:
        raise click.ClickException(
            f"{name} has shape {x.shape}; a cnn needs images: (n, channels, height, width), (n, height, width, "
            "channels) or (n, height, width)"
        )
    if x.shape[1] not in _CHANNELS and x.shape[3] in _CHANNELS:
        return np.ascontiguousarray(np.moveaxis(x, 3, 1))
    return x
