"""The data of a run: whether they can be used, and preprocessing as `fit` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...training.examples import NAMED, Examples, class_numbers, prepare, target_amounts
from ...training.labels import text_labels
from ...utils.arrays import as_array, check_finite, numeric
from .case import Case
from .report import Check, failed, passed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...nn.loss import Loss

#: Maximum number of rows per check; the searches for NaN and duplicates use all rows.
MAX_ROWS = 10_000


class RawData(NamedTuple):
    """The data of a run, as `Trainer.fit` takes them."""

    x: ArrayLike
    y: ArrayLike
    validation: tuple[ArrayLike, ArrayLike] | None = None
    sample_weight: ArrayLike | None = None


def raw_values(loss: Loss, raw: RawData) -> list[Check]:
    """Check that training and validation arrays hold finite numbers and have equal lengths."""
    checks = [_arrays("data values", "", loss, raw.x, raw.y, raw.sample_weight)]
    if raw.validation is not None:
        checks.append(_arrays("validation values", "validation ", loss, *raw.validation, None))
    return checks


def _arrays(name: str, part: str, loss: Loss, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Check:
    try:
        labels = text_labels(y, f"{part}targets") if loss.output_kind in NAMED else None
        y = y if labels is None else np.zeros(len(labels))  # the names of classes, which are no numbers to check
        arrays = {f"{part}x": numeric(x, f"{part}x"), f"{part}y": as_array(y, f"{part}y")}
        if sample_weight is not None:
            arrays["sample_weight"] = numeric(sample_weight, "sample_weight")
    except (ValueError, TypeError) as error:
        return failed(name, None, str(error), "Give arrays of numbers, examples of one shape each.")
    lengths = {key: (np.shape(array) or (0,))[0] for key, array in arrays.items()}
    inputs = arrays[f"{part}x"]
    for key, array in arrays.items():
        if array.dtype.kind not in "fiub":
            return failed(name, None, f"{key} has dtype {array.dtype}; expected numbers", "Turn it into numbers.")
    if inputs.ndim < 2 or 0 in inputs.shape:
        evidence = f"{part}x has shape {inputs.shape}; expected (examples, features)"
        return failed(name, None, evidence, "Give one example per row, and at least one.")
    if len(set(lengths.values())) > 1:
        evidence = ", ".join(f"{key} has {length} rows" for key, length in lengths.items())
        return failed(name, None, evidence, "Give one target per example.")
    for key, array in arrays.items():
        try:
            check_finite(array, key)
        except ValueError as error:
            rows = int((~np.isfinite(array.reshape(len(array), -1))).any(axis=1).sum())
            evidence = f"{error}; {rows} of {len(array)} rows are affected"
            return failed(name, "non_finite", evidence, "Fill in or drop what is missing before training.")
    weights = arrays.get("sample_weight")
    if weights is not None and (weights.ndim != 1 or weights.min() < 0 or not weights.any()):
        evidence = f"sample_weight has shape {weights.shape}, from {weights.min():g} to {weights.max():g}"
        return failed(name, None, evidence, "Give one weight of at least 0 per example, not all of them 0.")
    return passed(name, f"{lengths[f'{part}x']} examples of shape {inputs.shape[1:]}, all values finite")


def load(case: Case, raw: RawData) -> list[Check]:
    """Preprocess the data on the copy, as `fit` would; return failed checks, if any."""
    x, y, validation, sample_weight = raw
    inputs, targets = numeric(x, "x"), as_array(class_numbers(case.model, case.loss, y, learn=True), "y")
    weights = None if sample_weight is None else numeric(sample_weight, "sample_weight")
    rows = np.arange(len(inputs))
    if len(rows) > MAX_ROWS:
        rows = np.sort(case.generator(1).permutation(len(rows))[:MAX_ROWS])
    case.raw = (inputs, targets)
    case.raw_validation = None if validation is None else (numeric(validation[0], "x"), as_array(validation[1], "y"))
    transformer = case.model.preprocessing
    if transformer is not None and not transformer.is_fitted:
        transformer.fit(inputs)
    try:
        target_amounts(case.model.target_preprocessing, targets, True, "")  # on all rows
        part = prepare(case.model, case.loss, inputs[rows], targets[rows], None if weights is None else weights[rows])
        check_finite(part.x, "x after preprocessing")
    except (ValueError, TypeError) as error:
        symptom = "non_finite" if "a NaN" in str(error) or "an infinity" in str(error) else None
        return [failed("targets", symptom, str(error), "Give data and targets in the form that network and loss take.")]
    ignored = getattr(case.loss, "ignore_index", None)
    if ignored is not None and part.y.ndim == 1:
        kept = part.y != ignored
        if not kept.any():
            evidence = f"all {len(kept)} targets are {ignored}, which the loss ignores"
            return [failed("targets", "not_learning", evidence, "Give labels to at least some examples.")]
        part = Examples(part.x[kept], part.y[kept], None if part.weights is None else part.weights[kept])
    if part.weights is not None and (part.weights > 0).any():
        counted = part.weights > 0
        part = Examples(part.x[counted], part.y[counted], part.weights[counted])
    case.examples = part
    if validation is not None:
        held_out = [array[:MAX_ROWS] for array in case.raw_validation or ()]
        try:
            case.validation = prepare(case.model, case.loss, *held_out, name="validation ")
            check_finite(case.validation.x, "validation x after preprocessing")
        except (ValueError, TypeError) as error:
            case.validation = None
            return [failed("validation values", None, str(error), "Give validation data of the training data's form.")]
    return []
