"""``pynn predict``."""

from __future__ import annotations

import csv
import io
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import datasets
from ..datasets.readers import read_npy, read_npz_array
from ..datasets.tables.schema import plain_schema
from ..nn import layers
from ..nn.loading import load
from ..nn.probabilities import softmax
from ..nn.sequential import Sequential
from ..nn.widths import input_width
from ..preprocessing import Standardize
from ..report.text import amount
from ..utils import streams
from ..utils.arrays import check_finite
from ..utils.files import write_atomically
from .data import as_images, as_rows
from .options import Count
from .outputs import FileName, check_apart, check_format, write
from .tables import MOST_COLUMNS, DataOptions, encoding_option, header_option, is_table

#: Digits of a prediction down from the first one of the targets' spread.
DIGITS = 5


@click.command(short_help="Apply a saved network to new data.")
@click.argument("model_path", metavar="MODEL", type=FileName())
@click.argument("data_path", metavar="DATA", type=FileName())
@click.option("--output", type=FileName(), metavar="FILE", help="File to write instead of standard output (-).")
@click.option(
    "--batch-size",
    type=Count(1),
    metavar="N",
    help="Examples per pass.  [default: 1024; fewer for images]",
)
@click.option("--proba", is_flag=True, help="Write the probability of every class.")
@header_option
@encoding_option
def predict(
    model_path: Path,
    data_path: Path,
    output: Path | None,
    batch_size: int | None,
    proba: bool,
    header: bool | None,
    encoding: str | None,
) -> None:
    """Apply a saved network to new data.

    MODEL is a file that "pynn train" or model.save() wrote, DATA a table of any kind that "pynn train" reads, .npz or
    .npy, with or without a target column. The result is CSV, one row per example: the label and its probability (with
    --proba, the probability of every class), or the value for regression.

    \b
    Examples:
      pynn predict pynn-model.safetensors new.csv
      pynn predict pynn-model.safetensors new.npz --output labels.csv
    """  # noqa: D301 - click reads the backslash
    if output is not None and output.is_dir():
        raise click.ClickException(f"cannot write {output}: it is a folder")
    if output != Path("-"):
        check_apart({"MODEL": model_path, "DATA": data_path, "--output": output})
    if output is not None:
        check_format(output, ".csv", ".txt")
    model = load(model_path)
    x = _read(data_path, model, header, encoding)
    heading, rows = _predictions(model, x, batch_size, data_path, proba)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    _write(output, text.getvalue())


def _read(path: Path, model: Sequential, header: bool | None, encoding: str | None) -> np.ndarray:
    """Return the examples of a file in the shape that the model expects."""
    suffix = path.suffix.lower()
    convolutional = any(isinstance(layer, layers.Conv2d) for layer in model.all_layers())
    if is_table(path):
        if convolutional:
            raise click.ClickException(f"{path} is a table; the model takes images, in an .npz or .npy file")
        x = _read_table(path, model, header, encoding)
    elif suffix in (".npz", ".npy"):
        DataOptions(str(path), header=header, encoding=encoding).refuse_those_of_tables()
        x = read_npz_array(path, ("x", "X", "data")) if suffix == ".npz" else read_npy(path)
        if x.ndim < 2 or x.dtype.kind not in "fiub":
            raise click.ClickException(f"{path}: x is {x.dtype} of shape {x.shape}; expected numbers, (n, features)")
    else:
        raise click.UsageError(f"DATA is {path}; expected a table such as .csv, .parquet or .xlsx, or .npz or .npy")
    if convolutional:
        x = as_images(x, f"{path}: x")
        _check_width(path, x, next(filter(None, map(input_width, model.all_layers()))), "channels")
    elif not isinstance(model.leaves()[0], layers.Flatten):
        x = as_rows(x)
        _check_width(path, x, _features(model), "features")
    return check_finite(x, f"{path}: x")


def _check_width(path: Path, x: np.ndarray, expected: int | None, what: str) -> None:
    if expected is not None and x.shape[1] != expected:
        raise click.ClickException(f"{path} has {x.shape[1]} {what}; the model expects {expected}")


def _features(model: Sequential) -> int | None:
    """Return the number of features that the model expects, or None if unknown."""
    if model.preprocessing is not None:
        return model.preprocessing.n_features_in_
    first = model.leaves()[0]
    return getattr(first, "in_features", getattr(first, "num_features", None))


