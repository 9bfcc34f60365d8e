"""Training data: preprocessed, cast to the network's dtype, and checked before training starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from ..nn.inputs import Inputs
from ..nn.layers.base import Layer
from ..nn.loss import Loss
from ..preprocessing.base import goes_in_parts
from ..utils.arrays import check_finite, example_weights, numeric
from ..utils.config import is_own
from .labels import numbered, text_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..nn.sequential import Sequential
    from ..preprocessing import Transformer


#: Kinds of outputs whose targets may be text.
NAMED = ("classes", "scores", "binary")

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
    raw = check_finite(numeric(model.rows_of(x), f"{name}x"), f"{name}x")
    targets = _prepare_targets(model, loss, raw, y, sample_weight, fit_preprocessing, name)
    if fit_preprocessing:
        _fit_preprocessing(model, raw)
    inputs = Inputs(raw, model).all()
    if inputs.dtype.itemsize < raw.dtype.itemsize:
        check_finite(inputs, f"{name}x as {inputs.dtype}")
    return _shaped(model, loss, Examples(inputs, *targets))


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
    raw = numeric(model.rows_of(x), f"{name}x")
    if goes_in_parts(raw):
        targets = _prepare_targets(model, loss, raw, y, sample_weight, fit_preprocessing, name)
        if fit_preprocessing:
            _fit_preprocessing(model, raw)
        inputs = Inputs(raw, model)
        inputs.check(f"{name}x")
        examples = _shaped(model, loss, Examples(inputs, *targets))
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
    """Undo a fit of the model's preprocessing, and the learning of its class names, if the block raises.

    Yields a function; once it has been called, later errors leave the preprocessing fitted.
    """
    names = model.class_names
    both = (model.preprocessing, model.target_preprocessing)
    fresh = [transformer for transformer in both if transformer is not None and not transformer.is_fitted]
    stays = False

    def settled() -> None:
        nonlocal stays
        stays = True

    try:
        yield settled
    except BaseException:
        if not stays:
            model.class_names = names
            for transformer in fresh:
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


def class_numbers(model: Sequential, loss: Loss, y: ArrayLike, name: str = "", *, learn: bool = False) -> ArrayLike:
    """Return text labels as their numbers in the model's `class_names`; other targets unchanged.

    With `learn`, a model without names gets those of `y`, sorted.
    """
    labels = text_labels(y, f"{name}targets") if loss.output_kind in NAMED else None
    if labels is None:
        return y
    if model.class_names is None:
        if not learn:
            raise ValueError(
                f"{name}targets are text, such as {labels[0]!r}, and the model has no class names that number them; "
                "set model.class_names, or call fit with arrays"
            )
        model.class_names = sorted(set(labels))
    return numbered(labels, model.class_names, f"{name}targets")


def step_targets(model: Sequential, loss: Loss, x: np.ndarray, y: ArrayLike) -> np.ndarray:
    """Return the targets of a minibatch in the form that the loss takes."""
    target = loss.as_target(class_numbers(model, loss, y), x.dtype)
    return _shaped(model, loss, Examples(x, target, None)).y if len(target) == len(x) else target


def _shaped(model: Sequential, loss: Loss, examples: Examples) -> Examples:
    """Return the examples with their targets in the shape of the outputs, if the loss wants them so."""
    if examples.y.ndim == loss.target_ndim or type(loss).shaped is Loss.shaped:
        return examples
    return examples._replace(y=loss.shaped(examples.y, model.infer(examples.x[:1]).shape))


def _prepare_targets(
    model: Sequential,
    loss: Loss,
    raw: np.ndarray,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    fit: bool,
    name: str,
) -> tuple[np.ndarray, np.ndarray | None]:
    y = class_numbers(model, loss, y, name, learn=fit)
    y = target_amounts(model.target_preprocessing, y, fit, name)
    if raw.ndim < 2:
        raise ValueError(f"{name}x has shape {raw.shape}; expected a batch, (n, ...); for one example pass x[None]")
    rows = len(raw)
    if rows == 0:
        raise ValueError(f"{name}x is empty: its shape is {raw.shape}")
    try:
        targets = loss.as_target(y, model.dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}{error}") from error
    check_finite(targets, f"{name}y")
    if targets.ndim == 0 or len(targets) != rows:
        given = len(targets) if targets.ndim else "none"
        raise ValueError(f"{name}x has {rows} rows and {name}y has {given}; expected the same number")
    if sample_weight is None:
        return targets, None
    return targets, example_weights(sample_weight, rows, model.dtype, f"{name}sample_weight")


def check_fit(model: Sequential, loss: Loss, examples: Examples, name: str = "") -> None:
    """Raise ValueError if inputs or targets do not fit the network, or if the loss ignores the weights."""
    try:
        _check_values(model[0], examples.x)
    except ValueError as error:
        raise ValueError(f"{name}x: {error}") from None
    outputs = model.infer(examples.x[:2])
    try:
        if outputs.ndim == 2:
            _check_names(model, loss, outputs.shape[1])
            loss.check_target(examples.y, outputs.shape[1])
    except ValueError as error:
        raise ValueError(f"{name}{error}") from None
    if examples.weights is not None and is_own(loss):
        _check_weighs(loss, outputs, examples.y[:2])


def _check_values(first: Layer, x: np.ndarray | Inputs) -> None:
    """Raise ValueError if the first layer does not take all values, such as categories; files are read in parts."""
    if type(first).check_examples is Layer.check_examples:
        return
    for rows in [slice(0, len(x))] if isinstance(x, np.ndarray) else x.parts():
        first.check_examples(x[rows], rows.start)


def _check_names(model: Sequential, loss: Loss, outputs: int) -> None:
    """Raise ValueError unless there is one class name for each class."""
    classes = 2 if loss.output_kind == "binary" else outputs
    names = model.class_names
    if names is None or loss.output_kind not in NAMED or len(names) == classes:
        return
    listed = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    raise ValueError(
        f"there are {len(names)} classes, {listed}; expected {classes} for {outputs} outputs of the network and "
        f"{type(loss).__name__}: change its last layer, or model.class_names"
    )


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
