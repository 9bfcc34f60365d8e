"""Training data: preprocessed, cast to the network's dtype, and checked before training starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from ..nn.inputs import Inputs
from ..preprocessing.base import goes_in_parts
from ..utils.arrays import check_finite, example_weights, numeric
from ..utils.config import is_own

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..nn.loss import Loss
    from ..nn.sequential import Sequential
    from ..preprocessing import Transformer


#: Inputs in memory, or large inputs preprocessed lazily.
X = TypeVar("X", np.ndarray, Inputs)


class Examples(NamedTuple, Generic[X]):
    """Inputs, targets and the weight of each example, or None."""

    x: X
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
    """Return the data in the network's form, or raise an error that names the problem and, if possible, the row."""
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
) -> Examples:
    """Do the same as `prepare`, but preprocess inputs lazily if they are large or in a memory-mapped file.

    Such inputs are read once, to check for NaN and to fit the preprocessing. The data set as a whole, unlike a batch,
    must have a positive total weight.
    """
    raw = numeric(x, f"{name}x")
    if goes_in_parts(raw):
        y = target_amounts(model.target_preprocessing, y, fit_preprocessing, name)
        targets = _prepare_targets(loss, raw, y, sample_weight, model.dtype, name)
        if fit_preprocessing:
            _fit_preprocessing(model, raw)
        inputs = Inputs(raw, model)
        inputs.check(f"{name}x")
        examples = Examples(inputs, *targets)
    else:
        examples = prepare(model, loss, raw, y, sample_weight, fit_preprocessing=fit_preprocessing, name=name)
    weights = loss.row_weights(examples.y, examples.weights)
    if weights is not None and not weights.any():
        raise ValueError(
            f"all examples of {name}x have weight 0, by sample_weight, class weight or an ignored label; expected at "
            "least one positive weight"
        )
    return examples


def _fit_preprocessing(model: Sequential, raw: np.ndarray) -> None:
    if model.preprocessing is not None and not model.preprocessing.is_fitted:
        model.preprocessing.fit(raw)


@contextmanager
def unfitted_after_error(model: Sequential) -> Iterator[Callable[[], None]]:
    """Undo a fit of the model's preprocessing if the block raises.

    Yields a function; once it has been called, later errors leave the preprocessing fitted.
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
    """Return the targets transformed by the model's `target_preprocessing`, in float64; `y` itself without one."""
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
        raise ValueError(f"{name}x has shape {raw.shape}; expected a batch, (n, ...); for one example pass x[None]")
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
        raise ValueError(f"{name}x has {rows} rows and {name}y has {given}; expected the same number")
    if sample_weight is None:
        return targets, None
    return targets, example_weights(sample_weight, rows, dtype, f"{name}sample_weight")


def check_fit(model: Sequential, loss: Loss, examples: Examples, name: str = "") -> None:
    """Raise ValueError if inputs or targets do not fit the network, or if the loss ignores the weights."""
    outputs = model.infer(examples.x[:2])
    try:
        if outputs.ndim == 2:
            loss.check_target(examples.y, outputs.shape[1])
    except ValueError as error:
        raise ValueError(f"{name}{error}") from None
    if examples.weights is not None and is_own(loss):
        _check_weighs(loss, outputs, examples.y[:2])


def _check_weighs(loss: Loss, outputs: np.ndarray, targets: np.ndarray) -> None:
    """Raise ValueError if a user-defined loss ignores the weights.

    Each of two examples gets all the weight in turn; the gradient of the other one must be zero.
    """
    if len(outputs) < 2:
        return
    first, second = (loss.forward(outputs, targets, weights)[1] for weights in np.eye(2, dtype=outputs.dtype))
    if np.any(first) and np.all(first == second):
        raise ValueError(
            f"{type(loss).__name__} ignores sample_weight: its gradient does not depend on the weights; make "
            "forward(prediction, target, sample_weight, gradient_out) weight the rows by it"
        )
