"""Checks of the data: values, targets, and scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...nn.context import Context
from ...nn.layers import Flatten
from ...nn.losses import BCEWithLogitsLoss, FocalLoss
from ...nn.random import Stream
from ...nn.traversal import NORMS, amounts
from ...training.examples import NAMED, Examples, class_numbers, prepare, target_amounts
from ...training.labels import text_labels
from ...utils.arrays import as_array, check_finite, numeric
from ...utils.config import is_own
from ..target_figures import UNEVEN_TARGETS, unevenness
from .case import MAX_ROWS, MULTIPLIES, Case, chain
from .relation import recognised
from .report import Check, failed, noted, passed, skipped, warned
from .rows import far_fewer_than_rows, row_keys, shared_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...nn.loss import Loss

NORMALIZE = "Subtract the training part's mean and divide by its standard deviation, as pynn.preprocessing.Standardize."
OF_IMAGES = (
    "Subtract each channel's mean and divide by its standard deviation, as pynn.preprocessing.ChannelStandardize."
)

#: This many classes or more, with fewer examples than this in each, on average, may be amounts.
MANY_CLASSES, FEW_EACH = 20, 5
#: Root mean square of targets above which scaling them helps.
LARGE_TARGETS = 30.0
#: Minimum ratio of the commonest class's examples to the rarest's for a note.
RARE = 15
#: Minimum ratio of a channel's root mean square to the median one for a warning about different scales.
UNEVEN = 30.0
#: Minimum ratio of a feature's standard deviation to another's for a note about different scales.
UNEVEN_FEATURES = 100.0
#: What a loss for yes or no takes.
YES_OR_NO = "Give 0 for no and 1 for yes, in the shape of the outputs; for amounts take pynn.MSELoss."
#: Share of the training examples that may occur again with another label.
CONTRADICTED = 0.05
#: Why inputs have no scale.
CATEGORIES = "all inputs number the categories of an embedding"


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


def target_range(case: Case) -> Check:
    """Check that the targets fit the network's outputs and the loss."""
    name, y = "targets", case.examples.y
    outputs = case.output_shape
    parts = [("", y)] + ([("validation ", case.validation.y)] if case.validation is not None else [])
    for part, targets in parts:
        try:
            if len(outputs) == 2:
                case.loss.check_target(targets, outputs[1])
        except ValueError as error:
            advice = "Number the classes from 0, and give the last layer one output per class."
            return failed(name, None, f"{part}{error}", YES_OR_NO if case.loss.output_kind == "binary" else advice)
        if isinstance(case.loss, BCEWithLogitsLoss) and (targets.min() < 0 or targets.max() > 1):
            evidence = f"{part}targets run from {targets.min():g} to {targets.max():g}; the loss takes 0 to 1"
            return failed(name, None, evidence, YES_OR_NO)
    labels = case.labels(y, outputs)
    if (labels or case.loss.output_kind == "binary") and (share := contradicted_share(case)) > CONTRADICTED:
        evidence = f"{share:.0%} of the training examples occur again with another label"
        return warned(name, "not_learning", evidence, "Look at how the labels were made, and keep one of each.")
    if labels:
        classes = len(np.unique(y))
        if classes >= MANY_CLASSES and len(y) < FEW_EACH * classes:
            evidence = f"{classes} classes in {len(y)} examples: they may be amounts"
            advice = "For amounts take one output and pynn.MSELoss; on the command line, --task regression."
            return warned(name, None, evidence, advice)
        return passed(name, f"labels {y.min()} to {y.max()} for {outputs[1]} outputs")
    return passed(name, f"values from {y.min():.4g} to {y.max():.4g}")


def contradicted_share(case: Case) -> float:
    """Return what share of the examples occur again with another label, though examples do not repeat by chance.

    By chance, validation examples would repeat those of training as well; without them, nothing is known.
    """
    x, y = (array.reshape(len(array), -1) for array in (case.examples.x, case.examples.y))
    held_out = None if case.validation is None else case.validation.x.reshape(len(case.validation.x), -1)
    if held_out is None or not len(held_out) or held_out.shape[1] != x.shape[1]:
        return 0.0
    keys = row_keys(x)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) == len(keys):
        return 0.0
    other = np.zeros(len(first), dtype=bool)
    other[group[(y != y[first[group]]).any(axis=1)]] = True
    share = float(other[group].mean())
    by_chance = float(shared_rows(row_keys(held_out), keys).mean()) > share / 2 or far_fewer_than_rows(x)
    return 0.0 if by_chance else share


