"""Check that the network's output, the loss and the targets belong together, judged by what they do."""

from __future__ import annotations

import functools

import numpy as np

from ...nn.layers import Dropout, Flatten, ReLU, Softplus
from ...nn.losses import NLLLoss
from ...nn.regression_losses import KLDivLoss
from ...utils.config import is_own
from ..activations import range_of
from .case import MULTIPLIES, Case
from .loss_traits import LossTraits
from .numbered_classes import share_named
from .report import Check, failed, noted, passed, warned
from .walk import chain

NETWORK_OUTPUT = "network output"
#: Factors of the last weights that drive the last activation to the ends of its range.
STRONG = (1e2, 1e4, -1e4)
#: How near to 1 a sum of probabilities is.
ROUNDING = 1e-3


class Outputs:
    """What a network gives, with the weights as they are and with large ones in the last layer.

    Attributes
    ----------
    last_name, last : str and Layer
        The last layer but for dropout and flattening.
    usual : ndarray
        Outputs with the weights as they are.
    strong : list of ndarray
        Outputs with each factor of `STRONG`, if there are weights and the outputs are finite.
    """

    def __init__(self, case: Case) -> None:
        layers = [item for item in chain(case.model) if not isinstance(item[1], Dropout | Flatten)]
        self.last_name, self.last = layers[-1]
        x = case.take(case.rows(case.affordable(256))).x
        self.usual = case.model.infer(x).astype(np.float64)
        self.strong: list[np.ndarray] = []
        model = case.copy_model()
        weighted = [layer for layer in model.all_layers() if isinstance(layer, MULTIPLIES)]
        for factor in STRONG if weighted else ():
            weights = weighted[-1].weight
            given = weights.data.copy()
            weights[...] = given * factor
            strong = model.infer(x[:64]).astype(np.float64)
            self.strong += [strong] if np.isfinite(strong).all() else []
            weights[...] = given

    @property
    def _all(self) -> list[np.ndarray]:
        return [self.usual, *self.strong]

    def _sums_to_one(self, axis: int) -> bool:
        if self.usual.ndim != 2 or self.usual.shape[axis] < 2:
            return False
        return all(out.min() >= 0 and np.abs(out.sum(axis=axis) - 1).max() < ROUNDING for out in self._all)

    @functools.cached_property
    def rows_sum_to_one(self) -> bool:
        """Whether the outputs of each example are probabilities, as after a softmax."""
        return self._sums_to_one(1)

    @functools.cached_property
    def columns_sum_to_one(self) -> bool:
        """Whether an output sums to 1 over the examples, as after a softmax over the wrong axis."""
        return self._sums_to_one(0) and not self.rows_sum_to_one

    @property
    def always_one(self) -> bool:
        """Whether the output is 1 for every example, whatever the weights, as that of a softmax of a single unit."""
        return all(np.abs(out - 1).max() < ROUNDING for out in self._all) and bool(self.strong)

    @property
    def log_probabilities(self) -> bool:
        """Whether the exponentials of an example's outputs sum to 1."""
        return all(np.abs(np.exp(out).sum(axis=1) - 1).max() < ROUNDING for out in self._all)

    @property
    def reach(self) -> tuple[float, float]:
        """The least and largest output that the last layer can give."""
        if not is_own(self.last) or len(self.strong) < 2:
            return range_of(self.last)
        strong, stronger = self.strong[:2]
        low, high = float(stronger.min()), float(stronger.max())
        near = 0.01 * float(np.ptp(strong))
        return low if abs(strong.min() - low) <= near else -np.inf, high if abs(strong.max() - high) <= near else np.inf


def network_output(case: Case) -> Check:
    """Check that output, loss and targets belong together: logits for a softmax, targets in range, and so on."""
    outputs = Outputs(case)
    evidence = f"outputs from {outputs.usual.min():.3g} to {outputs.usual.max():.3g}"
    final_name, final = chain(case.model)[-1]
    if isinstance(final, Dropout) and final.p > 0:
        evidence += f", of which dropout zeroes {final.p:.0%} in training"
        advice = f"Remove {final_name}: dropout belongs between layers."
        return warned(NETWORK_OUTPUT, "underfitting", evidence, advice, final_name)
    if outputs.always_one:
        evidence += " whatever the weights: a softmax of a single unit is always 1"
        advice = f"Remove {outputs.last_name}; for yes or no take one output and pynn.BCEWithLogitsLoss."
        return failed(NETWORK_OUTPUT, "not_learning", evidence, advice, outputs.last_name)
    if outputs.columns_sum_to_one:
        evidence += ", and each output sums to 1 over the examples: a softmax over the batch, not over the classes"
        advice = "Take the softmax over axis 1, or leave it to pynn.CrossEntropyLoss."
        return failed(NETWORK_OUTPUT, "not_learning", evidence, advice, outputs.last_name)
    if case.loss.output_kind in ("classes", "scores", "binary"):
        return _as_logits(case, outputs, evidence)
    return _with_loss(case, outputs, evidence) or _in_reach(case, outputs, evidence)


