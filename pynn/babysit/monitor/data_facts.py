"""What the rules know about a run's data, and about the losses that they give before anything is learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...nn.losses import BCEWithLogitsLoss, PairedLoss, WeightedClassLoss
from ...utils.arrays import is_one_hot
from ..activations import RANGES
from ..target_figures import median_distance, unevenness
from .input_figures import SAMPLE, InputFigures

if TYPE_CHECKING:
    from ...nn.inputs import Inputs
    from ...nn.loss import Loss
    from .network_facts import NetworkFacts


@dataclass
class DataFacts:
    """The data of a run.

    Attributes
    ----------
    batch_size : int
        Examples of the first minibatch.
    examples : int
        Examples of the training data, or of the first minibatch if the data come batch by batch.
    inputs, held_out : InputFigures or None
        The inputs of training and validation; None if they have no scale, as numbers of categories.
    counts : ndarray or None
        Examples per class in the training data, or in the first minibatch.
    chance : float
        The accuracy of the most frequent class; NaN for regression.
    class_names : list of str or None
        Known once an epoch has ended.
    one_class_batches : float
        The mean share of a batch's largest class; NaN without classes.
    target_rms, target_std, target_spread, target_outlier, target_unevenness : float
        For regression: root mean square and standard deviation of the targets, the median of their distances from the
        median, and the largest distance over that; the largest standard deviation of a target over the median one.
    out_of_reach : float
        For regression: the share of targets outside the range of the final activation.
    batch_spread : float
        For regression: the spread of a batch's targets over that of all, on average.
    zero_loss : float
        The loss of all-zero outputs on the first batch, where a sound network starts.
    baseline : float
        The loss of the best constant output, which ignores the inputs.
    summed : bool
        Whether the loss grows with the batch.
    """

    batch_size: int = 0
    examples: int = 0
    inputs: InputFigures | None = None
    held_out: InputFigures | None = None
    counts: np.ndarray | None = None
    chance: float = math.nan
    class_names: list[str] | None = None
    one_class_batches: float = math.nan
    target_rms: float = math.nan
    target_std: float = math.nan
    target_spread: float = 0.0
    target_outlier: float = 1.0
    target_unevenness: float = 1.0
    out_of_reach: float = 0.0
    batch_spread: float = math.nan
    zero_loss: float = math.nan
    baseline: float = math.nan
    summed: bool = False

    @property
    def classifies(self) -> bool:
        return not math.isnan(self.chance)

    @property
    def measure(self) -> str:
        """Name of the score."""
        return "accuracy" if self.classifies else "R2"

    def as_score(self, value: float) -> str:
        """Return a score as text: an accuracy in percent, or an R2."""
        return f"{value:.1%}" if self.classifies else f"{value:.2f}"

    def chance_error(self, examples: int) -> float:
        """Return the standard error of the accuracy of always naming the largest class, of this many examples."""
        return math.sqrt(self.chance * (1 - self.chance) / max(examples, 1))

    def class_name(self, index: int) -> str:
        """Return a class in words, by its name or its number."""
        names = self.class_names
        return f"class {index}" if names is None or index >= len(names) else f"class {names[index]!r}"

    def look_at_batch(self, loss: Loss, x: np.ndarray, target: np.ndarray, prediction: np.ndarray) -> None:
        """Find the loss of zero outputs on the first batch, and whether the loss sums over the batch."""
        self.batch_size = len(x)
        zeros = loss.neutral(prediction)
        self.zero_loss = float(loss.forward(zeros, target)[0])
        half = len(x) // 2
        if half >= 2:
            first = float(loss.forward(zeros[:half], target[:half])[0])
            second = float(loss.forward(zeros[half:], target[half:])[0])
            whole = first + second
            self.summed = whole > 0 and abs(whole - self.zero_loss) < 0.05 * whole

    def look_at_data(
        self, network: NetworkFacts, loss: Loss, x: np.ndarray | Inputs, target: np.ndarray, prediction: np.ndarray
    ) -> None:
        """Find the figures of inputs and targets, from the training data or a batch; call it after `look_at_batch`."""
        self.inputs = InputFigures.of(x, network.layers) if x.dtype.kind == "f" else None
        self.examples = len(x)
        outputs = prediction.shape[-1] if prediction.ndim > 1 else 1
        if loss.output_kind in ("classes", "scores") and target.dtype.kind in "iu":
            known = target[(target >= 0) & (target < outputs)]
            self.counts = np.bincount(known, minlength=outputs)
            shares = self.counts / max(self.counts.sum(), 1)
            self.chance = float(shares.max(initial=0))
        elif loss.output_kind == "binary":
            positive = float(np.mean(target > 0.5))
            self.chance = max(positive, 1 - positive)
            if outputs == 1:
                self.counts = np.array([np.count_nonzero(target <= 0.5), np.count_nonzero(target > 0.5)])
        elif loss.output_kind is None and is_one_hot(target):
            self.counts = target.sum(axis=0).astype(np.int64)
            self.chance = float(self.counts.max() / len(target))
        elif target.dtype.kind == "f":
            self._look_at_amounts(network, target.astype(np.float64))
        self.baseline = self._baseline(loss, target, prediction)
        if self.classifies and loss.output_kind is None:  # outputs of 0 may mean nothing to it
            self.zero_loss = self.baseline

    def _look_at_amounts(self, network: NetworkFacts, values: np.ndarray) -> None:
        """Find the figures of a regression's targets."""
        self.target_rms = float(np.sqrt(np.mean(values * values)))
        self.target_std = float(np.sqrt(np.mean(np.var(values.reshape(len(values), -1), axis=0))))
        self.target_spread = spread = median_distance(values)
        self.target_outlier = float(np.abs(values - np.median(values)).max()) / spread if spread > 0 else 1.0
        self.target_unevenness = unevenness(values)
        last = network.weights[-1] if network.weights else None
        final = last.activation if last is not None and last.last else None
        low, high = RANGES.get(final or "", (-math.inf, math.inf))
        self.out_of_reach = float(np.mean((values < low) | (values > high)))

    def _baseline(self, loss: Loss, target: np.ndarray, prediction: np.ndarray) -> float:
        """Return the loss of the best constant output, in its units; for the user's own loss, of the likely ones."""
        constant = np.zeros((min(len(target), SAMPLE), *prediction.shape[1:]))
        target = target[: len(constant)]
        constants = [constant]
        if self.counts is not None and self.counts.sum():
            shares = np.maximum(self.counts / self.counts.sum(), 1e-6)
            if loss.output_kind is None:
                constants += [constant + shares, constant + np.log(shares)]
            elif isinstance(loss, WeightedClassLoss) and loss.weight is None:
                constant[...] = np.log(shares)
            elif isinstance(loss, BCEWithLogitsLoss) and loss.pos_weight is None:
                constant[...] = math.log(shares[1] / shares[0])
        elif isinstance(loss, PairedLoss) and loss.output_kind == "values":
            constant[...] = loss.best_constant(target.reshape(constant.shape).astype(np.float64))
        target = target.astype(target.dtype if target.dtype.kind != "f" else np.float64)
        value = min(float(loss.forward(each, target)[0]) for each in constants)
        return value * (self.batch_size / len(constant) if self.summed and self.batch_size else 1.0)
