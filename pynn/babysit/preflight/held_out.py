"""Checks of the validation data: copies of training examples, and another scale."""

from __future__ import annotations

import numpy as np

from ...nn.traversal import amounts
from .case import Case
from .inputs import CATEGORIES, rms
from .report import Check, failed, passed, skipped, warned
from .rows import far_fewer_than_rows, is_truth_table, near_duplicates, row_keys, shared_rows
from .walk import chain

#: At most so many features have their correlations compared. Correlations are clear above this multiple of the noise.
#: Other features belong together in validation if the correlations agree less than this.
MOST_COMPARED, CLEAR, UNRELATED = 200, 3.0, 0.3


def validation_duplicates(case: Case) -> Check:
    """Check that validation examples do not occur in the training data."""
    name = "validation duplicates"
    raw = case.raw_validation
    if raw is None or case.validation is None:
        return skipped(name, "there is no validation data")
    train, held_out = (array.reshape(len(array), -1) for array in (case.raw[0], raw[0]))
    if train.shape[1] != held_out.shape[1]:
        return skipped(name, "training and validation examples differ in shape")
    if is_truth_table(train):
        return passed(name, f"the {len(train)} training examples are a whole truth table: there are no others")
    keys = row_keys(train)
    shared = shared_rows(row_keys(held_out), keys)
    _, counts = np.unique(keys, return_counts=True)
    within = float(counts[counts > 1].sum() / len(keys))
    share = float(shared.mean())
    evidence = (
        f"{int(shared.sum())} of {len(held_out)} validation examples ({share:.1%}) are also in the training data, "
        f"where {within:.1%} occur more than once"
    )
    advice = "Split so that no example, nor a copy of it, is on both sides."
    natural = far_fewer_than_rows(train)
    if natural:
        if share > 0.5 and share > 3 * within:
            return warned(name, None, evidence, advice)
        return passed(name, f"{evidence}; the features take so few values that chance explains it")
    if share > 0.2 and share > 2 * within:
        return failed(name, None, evidence, advice)
    # Rows that occur twice by chance fall on both sides as often as within one.
    expected = within * len(held_out)
    if share > 0.01 and (share > 0.2 or shared.sum() > expected + 3 * np.sqrt(max(expected, 1))):
        return warned(name, None, evidence, advice)
    near = near_duplicates(
        case.examples.x.reshape(case.size, -1), case.validation.x.reshape(len(case.validation.x), -1), case.generator(2)
    )
    if near > max(0.05, 2 * within) and near * len(held_out) > 2:
        evidence = f"{near:.1%} of the validation examples nearly equal one of the training data"
        return (failed if near > 0.2 else warned)(name, None, evidence, advice)
    return passed(name, evidence)


def validation_scale(case: Case) -> Check:
    """Check that training and validation data had the same preprocessing."""
    name = "validation scale"
    if case.validation is None:
        return skipped(name, "there is no validation data")
    if (unlike := _unlike_targets(case)) is not None:
        return failed(name, None, unlike, "Scale the targets of validation as those of training.")
    layers = [layer for _, layer in chain(case.model)]
    train, held_out = (
        amounts(layers, x).reshape(len(x), -1).astype(np.float64) for x in (case.examples.x, case.validation.x)
    )
    if not train.size:
        return skipped(name, CATEGORIES)
    if train.shape[1] != held_out.shape[1]:
        return skipped(name, "training and validation examples differ in shape")
    spread = train.std(axis=0)
    varies = spread > 1e-9
    ratio = rms(held_out) / max(rms(train), 1e-30)
    if not varies.any() or len(held_out) < 5:
        return skipped(name, "too few validation examples to compare")
    shift = np.abs(held_out.mean(axis=0) - train.mean(axis=0))[varies] / spread[varies]
    typical, noise = float(np.median(shift)), 3 / np.sqrt(len(held_out))
    widths = float(np.median(held_out.std(axis=0)[varies] / spread[varies]))
    evidence = (
        f"validation features have {widths:.2g} times the training features' standard deviation, their means lie "
        f"{typical:.2g} standard deviations away (medians), their rms is {ratio:.2g} times as large"
    )
    advice = "Send both through one preprocessing, fitted on the training part: set model.preprocessing."
    if ratio > 5 or ratio < 0.2 or typical > 2 + noise:
        return failed(name, "input_not_normalised", evidence, advice)
    if (alike := _relations_alike(train[:, varies], held_out[:, varies])) < UNRELATED:
        evidence = f"which features rise and fall together is another in validation (agreement {alike:.2f})"
        return failed(name, "input_not_normalised", evidence, "Bring the columns, or pixels, into the training order.")
    # A few outliers change the rms, and hardly any feature's standard deviation.
    stretched = (ratio > 2 and widths > 1.5) or (ratio < 0.5 and widths < 0.67)
    if stretched or typical > 0.75 + noise:
        return warned(name, "input_not_normalised", evidence, advice)
    return passed(name, evidence)


def _relations_alike(train: np.ndarray, held_out: np.ndarray) -> float:
    """Return how far the correlations between features agree in both parts; 1 if they are too weak to tell."""
    chosen = np.unique(np.linspace(0, train.shape[1] - 1, MOST_COMPARED).astype(int))
    relations = []
    for part in (train[:, chosen], held_out[:, chosen]):
        part = part - part.mean(axis=0)
        part /= np.maximum(part.std(axis=0), 1e-9)
        relations.append((part.T @ part / len(part))[np.triu_indices(len(chosen), 1)])
    noise = 1 / np.sqrt([len(train), len(held_out)])
    sizes = [rms(each) if each.size else 0.0 for each in relations]
    if any(size < CLEAR * error for size, error in zip(sizes, noise, strict=True)):
        return 1.0
    return float(relations[0] @ relations[1] / relations[0].size / (sizes[0] * sizes[1]))


def _unlike_targets(case: Case) -> str | None:
    """Return in what the amounts to be predicted differ between training and validation, if much."""
    assert case.validation is not None
    train, held_out = (y.astype(np.float64) for y in (case.examples.y, case.validation.y))
    values = case.examples.y.dtype.kind == "f" and case.loss.output_kind not in ("classes", "scores", "binary")
    if not values or train.shape[1:] != held_out.shape[1:]:
        return None
    (low, middle, high), (other_low, other_middle, other_high) = (
        np.percentile(y, (10, 50, 90)) for y in (train, held_out)
    )
    width, other_width = high - low, other_high - other_low
    if not width > 0 or not other_width > 0:
        return None
    if 0.2 < other_width / width < 5 and abs(other_middle - middle) < 2 * (width + other_width):
        return None
    return (
        f"80% of the validation targets lie from {other_low:.3g} to {other_high:.3g}, "
        f"of the training targets from {low:.3g} to {high:.3g}"
    )