def _with_loss(case: Case, outputs: Outputs, evidence: str) -> Check | None:
    """Return what is wrong with outputs and a loss of values, or of the user's own."""
    name, last_name, traits = NETWORK_OUTPUT, outputs.last_name, LossTraits(case)
    if outputs.rows_sum_to_one and (sums := _sums_of_targets(case, outputs)) is not None:
        evidence += f", of each example summing to 1, but the targets of an example sum to {sums[0]:g} to {sums[1]:g}"
        advice = "Take a sigmoid for each output, or pynn.BCEWithLogitsLoss without one: a softmax lets one class win."
        return failed(name, "underfitting", evidence, advice, last_name)
    if case.own_loss:
        if not traits.pairs:
            evidence = f"outputs have shape {outputs.usual.shape}, targets {case.examples.y.shape}, and the loss stays "
            evidence += "the same if the examples exchange their targets: it compares each output with all targets"
            advice = "Give both one shape, such as target.reshape(prediction.shape): (n, 1) - (n,) makes (n, n)."
            return failed(name, "not_learning", evidence, advice)
        if (label := traits.ignored_label) is not None:
            evidence = (
                f"the loss has no slope for examples whose target is {label:g}, whatever the output: it ignores them"
            )
            advice = "Give the labels that the loss takes, such as -1 and 1 for a hinge loss of your own."
            return failed(name, "not_learning", evidence, advice)
        if traits.batch_shift_free:
            evidence = "the loss stays the same if one output grows alike in all examples: a softmax over the batch"
            return failed(name, "not_learning", evidence, "Take the softmax over axis 1, the classes.")
        if traits.shift_free and outputs.rows_sum_to_one:
            evidence += ", of each example summing to 1: these are probabilities, and the loss applies a softmax again"
            return failed(name, "not_learning", evidence, f"Remove {last_name}, or the softmax in the loss.", last_name)
        if not outputs.rows_sum_to_one and (traits.takes_log or traits.scale_free):
            return _as_probabilities(case, outputs, traits, evidence)
    if isinstance(case.loss, KLDivLoss) and outputs.usual.ndim == 2 and not outputs.log_probabilities:
        evidence += ", which are no logarithms of probabilities as KLDivLoss takes them"
        return failed(name, "not_learning", evidence, "End the network in pynn.LogSoftmax.", last_name)
    of_amounts = case.loss.output_kind == "values" and not isinstance(case.loss, KLDivLoss)
    if (traits.squares or of_amounts) and _one_hot(case, outputs):
        kind = "a squared error" if traits.squares else f"{type(case.loss).__name__}, a loss of amounts,"
        evidence += f", and {kind} to one-hot classes"
        advice = "Take pynn.CrossEntropyLoss, whose slope does not vanish, and give it scores without a softmax."
        if outputs.reach[1] <= 1 or outputs.rows_sum_to_one:
            evidence += f"; its slope vanishes where {last_name} is sure, right or wrong"
            return warned(name, "underfitting", evidence, advice, last_name)
        if outputs.usual.shape[1] > 2 and not case.own_loss and not np.any(case.loss.best_constant(case.examples.y)):
            return warned(name, "underfitting", f"{evidence}; outputs of 0 for all classes please it well", advice)
        return noted(name, "underfitting", evidence, advice)
    return _numbered(case, outputs, evidence) if of_amounts else None


def _numbered(case: Case, outputs: Outputs, evidence: str) -> Check | None:
    """Return that targets of one output are numbers of classes, not amounts."""
    if outputs.usual.shape[1:] != (1,) or (named := share_named(case)) is None:
        return None
    evidence += f", for targets that are the numbers of {int(np.ptp(case.examples.y)) + 1} classes: neighbours name "
    evidence += f"{named:.0%} of them exactly, and examples that are alike do not have numbers that are close"
    advice = "Give the last layer one output per class, and take pynn.CrossEntropyLoss."
    return warned(NETWORK_OUTPUT, "underfitting", evidence, advice, outputs.last_name)


