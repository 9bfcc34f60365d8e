"""Data for ``pynn train``: read, checked, and split into parts to train, to validate and to test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets
from ..examples import check_finite

#: The split is the same whatever the seed of the training, so that runs are compared on the same examples.
SPLIT_SEED = 0
TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.1
FEWEST_EXAMPLES = 10
TABLES = (".csv", ".tsv")
_DIGITS = [str(digit) for digit in range(10)]

Part = tuple[np.ndarray, np.ndarray]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Data:
    """Examples in three parts; `class_names` is None for regression, `schema` for anything but a table."""

    name: str
    train: Part
    validation: Part
    test: Part
    class_names: list[str] | None
    schema: datasets.Schema | None = None
    #: Whether all features are in one unit, as the pixels of images are.
    one_unit: bool = False

    def parts(self) -> dict[str, Part]:
        """Return the parts by name."""
        return {"training": self.train, "validation": self.validation, "test": self.test}


def load_data(source: str, target: str | None, task: str | None) -> Data:
    """Return what ``--data`` names: "digits", "mnist", or a .csv, .tsv or .npz file."""
    suffix = Path(source).suffix.lower()
    if target is not None and suffix not in TABLES:
        raise click.BadOptionUsage("--target", "--target is for tables (.csv, .tsv)")
    if task is not None and source in ("digits", "mnist"):
        raise click.BadOptionUsage("--task", "--task is for files")
    if source == "digits":
        return _digits()
    if source == "mnist":
        return _mnist()
    if suffix in TABLES:
        return _table(source, target, task)
    if suffix == ".npz":
        return _arrays(source, task)
    raise click.BadOptionUsage("--data", f"--data is {source!r}; expected digits, mnist, or a .csv, .tsv or .npz file")


def _digits() -> Data:
    x, y = datasets.load_digits()
    return _in_parts("digits", x, y, split("digits", y), _DIGITS, one_unit=True)


def _mnist() -> Data:
    (x, y), (x_test, y_test) = datasets.load_mnist()
    x, x_test = as_rows(x), as_rows(x_test)
    x_train, x_validation, y_train, y_validation = datasets.train_test_split(x, y, VALIDATION_FRACTION, SPLIT_SEED)
    return Data("mnist", (x_train, y_train), (x_validation, y_validation), (x_test, y_test), _DIGITS, one_unit=True)


def _table(path: str, target: str | None, task: Any) -> Data:
    column: str | int | None = target
    if target is not None and target.removeprefix("-").isdecimal():
        column = int(target)
    table = datasets.read_csv(path, column, task=task)
    assert table.y is not None
    _check_target(f"{path}: target {table.schema['target']['name']!r}", table.y, table.class_names)
    rows = split(path, table.y)
    # The means of the training rows fill what is missing, in all parts and later in `pynn predict`.
    filled = table.fit_fill(rows[0])
    return _in_parts(Path(path).name, filled.x, table.y, rows, table.class_names, schema=filled.schema)


def _arrays(path: str, task: str | None) -> Data:
    x, y = datasets.read_npz(path)
    if x.dtype.kind not in "fiub":
        raise click.ClickException(f"{path}: x holds {x.dtype}; expected numbers")
    if x.ndim < 2:
        raise click.ClickException(f"{path}: x has shape {x.shape}; expected one example per row, (n, features)")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise click.ClickException(f"{path}: y has shape {y.shape}; expected one target per example, (n,)")
    one_unit = x.ndim > 2 or x.dtype == np.uint8
    x = as_rows(check_finite(x, f"{path}: x"))
    targets, class_names = _targets(path, y, task)
    _check_target(f"{path}: y", targets, class_names)
    return _in_parts(Path(path).name, x, targets, split(path, targets), class_names, one_unit=one_unit)


def _in_parts(name: str, x: np.ndarray, y: np.ndarray, rows: Rows, class_names: list[str] | None, **more: Any) -> Data:
    train, validation, test = ((x[part], y[part]) for part in rows)
    return Data(name, train, validation, test, class_names, **more)


def _targets(path: str, y: np.ndarray, task: str | None) -> tuple[np.ndarray, list[str] | None]:
    """Return class indices and names, or numbers and None; as in a table, whole numbers are classes unless told."""
    if y.dtype.kind not in "fiubUS":
        raise click.ClickException(f"{path}: y holds {y.dtype}; expected numbers or text")
    is_text = y.dtype.kind in "US"
    if not is_text:
        check_finite(y, f"{path}: y")
    whole = not is_text and bool((y == np.floor(y)).all()) if y.dtype.kind == "f" else not is_text
    if task == "regression" and is_text:
        raise click.ClickException(f"{path}: y holds text; regression needs numbers")
    if task == "classification" and not (whole or is_text):
        raise click.ClickException(f"{path}: y holds numbers that are not whole, so they are no classes")
    if task == "regression" or not (whole or is_text):
        return y.astype(np.float32), None
    labels, indices = np.unique(y.astype(str) if is_text else y.astype(np.int64), return_inverse=True)
    return indices.astype(np.int64), [str(label) for label in labels]


def _check_target(what: str, y: np.ndarray, class_names: list[str] | None) -> None:
    if class_names is not None and len(class_names) < 2:
        raise click.ClickException(f"{what} has one class only ({class_names[0] if class_names else 'none'})")
    if class_names is None and len(y) and y.min() == y.max():
        raise click.ClickException(f"{what} has one value only ({y[0]:g})")


def split(name: str, y: np.ndarray) -> Rows:
    """Return the rows to train, to validate and to test with; each class has its share in all three."""
    if len(y) < FEWEST_EXAMPLES:
        raise click.ClickException(
            f"{name} has {len(y)} examples; expected at least {FEWEST_EXAMPLES}, to set some aside to validate and test"
        )
    try:
        rest, test, y_rest, _ = datasets.train_test_split(np.arange(len(y)), y, TEST_FRACTION, SPLIT_SEED)
        share = VALIDATION_FRACTION / (1 - TEST_FRACTION)
        train, validation, _, _ = datasets.train_test_split(rest, y_rest, share, SPLIT_SEED)
    except ValueError as error:
        classes = len(np.unique(y))
        raise click.ClickException(
            f"{name} has {classes} classes in {len(y)} examples, too few of each to train, validate and test; "
            "if the target is an amount, use --task regression"
        ) from error
    return train, validation, test


def as_rows(x: np.ndarray) -> np.ndarray:
    """Return examples of any shape as rows of features."""
    return x.reshape(len(x), -1) if len(x) else x.reshape(0, int(np.prod(x.shape[1:])))