def label_balance(case: Case) -> Check:
    """Check that always predicting the most common class does not score well."""
    name, y = "label balance", case.examples.y
    binary = case.loss.output_kind == "binary"
    if binary and y.size != len(y):
        shares = y.reshape(len(y), -1).mean(axis=0)
        return passed(name, f"positives per output from {shares.min():.2%} to {shares.max():.2%}")
    if binary:
        counts = np.array([np.sum(y <= 0.5), np.sum(y > 0.5)])
    elif case.labels(y, case.output_shape or (1, 2)):
        counts = np.bincount(y[y >= 0])
    else:
        return skipped(name, "only for classes")
    if np.count_nonzero(counts) < 2:
        label = int(counts.argmax()) if binary else int(y.flat[0])
        evidence = f"all {len(y)} examples are of class {case.class_name(label)}"
        if binary and len(y) > 1 and y.min() == y.max():
            evidence = f"all {len(y)} targets are {y.min():g}"
        advice = "Check how the labels were made: there is nothing to tell apart."
        return failed(name, "class_imbalance", evidence, advice)
    return _balance_of(case, counts)


def _balance_of(case: Case, counts: np.ndarray) -> Check:
    """Return the check by the number of examples of each class."""
    name, symptom, y = "label balance", "class_imbalance", case.examples.y
    advice = "Weight the rare classes in the loss or sample them more often, and judge by more than accuracy."
    present = counts[counts > 0]
    shares = present / present.sum()
    evenness = (float(np.exp(-np.sum(shares * np.log(shares)))) - 1) / (len(present) - 1)
    rare, common = int(np.where(counts > 0, counts, len(y) + 1).argmin()), int(counts.argmax())
    evidence = f"{len(present)} classes; "
    if present.min() == present.max():
        evidence += f"each has {present.max()} of {len(y)} examples"
    else:
        evidence += f"the rarest, {case.class_name(rare)}, has {shares.min():.2%} of {len(y)} examples, "
        evidence += f"the commonest, {case.class_name(common)}, {shares.max():.2%}"
    weighted = _is_weighted(case)
    if evenness < 0.25 and shares.max() > 0.9 and len(y) >= 20:
        if weighted:
            return passed(name, f"{evidence}; weights make up for it")
        others = (y > 0.5).reshape(-1) != common if case.loss.output_kind == "binary" else y != common
        apart = recognised(case, others)
        if apart > 0.5:
            evidence += f"; neighbours recognise {apart:.0%} of the others: they lie apart"
            return noted(name, symptom, evidence, advice)
        return warned(name, symptom, evidence, advice)
    if present.min() * RARE < present.max() and not weighted and case.size >= 20:
        return noted(name, symptom, f"{evidence}: {present.min()} against {present.max()}", advice)
    return passed(name, evidence)


def _is_weighted(case: Case) -> bool:
    """Return whether examples or classes have weights, or the loss weights rare classes itself."""
    settings = (case.examples.weights, getattr(case.loss, "weight", None), getattr(case.loss, "pos_weight", None))
    return any(setting is not None for setting in settings) or isinstance(case.loss, FocalLoss)


def target_scale(case: Case) -> Check:
    """Check that regression targets vary and have a scale that the network reaches quickly."""
    name, y = "target scale", case.examples.y
    if case.loss.output_kind in ("classes", "scores", "binary") or case.labels(y, case.output_shape or (1,)):
        return skipped(name, "only for regression")
    values = y.astype(np.float64)
    mean, spread, size = float(values.mean()), float(values.std()), rms(values)
    evidence = f"mean {mean:.4g}, standard deviation {spread:.4g}"
    if len(y) > 1 and not np.ptp(values, axis=0).any():
        return failed(name, "not_learning", f"all {len(y)} targets are the same", "Check how the targets were made.")
    advice = "Scale the targets to mean 0 and standard deviation 1, and the predictions back."
    if size > 1e5:
        return failed(name, "bad_initial_loss", evidence, advice)
    uneven = unevenness(values)
    if uneven > UNEVEN_TARGETS:
        evidence += f"; the standard deviations of the targets differ by a factor of {uneven:.3g}"
        return warned(name, "bad_initial_loss", evidence, "Scale each target to mean 0 and standard deviation 1.")
    if size > 500 or (spread < 1e-3 * max(size, 1) and spread < 1e-3):
        return warned(name, "bad_initial_loss", evidence, advice)
    if size > LARGE_TARGETS:
        return noted(name, "bad_initial_loss", f"{evidence}: the outputs, of order 1, have far to go", advice)
    return passed(name, evidence)


