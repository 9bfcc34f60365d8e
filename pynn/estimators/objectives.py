"""The losses of the estimators, in pynn's scale and in scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import ops
from ..nn.loss import ClassLoss, Loss
from ..nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, HingeLoss, MSELoss
from ..nn.regression_losses import HuberLoss, L1Loss, PoissonNLLLoss, QuantileLoss
from ..optim.regularizers import Regularizer
from ..utils.validation import choice, number

if TYPE_CHECKING:
    from ..nn.parameters import FlatParameters

CLASS_LOSSES = ("log_loss", "hinge")
VALUE_LOSSES = ("squared_error", "poisson", "absolute_error", "huber", "quantile")


class Objective(NamedTuple):
    """A loss and how it relates to scikit-learn's.

    Attributes
    ----------
    loss : Loss
    value_scale, gradient_scale : float
        pynn's loss over scikit-learn's, and the same of their gradients. scikit-learn halves squared errors, and for
        several outputs it reports the mean of their errors but follows the gradient of the sum.
    constant : callable or None
        Returns what scikit-learn's loss has more, given targets and weights of all examples.
    """

    loss: Loss
    value_scale: float = 1.0
    gradient_scale: float = 1.0
    constant: Callable[[np.ndarray, np.ndarray | None], float] | None = None

    def reported(self, loss: float, penalty: float) -> float:
        """Return the loss that scikit-learn reports for a minibatch, given pynn's and the part that is a penalty."""
        return (loss - penalty) / self.value_scale + penalty / self.gradient_scale


def class_objective(loss: str | Loss, classes: int, outputs: int) -> Objective:
    """Return the objective of a classifier; `classes` is 0 for several labels per example."""
    if isinstance(loss, Loss):
        return Objective(loss)
    choice(loss, "loss", CLASS_LOSSES)
    if loss == "hinge":
        return Objective(HingeLoss())
    if classes > 2:
        return Objective(CrossEntropyLoss())
    return Objective(BCEWithLogitsLoss(), 1 / outputs, 1 / outputs)


def value_objective(loss: str | Loss, outputs: int) -> Objective:
    """Return the objective of a regressor."""
    if isinstance(loss, Loss):
        return Objective(loss)
    choice(loss, "loss", VALUE_LOSSES)
    if loss == "squared_error":
        return Objective(MSELoss(), 2.0, 2 / outputs)
    if loss == "poisson":
        return Objective(PoissonNLLLoss(), 1 / outputs, 1 / outputs, poisson_constant)
    return Objective({"absolute_error": L1Loss, "huber": HuberLoss, "quantile": QuantileLoss}[loss]())


def poisson_constant(target: np.ndarray, weights: np.ndarray | None) -> float:
    """Return what half the Poisson deviance has more than pynn's loss: the mean of t log t - t, summed over outputs.

    Examples
    --------
    >>> poisson_constant(np.array([[0.0], [1.0]]), None)
    -0.5
    """
    logarithms = np.log(target, out=np.zeros_like(target), where=target > 0)
    return float(np.average(target * logarithms - target, axis=0, weights=weights).sum())


def value_outputs(loss: str | Loss, y: np.ndarray) -> int:
    """Return the number of outputs for targets (n,) or (n, outputs): one each, or one for each of several quantiles."""
    if isinstance(loss, QuantileLoss) and isinstance(loss.quantile, tuple):
        return len(loss.quantile)
    return 1 if y.ndim == 1 else y.shape[1]


def class_outputs(loss: str | Loss, classes: int) -> int:
    """Return the number of outputs that tell `classes` classes apart: one for two classes, if the loss is binary."""
    return max(2, classes) if one_label_only(loss) or classes > 2 else 1


def one_label_only(loss: str | Loss) -> bool:
    """Return whether a loss needs one label per example, and one output per class."""
    return loss == "hinge" or isinstance(loss, ClassLoss)


class MeanL2(Regularizer):
    """alpha / (2 W) * sum w^2, with W the total weight of the minibatch: the penalty of scikit-learn's perceptron.

    Attributes
    ----------
    weight : float
        W, to be set before each step; with 0 there is no penalty.
    value : float
        The penalty of the last step.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = number(alpha, "alpha", minimum=0)
        self.weight = 1.0
        self.value = 0.0

    #: No setting is assigned later; to look for one takes 0.4 us in each step.
    __setattr__ = object.__setattr__  # type: ignore[assignment]

    def add_gradient(self, flat: FlatParameters) -> float:
        if not self.alpha or not self.weight:
            self.value = 0.0
        else:
            self.value = ops.add_penalty(flat.values, flat.grads, flat.weight_bounds(), l2=self.alpha / self.weight)
        return self.value