def _read_table(path: Path, model: Sequential, header: bool | None, encoding: str | None) -> np.ndarray:
    """Return the features of a table; tell what in it was not in the training data."""
    from ..datasets.tables.source import opened
    from ..datasets.tables.table import features_of, opened_by

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", datasets.TableWarning)
        if model.input_schema is not None:
            cells = opened_by(path, model.input_schema, header, encoding)
            x, missing = features_of(cells, model.input_schema)
        else:
            cells = opened(path, header, encoding=encoding)
            names, expected = cells.frame.columns, _features(model) or cells.frame.width
            if len(names) not in (expected, expected + 1):
                raise click.ClickException(f"{path} has {len(names)} columns; the model expects {expected} features")
            x, missing = features_of(cells, plain_schema(names, expected))
    if cells.remarks:
        streams.say(f"file: {'; '.join(cells.remarks)}")
    for warning in caught:
        streams.say(f"warning: {warning.message}")
    if missing:
        filled = ", ".join(f"{column} {count}" for column, count in list(missing.items())[:MOST_COLUMNS])
        streams.say(f"warning: {path} lacks values (numbers get the mean of the training data): {filled}")
    return x


def _predictions(
    model: Sequential, x: np.ndarray, batch_size: int | None, path: Path, proba: bool
) -> tuple[list[str], list[list[Any]]]:
    """Return the heading and the rows of the result."""
    with np.errstate(over="ignore"):
        output = model.predict(x, batch_size)
    output = output.reshape(len(output), -1)
    check_finite(output, f"the network's output for {path}")  # values too large for float32 become infinite
    kind = model.output_kind
    if proba and kind not in ("classes", "binary"):
        raise click.UsageError("--proba is for networks that give probabilities; this one gives " + (kind or "values"))
    if kind not in ("classes", "binary", "scores"):
        heading = ["value"] if output.shape[1] == 1 else [f"value_{index}" for index in range(output.shape[1])]
        return heading, _written(output, model)
    if kind == "binary":
        if output.shape[1] != 1:
            raise click.ClickException(
                f"the model is multi-label ({output.shape[1]} labels); use model.predict in Python"
            )
        output = np.concatenate([np.zeros_like(output), output], axis=1)
        kind = "classes"
    labels = output.argmax(axis=1)
    names = model.class_names or [str(index) for index in range(output.shape[1])]
    if kind == "scores":
        return ["label", "score"], [[names[i], str(row[i])] for i, row in zip(labels, output, strict=True)]
    probabilities = softmax(output.astype(np.float64))
    if proba:
        heading = ["label", *(f"probability {name}" for name in names)]
        return heading, [[names[i], *(f"{p:.6f}" for p in row)] for i, row in zip(labels, probabilities, strict=True)]
    heading = ["label", "probability"]
    return heading, [[names[i], f"{row[i]:.6f}"] for i, row in zip(labels, probabilities, strict=True)]


def _written(values: np.ndarray, model: Sequential) -> list[list[str]]:
    """Return amounts with the digits they deserve: to a 10,000th of the spread of the training targets, if known."""
    scaling = model.target_preprocessing
    spreads = np.sqrt(scaling.var_) if isinstance(scaling, Standardize) else None
    if spreads is None or not (spreads > 0).all():
        return [[str(value) for value in row] for row in values]
    places = np.floor(np.log10(spreads)).astype(int)
    return [[_rounded(float(v), place) for v, place in zip(row, places, strict=True)] for row in values]


def _rounded(value: float, place: int) -> str:
    size = math.floor(math.log10(abs(value))) if value else place
    return amount(value, min(17, max(1, size - place + DIGITS)))


def _check_output(text: str) -> None:
    """Raise a click error if standard output is closed or cannot encode the result."""
    if not streams.had_output:
        raise click.ClickException("standard output is closed, so the result would be lost; give --output FILE")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError as error:
        raise click.ClickException(
            f"standard output is {encoding}, which cannot encode {text[error.start]!a}; give --output FILE (UTF-8)"
        ) from error


def _write(path: Path | None, text: str) -> None:
    if path is None or path == Path("-"):
        _check_output(text)
        # In chunks: an unbuffered stream does not report a pipe that closes in the middle of a write.
        for start in range(0, len(text), 1 << 16):
            click.echo(text[start : start + (1 << 16)], nl=False)
        return
    write(path, lambda: write_atomically(path, text.encode()))
