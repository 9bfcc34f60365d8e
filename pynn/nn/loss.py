"""What every loss is: the loss of a batch and its gradient with respect to the prediction.

Your own loss can be a function ``f(prediction, target) -> (loss, gradient)`` or a subclass of `Loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import ops
from ..ops.losses import IGNORE_INDEX, count_labels
from ..utils.arrays import as_array, example_weights, first_row, numeric
from ..utils.config import Configurable
from ..utils.validation import ready, shortened

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: The meaning of a network's outputs: class scores with or without probabilities, binary logits, or plain values.
OutputKind = Literal["classes", "scores", "binary", "values"]
#: What most losses return of a batch: the weighted mean, or the weighted sum.
REDUCTIONS = ("mean", "sum")
LABEL = np.dtype(np.int64)
Result = tuple[float, np.ndarray | None]


class Loss(Configurable):
    """Base class of losses; a subclass defines ``forward(prediction, target, sample_weight, gradient_out)``.

    The mean over a batch is sum_i w_i loss_i / sum_i w_i, with w_i the weights of the examples. Examples with weight 0
    or an ignored label do not count; if none counts, loss and gradient are 0, as with a sum. (PyTorch computes 0/0,
    and the NaN ruins a training run because of one uninformative minibatch.)

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
    #: Dimensions of targets that need no conversion but to the dtype; None if only the loss knows.
    target_ndim: int | None = None
    #: Counts assignments to attributes; a change invalidates recorded steps.
    version = 0

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, "version", self.version + 1)
        super().__setattr__(name, value)

    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        """Return loss and gradient; `gradient_out` may be used to store the gradient."""
        raise TypeError(f"{type(self).__name__} does not define forward(self, prediction, target, ...)")

    def __call__(self, prediction: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None) -> Result:
        prediction = numeric(prediction, "prediction")
        weights = None
        if sample_weight is not None:
            weights = example_weights(sample_weight, len(prediction), prediction.dtype)
        targets = self.as_target(target, prediction.dtype)
        return self.forward(prediction, self.shaped(targets, prediction.shape), weights)

    def as_target(self, target: ArrayLike, dtype: np.dtype) -> np.ndarray:
        """Return targets in the form that `forward` reads: here, values of the model's dtype."""
        if type(target) is np.ndarray and target.dtype == dtype:  # fast path of every step
            return ready(target, dtype)
        array = numeric(target, "targets", f"{type(self).__name__} expects numbers")
        with np.errstate(over="ignore"):
            return ready(array, dtype)

    def shaped(self, target: np.ndarray, outputs: tuple[int, ...]) -> np.ndarray:
        """Return the result of `as_target` in the shape that `forward` compares with outputs of shape `outputs`."""
        return target

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        """Raise ValueError if a target does not fit a network with `outputs` outputs; called before training starts."""

    def row_weights(self, target: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Return the weight of each example in the mean over a batch; None for equal weights."""
        return sample_weight

    def neutral(self, prediction: np.ndarray) -> np.ndarray:
        """Return the outputs of a network that prefers nothing, in the shape of `prediction`: zeros."""
        return np.zeros_like(prediction)

    def best_constant(self, target: np.ndarray) -> np.ndarray:
        """Return the constant outputs with the least loss for targets (n, outputs): here, the means."""
        return target.mean(axis=0)

    def amounts(self, prediction: np.ndarray) -> np.ndarray:
        """Return outputs in the units of the targets, for metrics: here, the outputs themselves."""
        return prediction

    def count_correct(
        self, prediction: np.ndarray, target: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> tuple[float, float] | None:
        """Return the number of correct predictions and the total number; None for regression.

        With `sample_weight`, both are sums of weights, as in scikit-learn's accuracy. A prediction with a NaN is never
        correct.
        """
        return None


class ClassLoss(Loss):
    """A loss over class scores (n, classes) and labels (n,), numbered from 0.

    Labels may also be whole floats, booleans, a column (n, 1), or one-hot rows (n, classes).
    """

    ignore_index = IGNORE_INDEX
    target_ndim = 1

    def as_target(self, target: ArrayLike, dtype: np.dtype) -> np.ndarray:
        if type(target) is np.ndarray and target.ndim == 1 and target.dtype == LABEL and target.flags.carray:
            return target  # fast path of every step
        array = self._per_row(self._whole(target))
        if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
            row = int(array.argmax())
            raise ValueError(f"target {array[row]} in row {row} is out of range of int64; number the classes from 0")
        return ready(array, LABEL)

    def _whole(self, target: ArrayLike) -> np.ndarray:
        """Return labels as integers or booleans, in any shape."""
        expected = f"{type(self).__name__} expects class labels"
        array = numeric(target, "targets", f"{expected}, numbered from 0")
        if array.dtype.kind != "f":
            return array
        if (row := first_row(np.isnan(array))) >= 0:
            raise ValueError(f"targets have a NaN in row {row}; {expected}: remove examples without a label")
        if (row := first_row((np.rint(array) != array) | (np.abs(array) >= 2.0**63))) >= 0:
            raise ValueError(f"target {array[row]} in row {row} is not a whole number; {expected}, numbered from 0")
        return array.astype(LABEL)

    def _per_row(self, array: np.ndarray) -> np.ndarray:
        """Return one label per row: those of a column, or the places of the ones in one-hot rows."""
        if array.ndim == 1:
            return array
        if array.ndim == 2 and array.shape[1] == 1:
            return array[:, 0]
        expected = f"{type(self).__name__} expects one label per row, (n,), or one-hot rows, (n, classes)"
        if array.ndim != 2:
            raise ValueError(f"targets have shape {array.shape}; {expected}")
        row = first_row(((array != 0) & (array != 1)).any(axis=1) | (np.count_nonzero(array, axis=1) != 1))
        if row >= 0:
            raise ValueError(f"targets have shape {array.shape}, and row {row} is not one-hot; {expected}")
        return array.argmax(axis=1)

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
        return correct, count_labels(target, prediction.shape[1], self.ignore_index)


class FunctionLoss(Loss):
    """A plain function ``f(prediction, target) -> (loss, gradient)`` as a loss; checkpoints do not contain it."""

    output_kind = None  # only the user knows the meaning of the outputs

    def __init__(self, function: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]) -> None:
        self.function = function

    def config(self) -> dict[str, Any]:
        raise TypeError("a loss given as a function cannot be saved; pass it again to Trainer.resume(..., loss=)")

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
        self.row_weights(target, sample_weight)  # raises if weights are given
        result = self.function(prediction, target)
        if not isinstance(result, tuple | list) or len(result) != 2 or np.ndim(result[0]):
            raise TypeError(
                f"the loss function returned {shortened(repr(result))}; expected (loss, gradient): a number, and an "
                "array of the shape of the prediction"
            )
        return result[0], result[1]


def as_loss(loss: Loss | Callable[..., Any]) -> Loss:
    """Return `loss` itself, or wrap a function in a `FunctionLoss`."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        raise TypeError(f"loss is the class {loss.__name__}; expected an instance: {loss.__name__}()")
    if type(loss).__module__.startswith("torch."):
        raise TypeError(f"loss is PyTorch's {loss!r}; expected pynn's: those that both have bear the same name")
    if callable(loss) and not isinstance(loss, type):
        return FunctionLoss(loss)
    raise TypeError(f"loss is {loss!r}; expected a pynn loss such as pynn.CrossEntropyLoss(), or a function")


def count_correct(
    loss: Loss, prediction: np.ndarray, target: np.ndarray, weights: np.ndarray | None
) -> tuple[float, float] | None:
    """Call `Loss.count_correct`; a user's override without a `sample_weight` parameter is called without weights."""
    return (
        loss.count_correct(prediction, target) if weights is None else loss.count_correct(prediction, target, weights)
    )
