"""The losses. Each call returns the loss of a batch and its gradient with respect to the prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import ops
from ..ops.losses import IGNORE_INDEX, NO_IGNORE
from ..utils.arrays import check_weights_fit, first_row
from ..utils.validation import choice, count, fraction, number
from .loss import REDUCTIONS, ClassLoss, Loss, Result
from .probabilities import even_log_probabilities
from .recording import replayable


class WeightedClassLoss(ClassLoss):
    """A loss over classes with one weight per class, or None; the mean divides by the sum of the labels' weights."""

    output_kind = "classes"

    @property
    def weight(self) -> tuple[float, ...] | None:
        """The class weights; may be assigned."""
        return self._weight

    @weight.setter
    def weight(self, value: Sequence[float] | None) -> None:
        self._weight = None if value is None else tuple(_class_weights(value))
        self._weight_array = np.empty(0)

    def _weights_as(self, dtype: np.dtype) -> np.ndarray | None:
        """Return the class weights as an array that stays in place, as recorded steps need."""
        if self._weight is None:
            return None
        if self._weight_array.dtype != dtype or len(self._weight_array) != len(self._weight):
            check_weights_fit(self._weight, dtype, "weight")
            self._weight_array = np.array(self._weight, dtype=dtype)
        return self._weight_array

    def row_weights(self, target: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        weights = super().row_weights(target, sample_weight)
        if self.weight is None:
            return weights
        of_class = np.take(self.weight, target, mode="clip")  # `check_target` refuses labels that are no classes
        return of_class if weights is None else of_class * weights

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        if self.weight is not None and len(self.weight) != outputs:
            raise ValueError(f"weight has {len(self.weight)} class weights; expected {outputs}, one per output")
        super().check_target(target, outputs)


class CrossEntropyLoss(WeightedClassLoss):
    """Softmax cross-entropy, -log softmax(logits)[label].

    Parameters
    ----------
    weight : sequence of float, optional
        One weight per class; the mean divides by the sum of the weights of the labels. Examples of a class with weight
        0 do not count.
    ignore_index : int
        Rows with this label do not count.
    reduction : {"mean", "sum"}
    label_smoothing : float
        Fraction of the target spread evenly over all classes.

    Notes
    -----
    With C balanced classes the loss starts at ln C. CS231n, Linear Classification, "Softmax classifier".

    Examples
    --------
    >>> import numpy as np
    >>> round(CrossEntropyLoss()(np.zeros((2, 10)), [3, 4])[0], 4)
    2.3026
    """

    def __init__(
        self,
        weight: Sequence[float] | None = None,
        ignore_index: int = IGNORE_INDEX,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight = weight
        self.ignore_index = count(ignore_index, "ignore_index", minimum=-(2**63))
        self.reduction = choice(reduction, "reduction", REDUCTIONS)
        self.label_smoothing = fraction(label_smoothing, "label_smoothing")

    @replayable
    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        return ops.softmax_cross_entropy(
            prediction,
            target,
            weight=self._weights_as(prediction.dtype),
            sample_weight=sample_weight,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            dlogits=gradient_out,
        )


class NLLLoss(WeightedClassLoss):
    """Negative log-likelihood of a network that ends in log-probabilities, -prediction[label].

    After `LogSoftmax` it equals `CrossEntropyLoss` of the scores, which is faster and needs no such layer.

    Parameters
    ----------
    weight : sequence of float, optional
        One weight per class, as in `CrossEntropyLoss`.
    ignore_index : int
        Rows with this label do not count.
    reduction : {"mean", "sum"}

    Examples
    --------
    >>> import numpy as np
    >>> round(NLLLoss()(np.log([[0.5, 0.25, 0.25]]), [2])[0], 4)
    1.3863
    """

    def __init__(
        self, weight: Sequence[float] | None = None, ignore_index: int = IGNORE_INDEX, reduction: str = "mean"
    ) -> None:
        self.weight = weight
        self.ignore_index = count(ignore_index, "ignore_index", minimum=-(2**63))
        self.reduction = choice(reduction, "reduction", REDUCTIONS)

    def neutral(self, prediction: np.ndarray) -> np.ndarray:
        return even_log_probabilities(prediction)

    @replayable
    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        return ops.nll(
            prediction,
            target,
            weight=self._weights_as(prediction.dtype),
            sample_weight=sample_weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            dlog_probs=gradient_out,
        )


class FocalLoss(WeightedClassLoss):
    """Cross-entropy with less weight on what is already certain: -(1 - p)^gamma log p, p the label's probability.

    For classes of very different sizes (Lin et al. 2017). With ``gamma=0`` it is `CrossEntropyLoss`.

    Parameters
    ----------
    gamma : float
        At least 0.
    alpha : sequence of float or float, optional
        One weight per class, as in `CrossEntropyLoss`: the mean divides by the sum of the labels' weights. A number
        in [0, 1] is that of class 1 of two, and class 0 has the rest, as in the paper.
    ignore_index : int
        Rows with this label do not count.
    reduction : {"mean", "sum"}

    Examples
    --------
    >>> round(FocalLoss()([[0.0, 0.0]], [1])[0], 4)  # ln 2 / 4
    0.1733
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: Sequence[float] | float | None = None,
        ignore_index: int = IGNORE_INDEX,
        reduction: str = "mean",
    ) -> None:
        self.gamma = number(gamma, "gamma", minimum=0)
        self.alpha = alpha
        self.ignore_index = count(ignore_index, "ignore_index", minimum=-(2**63))
        self.reduction = choice(reduction, "reduction", REDUCTIONS)

    @property
    def alpha(self) -> tuple[float, ...] | None:
        """The class weights; may be assigned."""
        return self.weight

    @alpha.setter
    def alpha(self, value: Sequence[float] | float | None) -> None:
        if isinstance(value, int | float):
            share = fraction(value, "alpha")
            value = (1 - share, share)
        self.weight = value

    @replayable
    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        return ops.softmax_cross_entropy(
            prediction,
            target,
            weight=self._weights_as(prediction.dtype),
            sample_weight=sample_weight,
            gamma=self.gamma,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            dlogits=gradient_out,
        )


class HingeLoss(ClassLoss):
    """The lecture's multiclass hinge loss, sum over c != t of max(0, margin + s_c - s_t).

    With C classes the loss starts at (C - 1) margin. CS231n, Linear Classification, "Multiclass SVM loss".

    Examples
    --------
    >>> import numpy as np
    >>> HingeLoss()(np.zeros((2, 10)), [3, 4])[0]
    9.0
    """

    output_kind = "scores"
    ignore_index = NO_IGNORE

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        self.margin = number(margin, "margin")
        self.reduction = choice(reduction, "reduction", REDUCTIONS)

    @replayable
    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        return ops.multiclass_hinge(
            prediction,
            target,
            margin=self.margin,
            sample_weight=sample_weight,
            reduction=self.reduction,
            dscores=gradient_out,
        )


class MultiMarginLoss(HingeLoss):
    """PyTorch's form of the hinge loss: `HingeLoss` divided by the number of classes.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> scores = np.array([[2.0, 1.5, -1.0]])
    >>> pynn.MultiMarginLoss().forward(scores, np.array([0]))[0] * 3
    0.5
    >>> pynn.HingeLoss().forward(scores, np.array([0]))[0]
    0.5
    """

    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        loss, gradient = super().forward(prediction, target, sample_weight, gradient_out)
        classes = prediction.shape[1]
        if gradient is not None:
            gradient /= classes
        return loss / classes, gradient


class PairedLoss(Loss):
    """A loss over predictions and targets of the same shape; targets (n,) meet predictions (n, 1)."""

    target_ndim: int | None = 2

    def shaped(self, target: np.ndarray, outputs: tuple[int, ...]) -> np.ndarray:
        return target[:, None] if target.ndim == 1 and outputs[1:] == (1,) else target

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        if target.shape[1:] != (outputs,):
            raise ValueError(
                f"targets have shape {target.shape}; {type(self).__name__} expects the shape of the outputs, "
                f"(n, {outputs})"
            )


class MSELoss(PairedLoss):
    """Squared error, the mean over all elements or their sum.

    Examples
    --------
    >>> MSELoss()([[1.0, 2.0]], [[0.0, 0.0]])[0]
    2.5
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, "reduction", REDUCTIONS)

    @replayable
    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        return ops.mse(
            prediction, target, sample_weight=sample_weight, reduction=self.reduction, dprediction=gradient_out
        )


class BCEWithLogitsLoss(PairedLoss):
    """Binary cross-entropy of targets in [0, 1] against sigmoid(logits), stable for any logit.

    Targets have the shape of the prediction: (n, 1) for binary, (n, k) for multi-label classification.

    Parameters
    ----------
    reduction : {"mean", "sum"}
    pos_weight : float, optional
        Weight of the positive targets.

    Examples
    --------
    >>> round(BCEWithLogitsLoss()([[0.0]], [[1.0]])[0], 4)
    0.6931
    """

    output_kind = "binary"

    def __init__(self, reduction: str = "mean", pos_weight: float | None = None) -> None:
        self.reduction = choice(reduction, "reduction", REDUCTIONS)
        self.pos_weight = None if pos_weight is None else number(pos_weight, "pos_weight", minimum=0)

    @replayable
    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        return ops.bce_with_logits(
            prediction,
            target,
            pos_weight=self.pos_weight,
            sample_weight=sample_weight,
            reduction=self.reduction,
            dlogits=gradient_out,
        )

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        super().check_target(target, outputs)
        row = first_row(~((target >= 0) & (target <= 1)))
        if row >= 0:
            value = next(value for value in target[row] if not 0 <= value <= 1)
            raise ValueError(f"target {value} in row {row} is not in [0, 1]")

    def count_correct(
        self, prediction: np.ndarray, target: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> tuple[float, float]:
        right = ((prediction > 0) == (target > 0.5)) & ~np.isnan(prediction)
        if sample_weight is None:
            return int(np.count_nonzero(right)), target.size
        weights = sample_weight.astype(np.float64)
        columns = target.size // len(target)
        return float(weights @ right.reshape(len(right), -1).sum(axis=1)), float(weights.sum()) * columns


def _class_weights(weight: Sequence[float]) -> list[float]:
    weights = np.asarray(weight)
    if weights.ndim != 1 or weights.dtype.kind not in "fiu" or not ((weights >= 0) & np.isfinite(weights)).all():
        raise ValueError(f"weight is {weight!r}; expected one number of at least 0 per class")
    return weights.tolist()
