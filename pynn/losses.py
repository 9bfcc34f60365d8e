"""Losses. Each call returns the loss of a batch and its gradient with respect to the prediction.

A loss of your own is a function ``f(prediction, target) -> (loss, gradient)``, or a subclass of `Loss`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import ops
from .arguments import choice, fraction, number, ready
from .arrays import as_array, example_weights, first_row, numeric
from .config import Configurable, changes
from .layers.base import replayable
from .ops.losses import IGNORE_INDEX, NO_IGNORE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: What a network's outputs mean: class scores with or without probabilities, yes-or-no logits, or plain values.
OutputKind = Literal["classes", "scores", "binary", "values"]
LABEL = np.dtype(np.int64)
Result = tuple[float, np.ndarray | None]


class Loss(Configurable):
    """Base of all losses, and of yours: define ``forward(prediction, target, sample_weight, gradient_out)``.

    The mean over a batch is sum_i w_i loss_i / sum_i w_i, w_i being the weights of the examples. An example of weight
    0, or with a label that is ignored, takes no part; where none takes part, loss and gradient are 0, as those of a sum
    are. (PyTorch has 0/0, which ends a training for a minibatch that says nothing.)

    Attributes
    ----------
    reduction : {"mean", "sum"}
        Whether `forward` returns the weighted mean or the weighted sum over the batch.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> class Huber(pynn.Loss):
    ...     def forward(self, prediction, target, sample_weight=None, gradient_out=None):
    ...         difference = prediction - target
    ...         small = np.abs(difference) < 1
    ...         cost = np.where(small, difference**2 / 2, np.abs(difference) - 0.5)
    ...         weight = np.ones(len(cost)) if sample_weight is None else sample_weight
    ...         share = (weight / max(weight.sum(), 1e-30))[:, None] / cost.shape[1]
    ...         return float((share * cost).sum()), share * np.where(small, difference, np.sign(difference))
    >>> Huber()(np.array([[3.0], [9.0]]), np.array([[0.0], [0.0]]), [1, 0])[0]
    2.5
    """

    output_kind: OutputKind | None = "values"
    reduction = "mean"

    def __setattr__(self, name: str, value: Any) -> None:
        changes.count += 1
        object.__setattr__(self, name, value)

    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        """Return loss and gradient; `gradient_out` may serve to hold the gradient."""
        raise TypeError(f"{type(self).__name__} does not define forward(self, prediction, target, ...)")

    def __call__(self, prediction: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None) -> Result:
        prediction = numeric(prediction, "prediction")
        weights = None
        if sample_weight is not None:
            weights = example_weights(sample_weight, len(prediction), prediction.dtype)
        return self.forward(prediction, self.as_target(target, prediction.dtype), weights)

    def as_target(self, target: ArrayLike, dtype: np.dtype) -> np.ndarray:
        """Return targets in the form `forward` reads: here, values of the model's dtype."""
        if type(target) is np.ndarray and target.dtype == dtype:  # at every step
            return ready(target, dtype)
        array = numeric(target, "targets", f"{type(self).__name__} expects numbers")
        with np.errstate(over="ignore"):
            return ready(array, dtype)

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        """Raise ValueError if a target does not fit a network of so many outputs; the trainer asks before it starts."""

    def row_weights(self, target: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Return how much each example counts in the mean over a batch; None if all count alike."""
        return sample_weight

    def count_correct(
        self, prediction: np.ndarray, target: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> tuple[float, float] | None:
        """Return how many predictions are right and how many there are; None for regression.

        With `sample_weight`, the weights of those that are right and of all, as scikit-learn's accuracy has it. A
        prediction with a NaN is never right.
        """
        return None


class ClassLoss(Loss):
    """A loss over class scores (n, classes) and integer labels (n,)."""

    ignore_index = IGNORE_INDEX

    def as_target(self, target: ArrayLike, dtype: np.dtype) -> np.ndarray:
        if type(target) is np.ndarray and target.ndim == 1 and target.dtype == LABEL and target.flags.carray:
            return target  # at every step
        array = self._integers(target)
        if array.ndim != 1:
            column = array.ndim == 2 and array.shape[1] == 1
            advice = "y.ravel()" if column else "y.argmax(axis=1) of one-hot rows"
            raise ValueError(
                f"targets have shape {array.shape}; {type(self).__name__} expects one label per row, (n,): {advice}"
            )
        if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
            row = int(array.argmax())
            raise ValueError(f"target {array[row]} in row {row} is beyond int64; number the classes from 0")
        return ready(array, LABEL)

    def _integers(self, target: ArrayLike) -> np.ndarray:
        if type(target) is np.ndarray and target.dtype.kind in "iu":  # at every step
            return target
        expected = f"{type(self).__name__} expects integer class labels"
        array = numeric(target, "targets", f"{expected}: names, y = numpy.unique(y, return_inverse=True)")
        if array.dtype.kind == "f" and (row := first_row(np.isnan(array))) >= 0:
            raise ValueError(f"targets have a NaN in row {row}; {expected}: leave out examples without one")
        if array.dtype.kind not in "iu":
            advice = "y.astype(int)" + ("" if array.dtype.kind == "b" else " if they are whole numbers from 0")
            raise TypeError(f"targets have dtype {array.dtype}; {expected}: {advice}")
        return array

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        bad = np.flatnonzero(((target < 0) | (target >= outputs)) & (target != self.ignore_index))
        if len(bad):
            raise ValueError(
                f"target {target[bad[0]]} in row {bad[0]} is not a class: expected 0 to {outputs - 1} "
                f"for {outputs} outputs"
            )

    def row_weights(self, target: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        kept = target != self.ignore_index
        if kept.all():
            return sample_weight
        return kept.astype(np.float64) if sample_weight is None else np.where(kept, sample_weight, 0.0)

    def count_correct(
        self, prediction: np.ndarray, target: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> tuple[float, float]:
        if sample_weight is not None:
            weights = np.where(target != self.ignore_index, sample_weight, 0.0)
            right = (prediction.argmax(axis=1) == target) & ~np.isnan(prediction).any(axis=1)
            return float(weights[right].sum()), float(weights.sum())
        correct = ops.count_correct(prediction, target, ignore_index=self.ignore_index)
        return correct, int(np.count_nonzero(target != self.ignore_index))


class CrossEntropyLoss(ClassLoss):
    """Softmax cross-entropy, -log softmax(logits)[label].

    Parameters
    ----------
    weight : sequence of float, optional
        One weight per class; the mean divides by the sum of the weights of the labels. Examples of a class of weight 0
        take no part.
    ignore_index : int
        Rows with this label take no part.
    reduction : {"mean", "sum"}
    label_smoothing : float
        Share of the target spread evenly over all classes.

    Notes
    -----
    Of C balanced classes the loss starts at ln C. CS231n, Linear Classification, "Softmax classifier".

    Examples
    --------
    >>> import numpy as np
    >>> round(CrossEntropyLoss()(np.zeros((2, 10)), [3, 4])[0], 4)
    2.3026
    """

    output_kind = "classes"

    def __init__(
        self,
        weight: Sequence[float] | None = None,
        ignore_index: int = IGNORE_INDEX,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = choice(reduction, "reduction", ("mean", "sum"))
        self.label_smoothing = fraction(label_smoothing, "label_smoothing")

    @property
    def weight(self) -> tuple[float, ...] | None:
        """The class weights; may be assigned."""
        return self._weight

    @weight.setter
    def weight(self, value: Sequence[float] | None) -> None:
        self._weight = None if value is None else tuple(_class_weights(value))
        self._weight_array = np.empty(0)

    def _weights_as(self, dtype: np.dtype) -> np.ndarray | None:
        """Return the class weights as one array that stays, as recorded steps need it."""
        if self._weight is None:
            return None
        if self._weight_array.dtype != dtype or len(self._weight_array) != len(self._weight):
            self._weight_array = np.array(self._weight, dtype=dtype)
        return self._weight_array

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

    def row_weights(self, target: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        weights = super().row_weights(target, sample_weight)
        if self.weight is None:
            return weights
        of_class = np.asarray(self.weight)[np.where(target == self.ignore_index, 0, target)]
        return of_class if weights is None else of_class * weights

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        if self.weight is not None and len(self.weight) != outputs:
            raise ValueError(f"weight has {len(self.weight)} class weights; expected {outputs}, one per output")
        super().check_target(target, outputs)


class HingeLoss(ClassLoss):
    """The lecture's multiclass hinge loss, sum over c != t of max(0, margin + s_c - s_t).

    Of C classes the loss starts at (C - 1) margin. CS231n, Linear Classification, "Multiclass SVM loss".

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
        self.reduction = choice(reduction, "reduction", ("mean", "sum"))

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
    """PyTorch's form of the hinge loss: `HingeLoss` divided by the number of classes."""

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
    """A loss over predictions and targets of one shape."""

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        if target.shape[1:] != (outputs,):
            advice = ": y[:, None]" if target.ndim == 1 and outputs == 1 else ""
            raise ValueError(
                f"targets have shape {target.shape}; {type(self).__name__} expects that of the outputs, "
                f"(n, {outputs}){advice}"
            )


class MSELoss(PairedLoss):
    """Squared error, the mean over all elements or their sum.

    Examples
    --------
    >>> MSELoss()([[1.0, 2.0]], [[0.0, 0.0]])[0]
    2.5
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, "reduction", ("mean", "sum"))

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

    Targets have the shape of the prediction: (n, 1) for yes-or-no, (n, k) for k labels that may hold at once.

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
        self.reduction = choice(reduction, "reduction", ("mean", "sum"))
        self.pos_weight = None if pos_weight is None else number(pos_weight, "pos_weight", least=0)

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


class FunctionLoss(Loss):
    """A plain function ``f(prediction, target) -> (loss, gradient)`` as a loss; not saved in a checkpoint."""

    output_kind = None  # what the outputs mean is for the user to know

    def __init__(self, function: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]) -> None:
        self.function = function

    def config(self) -> dict[str, Any]:
        raise TypeError("a loss given as a function cannot be saved; give it again to Trainer.resume(..., loss=)")

    def as_target(self, target: ArrayLike, dtype: np.dtype) -> np.ndarray:
        return as_array(target, "targets")

    def row_weights(self, target: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        if sample_weight is not None:
            raise ValueError("a loss given as a function takes no sample_weight; make it a subclass of pynn.Loss")
        return None

    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        self.row_weights(target, sample_weight)  # refuses weights
        return self.function(prediction, target)


def as_loss(loss: Loss | Callable[..., Any]) -> Loss:
    """Return `loss` itself, or a function as a `FunctionLoss`."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss is the class {loss.__name__}; expected an instance: {loss.__name__}()")
    if callable(loss) and not isinstance(loss, type):
        return FunctionLoss(loss)
    raise TypeError(f"loss is {loss!r}; expected a pynn loss such as pynn.CrossEntropyLoss(), or a function")


def correct(
    loss: Loss, prediction: np.ndarray, target: np.ndarray, weights: np.ndarray | None
) -> tuple[float, float] | None:
    """Return what `Loss.count_correct` does; one of the user's own may know no weights, and is called without."""
    return (
        loss.count_correct(prediction, target) if weights is None else loss.count_correct(prediction, target, weights)
    )