def _as_probabilities(case: Case, outputs: Outputs, traits: LossTraits, evidence: str) -> Check | None:
    """Return what is wrong with outputs of which a loss of the user's own takes the logarithm."""
    name, last_name = NETWORK_OUTPUT, outputs.last_name
    advice = "End the network in a softmax (or, for yes or no, a sigmoid), or take a loss that includes it."
    # Outputs that start above 0 by chance need not stay there.
    negative = max(float(np.mean(out < 0)) for out in (outputs.usual, *outputs.strong))
    above = float(np.mean(outputs.usual > 1 + ROUNDING))
    zero = float(np.mean(outputs.usual == 0))
    if negative + zero + (above if traits.takes_log else 0.0) > 0.01:
        evidence += f"; the loss takes their logarithm as that of probabilities, but {negative:.0%} are negative, "
        evidence += f"{zero:.0%} are 0, {above:.0%} are above 1"
        return failed(name, "not_learning", evidence, advice, last_name)
    if _one_hot(case, outputs):
        evidence += "; a loss of classes takes their logarithm, though the outputs of an example do not sum to 1"
        advice = "Take a softmax instead, so that one class gains what the others lose."
        if traits.takes_log:
            return warned(name, "not_learning", evidence, advice, last_name)
        return noted(name, None, f"{evidence} before the loss divides by the sum", advice, last_name)
    return None


def _sums_of_targets(case: Case, outputs: Outputs) -> tuple[float, float] | None:
    """Return the least and largest sum of an example's targets; None if usually 1, or of another form."""
    y = case.examples.y
    if y.shape[1:] != outputs.usual.shape[1:]:
        return None
    sums = y.sum(axis=1, dtype=np.float64)
    return (float(sums.min()), float(sums.max())) if np.mean(np.abs(sums - 1) > 0.01) > 0.1 else None


def _one_hot(case: Case, outputs: Outputs) -> bool:
    """Return whether the targets are classes as one-hot rows."""
    y = case.examples.y
    if y.ndim != 2 or y.shape[1] < 2 or y.shape[1:] != outputs.usual.shape[1:]:
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _as_logits(case: Case, outputs: Outputs, evidence: str) -> Check:
    """Check that outputs that a loss turns into probabilities are neither probabilities yet nor bounded."""
    name, kind, last_name, last = NETWORK_OUTPUT, case.loss.output_kind, outputs.last_name, outputs.last
    output = outputs.usual
    remove = f"Remove {last_name}: the loss itself turns any numbers into probabilities."
    if isinstance(case.loss, NLLLoss) and not outputs.log_probabilities:
        evidence += f", which are no logarithms of probabilities as {type(case.loss).__name__} takes them"
        advice = "End the network in pynn.LogSoftmax, or take pynn.CrossEntropyLoss."
        return failed(name, "not_learning", evidence, advice, last_name)
    if outputs.rows_sum_to_one:
        again = "sigmoid" if kind == "binary" else "softmax"
        evidence += f", of each example summing to 1: these are probabilities, and the loss applies a {again} again"
        return failed(name, "not_learning", evidence, remove, last_name)
    if np.isfinite(range_of(last)).all():
        evidence += f", which {type(last).__name__} bounds: the loss cannot come near 0"
        return failed(name, "saturated_units", evidence, remove, last_name)
    if isinstance(last, ReLU | Softplus):
        evidence += f", never negative after {type(last).__name__}"
        report = failed if kind == "binary" else warned
        return report(name, "dead_units", evidence, remove, last_name)
    inside = output.min() >= 0 and output.max() <= 1 and len(output) >= 8 and output.std() > 0
    if kind == "binary" and is_own(last) and inside:
        evidence += ": these look like probabilities"
        return failed(name, "saturated_units", evidence, remove, last_name)
    if kind != "binary" and output.ndim == 2 and len(np.unique(case.examples.y)) * 3 < output.shape[1]:
        found = len(np.unique(case.examples.y))
        if case.size >= 10 * output.shape[1]:
            evidence = f"{output.shape[1]} outputs for {found} classes that occur"
            return warned(name, None, evidence, "Give the last layer one output per class.")
    return passed(name, evidence)


def _in_reach(case: Case, outputs: Outputs, evidence: str) -> Check:
    """Check that the last layer can give the targets."""
    name, last_name = NETWORK_OUTPUT, outputs.last_name
    reach, y = outputs.reach, case.examples.y
    if reach != (-np.inf, np.inf) and y.shape[1:] == outputs.usual.shape[1:]:
        outside = float(np.mean((y < reach[0] - 1e-6) | (y > reach[1] + 1e-6)))
        evidence += f", and {outside:.0%} of the targets lie outside [{reach[0]:g}, {reach[1]:g}]"
        advice = f"Remove {last_name}, or scale the targets to what it can give."
        if outside > 0.05:
            return failed(name, "underfitting", evidence, advice, last_name)
    return passed(name, evidence)
