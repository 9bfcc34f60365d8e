"""Checks of the targets: their range, the balance of classes, and the scale of amounts."""

from __future__ import annotations

import numpy as np

from ...nn.losses import BCEWithLogitsLoss, FocalLoss
from ..target_figures import UNEVEN_TARGETS, unevenness
from .case import Case
from .inputs import rms
from .relation import recognised
from .report import Check, failed, noted, passed, skipped, warned
from .rows import far_fewer_than_rows, row_keys, shared_rows

#: This many classes or more, with fewer examples than this in each, on average, may be amounts.
MANY_CLASSES, FEW_EACH = 20, 5
#: Root mean square of targets above which scaling them helps.
LARGE_TARGETS = 30.0
#: Minimum ratio of the commonest class's examples to the rarest's for a note.
RARE = 15
#: What a loss for yes or no takes.
YES_OR_NO = "Give 0 for no and 1 for yes, in the shape of the outputs; for amounts take pynn.MSELoss."
#: Share of the training examples that may occur again with another label.
CONTRADICTED = 0.05


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
