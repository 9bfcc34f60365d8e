"""Data as a trainer takes it: preprocessed, of the network's dtype, and checked before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .losses import Loss
    from .model import Sequential

#: Rows checked for NaN at a time, which bounds the temporary memory.
CHUNK = 4096


class Examples(NamedTuple):
    """Inputs, targets and, unless None, the weight of each example."""

    x: np.ndarray
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
    raw = check_finite(np.asarray(x), f"{name}x")
    transformer = model.preprocessing
    if transformer is not None:
        if fit_preprocessing and not transformer.is_fitted:
            transformer.fit(raw)
        raw = transformer.transform(raw)
    with np.errstate(over="ignore"):
        inputs = model.as_input(raw)
    if inputs.dtype.itemsize < np.asarray(raw).dtype.itemsize:
        check_finite(inputs, f"{name}x as {inputs.dtype}")
    targets = check_finite(loss.as_target(y, inputs.dtype), f"{name}y")
    weights = None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=inputs.dtype)
    check_lengths(inputs, targets, weights, name)
    if weights is not None:
        check_finite(weights, "sample_weight")
    return Examples(inputs, targets, weights)


def check_fit(model: Sequential, loss: Loss, examples: Examples, name: str = "") -> None:
    """Raise ValueError if inputs or targets do not fit the network."""
    outputs = model.infer(examples.x[:1])
    try:
        if outputs.ndim == 2:
            loss.check_target(examples.y, outputs.shape[1])
    except ValueError as error:
        raise ValueError(f"{name}{error}") from None


def check_finite(array: np.ndarray, name: str) -> np.ndarray:
    """Return `array`, or raise ValueError that names the first row with a NaN or an infinity."""
    if array.dtype.kind != "f":
        return array
    for start in range(0, len(array) if array.ndim else 0, CHUNK):
        finite = np.isfinite(array[start : start + CHUNK])
        if finite.all():
            continue
        where = np.argwhere(~finite)[0]
        value = "a NaN" if np.isnan(array[start + where[0], *where[1:]]) else "an infinity"
        column = f", column {', '.join(map(str, where[1:]))}" if len(where) > 1 else ""
        raise ValueError(f"{name} has {value} in row {start + where[0]}{column}")
    return array


def check_lengths(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, name: str) -> None:
    """Raise ValueError unless there are examples, and as many targets and weights."""
    if len(x) == 0:
        raise ValueError(f"{name}x is empty: its shape is {x.shape}")
    if len(y) != len(x):
        raise ValueError(f"{name}x has {len(x)} rows and {name}y has {len(y)}; expected as many")
    if weights is not None and weights.shape != (len(x),):
        raise ValueError(f"sample_weight has shape {weights.shape}; expected ({len(x)},)")


def non_finite_row(x: ArrayLike, y: ArrayLike) -> str | None:
    """Return which row of a batch holds a NaN or an infinity, in words, or None."""
    for array, where in ((np.asarray(x), "inputs"), (np.asarray(y), "targets")):
        if array.dtype.kind == "f":
            bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
            if len(bad):
                return f"row {bad[0]} of the batch's {where} holds a NaN or an infinity"
    return None