def first_inputs(case: Case, x: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the input of pynn's first layer with weights, and that layer's class name.

    Earlier layers, such as a custom one that divides by 255, count as preprocessing. Numbers of categories, which an
    embedding takes, are left out.
    """
    layers = chain(case.model)
    x = amounts((layer for _, layer in layers), x)
    for _, layer in layers:
        kind = type(layer).__name__
        if layer.parameters() and not is_own(layer):
            return x, kind
        if not isinstance(layer, Flatten) and not is_own(layer) and layer is not layers[0][1]:
            return x, kind
        x = layer.forward(x, Context(random=Stream(case.seed)))
    return x, kind


def _sample(case: Case) -> np.ndarray:
    """Return inputs for statistics: up to 2000 examples, and fewer large ones."""
    return case.take(case.rows(min(2000, max(200, 1_000_000 // max(1, math.prod(case.examples.x.shape[1:])))))).x


def input_scale(case: Case) -> Check:
    """Check that the network's inputs are of order one."""
    name = "input scale"
    x, first = first_inputs(case, _sample(case))
    if not x.size:
        return skipped(name, CATEGORIES)
    values = x.astype(np.float64)
    size, largest = rms(values), float(np.abs(values).max())
    evidence = f"rms {size:.3g}, from {values.min():.3g} to {values.max():.3g} as the network gets them"
    symptom, advice, uneven = "input_not_normalised", NORMALIZE, False
    if x.ndim == 4:
        of_channels = np.sqrt(np.square(values).mean(axis=(0, 2, 3)))
        varies = of_channels[of_channels > 0]
        uneven = bool(len(varies)) and float(varies.max()) > UNEVEN * float(np.median(varies))
        shown = ", ".join(f"{each:.3g}" for each in of_channels[:6]) + ", ..." * (len(of_channels) > 6)
        evidence += f"; rms of each channel {shown}" if len(of_channels) > 1 else ""
        advice = OF_IMAGES
    if first.startswith("BatchNorm"):
        return passed(name, f"{evidence}; batch norm comes first")
    kinds = [layer for _, layer in chain(case.model) if type(layer) is not Flatten]
    normalized = any(isinstance(layer, NORMS) for layer in kinds[:3])
    if size > 3 and sum(isinstance(layer, MULTIPLIES) for _, layer in chain(case.model)) == 1:
        return noted(name, symptom, f"{evidence}; without a hidden layer only the rate has to suit it", advice)
    if size > 10 and not normalized:
        return failed(name, symptom, evidence, advice)
    if size > 5 or (uneven and not case.trained) or largest < 0.02:
        return warned(name, symptom, evidence, advice)
    if size > 3:
        return noted(name, symptom, evidence, advice)
    small = _smallest_spread(values)
    if x.ndim == 2 and values.std(axis=0).max() > UNEVEN_FEATURES * small > 0:
        evidence += f"; standard deviations of the features from {small:.2g} to {values.std(axis=0).max():.2g}"
        return noted(name, symptom, f"{evidence}: the small ones hardly count at first", advice)
    return passed(name, evidence)


def _smallest_spread(values: np.ndarray) -> float:
    """Return the least standard deviation of a feature that is no flag, 0 in most examples; 0 without such features."""
    spreads = values.reshape(len(values), -1).std(axis=0)
    dense = (spreads > 0) & (np.mean(values.reshape(len(values), -1) != 0, axis=0) > 0.5)
    return float(spreads[dense].min(initial=np.inf)) if dense.any() else 0.0


def input_centring(case: Case) -> Check:
    """Check that the features vary around zero."""
    name = "input centring"
    x, first = first_inputs(case, _sample(case))
    if not x.size:
        return skipped(name, CATEGORIES)
    values = x.reshape(len(x), -1).astype(np.float64)
    means, spreads = values.mean(axis=0), values.std(axis=0)
    varies = spreads > 1e-6 * np.maximum(np.abs(means), 1e-30)
    if len(values) < 2 or not varies.any():
        return skipped(name, "no feature varies")
    offset = float(np.median(np.abs(means[varies]) / spreads[varies]))
    one_sign = float(np.mean((values >= 0).all(axis=0) | (values <= 0).all(axis=0)))
    evidence = f"features lie {offset:.2g} standard deviations from 0 (median); {one_sign:.0%} have one sign only"
    if offset > 10 and not first.startswith("BatchNorm"):
        return warned(name, "input_not_normalised", evidence, OF_IMAGES if x.ndim == 4 else NORMALIZE)
    return passed(name, evidence)


def constant_features(case: Case) -> Check:
    """Check that features are not constant; some constant ones, such as image margins, are normal."""
    name = "constant features"
    x = case.examples.x
    values = x.reshape(case.size, -1)
    constant = int((np.ptp(values, axis=0) == 0).sum()) if case.size > 1 else 0
    evidence = f"{constant} of {values.shape[1]} features have one value only"
    empty = [c for c in range(x.shape[1]) if np.ptp(x[:, c]) == 0] if x.ndim == 4 and case.size > 1 else []
    if case.size > 1 and constant == values.shape[1]:
        advice = "Check how the features were read: no example differs from another."
        return failed(name, "not_learning", evidence, advice)
    if empty:
        evidence += f"; so has the whole of channel {', '.join(map(str, empty))}"
        return warned(name, None, evidence, "Check how the images were read: an empty channel carries no information.")
    if constant > 0.9 * values.shape[1] and values.shape[1] >= 10 and case.size >= 20:
        return warned(name, None, evidence, "Check how the features were read: hardly any of them carries information.")
    return passed(name, evidence)


def rms(values: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
