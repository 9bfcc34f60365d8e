"""Data as a trainer takes it: preprocessed, of the network's dtype, and checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .arrays import example_weights, first_row, numeric
from .preprocessing.base import goes_in_parts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .losses import Loss
    from .model import Sequential
    from .preprocessing import Transformer

#: Rows checked for NaN at a time, which bounds the temporary memory.
CHUNK = 4096
#: Numbers of prepared inputs at a time, where they are many.
PART = 1 << 20


class Inputs:
    """Inputs that stay as they are, in memory or in a mapped file; rows are prepared when they are asked for.

    Parameters
    ----------
    raw : ndarray, shape (n, ...)
    model : Sequential
        Its preprocessing, if it has one, is applied; the result is of its dtype.
    """

    def __init__(self, raw: np.ndarray, model: Sequential) -> None:
        self._raw, self._model = raw, model

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all prepared inputs."""
        return (len(self), *self[:1].shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The dtype of prepared inputs."""
        return self._model.dtype

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return prepared rows: a slice, or those of the numbers given, which are read in the order of the file."""
        if isinstance(rows, slice):
            return self._prepared(self._raw[rows])
        order = np.argsort(rows, kind="stable")
        prepared = self._prepared(self._raw[rows[order]])
        out = np.empty_like(prepared)
        out[order] = prepared
        return out

    def all(self) -> np.ndarray:
        """Return all rows as one array, the raw data itself where there is nothing to prepare."""
        return self._prepared(self._raw)

    def _prepared(self, raw: np.ndarray) -> np.ndarray:
        if self._model.preprocessing is not None:
            raw = self._model.preprocessing.transform(raw)
        with np.errstate(over="ignore"):
            return self._model.as_input(raw)

    def parts(self) -> Iterator[slice]:
        """Yield slices that cover all rows in parts of a few megabytes."""
        rows = max(1, PART // max(1, self._raw[:1].size))
        for start in range(0, len(self), rows):
            yield slice(start, min(start + rows, len(self)))

    def check(self, name: str) -> None:
        """Raise ValueError that names the first row with a NaN or an infinity, raw or prepared."""
        if self._raw.dtype.kind != "f":
            return
        for rows in self.parts():
            check_finite(self._raw[rows], name, rows.start)
            check_finite(self[rows], f"{name} as {self.dtype}", rows.start)


class Examples(NamedTuple):
    """Inputs, targets and, unless None, the weight of each example."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None


class LaterExamples(NamedTuple):
    """Examples whose inputs are prepared when rows of them are asked for."""

    x: Inputs
    y: np.ndarray
    weights: np.ndarray | None


def prepare(
    model: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    fit_preprocessing: bool = False,
    name: str = "",
) -> Examples:
    """Return the data as the network takes it, or raise an error that names what is wrong and, if it can, the row."""
    y = target_amounts(model.target_preprocessing, y, fit_preprocessing, name)
    raw = check_finite(numeric(x, f"{name}x"), f"{name}x")
    targets = _prepare_targets(loss, raw, y, sample_weight, model.dtype, name)
    if fit_preprocessing:
        _fit_preprocessing(model, raw)
    inputs = Inputs(raw, model).all()
    if inputs.dtype.itemsize < raw.dtype.itemsize:
        check_finite(inputs, f"{name}x as {inputs.dtype}")
    return Examples(inputs, *targets)


def prepare_later(
    model: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    fit_preprocessing: bool = False,
    name: str = "",
) -> Examples | LaterExamples:
    """Return what `prepare` does, but leave inputs as they are that are large or in a mapped file.

    They are read once, to look for NaN and to fit the preprocessing. Unlike a batch, the whole must have some weight.
    """
    raw = numeric(x, f"{name}x")
    examples: Examples | LaterExamples
    if goes_in_parts(raw):
        y = target_amounts(model.target_preprocessing, y, fit_preprocessing, name)
        targets = _prepare_targets(loss, raw, y, sample_weight, model.dtype, name)
        if fit_preprocessing:
            _fit_preprocessing(model, raw)
        inputs = Inputs(raw, model)
        inputs.check(f"{name}x")
        examples = LaterExamples(inputs, *targets)
    else:
        examples = prepare(model, loss, raw, y, sample_weight, fit_preprocessing=fit_preprocessing, name=name)
    weights = loss.row_weights(examples.y, examples.weights)
    if weights is not None and not weights.any():
        raise ValueError(
            f"no example of {name}x takes part: sample_weight, the class's weight or the label gives each a weight of 0"
        )
    return examples


def _fit_preprocessing(model: Sequential, raw: np.ndarray) -> None:
    if model.preprocessing is not None and not model.preprocessing.is_fitted:
        model.preprocessing.fit(raw)


@contextmanager
def unfitted_after_error(model: Sequential) -> Iterator[Callable[[], None]]:
    """Within the block the model's preprocessing may be fitted, which an error takes back.

    Gives a function to call when no later error is to do so.
    """
    both = (model.preprocessing, model.target_preprocessing)
    fresh = [transformer for transformer in both if transformer is not None and not transformer.is_fitted]
    stays = False

    def settled() -> None:
        nonlocal stays
        stays = True

    try:
        yield settled
    except BaseException:
        for transformer in () if stays else fresh:
            transformer.forget()
        raise


def target_amounts(transformer: Transformer | None, y: ArrayLike, fit: bool, name: str) -> ArrayLike:
    """Return the targets as a model's `target_preprocessing` makes them, in float64; `y` itself without one."""
    if transformer is None:
        return y
    raw = check_finite(numeric(y, f"{name}y").astype(np.float64), f"{name}y")
    if raw.ndim == 1:
        raw = raw[:, None]
    if fit and not transformer.is_fitted:
        transformer.fit(raw)
    return transformer.transform(raw)


def _prepare_targets(
    loss: Loss, raw: np.ndarray, y: ArrayLike, sample_weight: ArrayLike | None, dtype: np.dtype, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    if raw.ndim < 2:
        raise ValueError(f"{name}x has shape {raw.shape}; expected a batch, (n, ...), also for one example: x[None]")
    rows = len(raw)
    if rows == 0:
        raise ValueError(f"{name}x is empty: its shape is {raw.shape}")
    try:
        targets = loss.as_target(y, dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}{error}") from error
    check_finite(targets, f"{name}y")
    if targets.ndim == 0 or len(targets) != rows:
        given = len(targets) if targets.ndim else "none"
        raise ValueError(f"{name}x has {rows} rows and {name}y has {given}; expected as many")
    if sample_weight is None:
        return targets, None
    return targets, example_weights(sample_weight, rows, dtype, f"{name}sample_weight")


def check_fit(model: Sequential, loss: Loss, examples: Examples | LaterExamples, name: str = "") -> None:
    """Raise ValueError if inputs or targets do not fit the network, or a loss that takes no weights is given some."""
    outputs = model.infer(examples.x[:2])
    try:
        if outputs.ndim == 2:
            loss.check_target(examples.y, outputs.shape[1])
    except ValueError as error:
        raise ValueError(f"{name}{error}") from None
    if examples.weights is not None and not type(loss).__module__.startswith("pynn."):
        _check_weighs(loss, outputs, examples.y[:2])


def _check_weighs(loss: Loss, outputs: np.ndarray, targets: np.ndarray) -> None:
    """Raise ValueError if a loss of the user's own makes nothing of weights.

    Each of two examples has all the weight in turn: the other's gradient must be zero.
    """
    if len(outputs) < 2:
        return
    first, second = (loss.forward(outputs, targets, weights)[1] for weights in np.eye(2, dtype=outputs.dtype))
    if np.any(first) and np.all(first == second):
        raise ValueError(
            f"{type(loss).__name__} makes nothing of sample_weight: its gradient is the same whatever the weights; let "
            "forward(prediction, target, sample_weight, gradient_out) weigh the rows by it"
        )


def check_finite(array: np.ndarray, name: str, first_row: int = 0) -> np.ndarray:
    """Return `array`, or raise ValueError that names the first row with a NaN or an infinity.

    `first_row` is the number of the array's first row, where it is a part of another.
    """
    if array.dtype.kind != "f":
        return array
    for start in range(0, len(array) if array.ndim else 0, CHUNK):
        finite = np.isfinite(array[start : start + CHUNK])
        if finite.all():
            continue
        where = np.argwhere(~finite)[0]
        value = "a NaN" if np.isnan(array[start + where[0], *where[1:]]) else "an infinity"
        column = f", column {', '.join(map(str, where[1:]))}" if len(where) > 1 else ""
        raise ValueError(f"{name} has {value} in row {first_row + start + where[0]}{column}")
    return array


def non_finite_row(x: ArrayLike, y: ArrayLike) -> str | None:
    """Return which row of a batch holds a NaN or an infinity, in words, or None."""
    for array, where in ((np.asarray(x), "inputs"), (np.asarray(y), "targets")):
        if array.dtype.kind == "f" and (row := first_row(~np.isfinite(array))) >= 0:
            return f"row {row} of the batch's {where} holds a NaN or an infinity"
    return None
