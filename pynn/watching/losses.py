"""PyTorch's losses as pynn's, for what a monitor asks of them: the meaning of the outputs, and reference losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..interop.torch.package import pytorch
from ..nn import losses, regression_losses
from ..nn.loss import Loss, Result
from .tensors import array


class Unknown(Loss):
    """A loss that pynn does not know, or no loss module at all; a subclass per class carries its name.

    What rules would conclude from its value at all-zero outputs, or at the best constant one, is unknown: NaN.
    """

    output_kind = None
    criterion: Callable[..., Any] | None = None

    def config(self) -> dict[str, Any]:
        raise TypeError("a loss of PyTorch's cannot be saved")

    def as_target(self, target: Any, dtype: np.dtype) -> np.ndarray:
        return np.asarray(target)

    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        if self.criterion is None or not prediction.any():
            return math.nan, None
        torch = pytorch()
        with torch.no_grad():
            value = self.criterion(*(torch.from_numpy(np.ascontiguousarray(each)) for each in (prediction, target)))
        return float(value.mean()), None


def loss_like(criterion: Any) -> Loss:
    """Return the loss with the settings of a PyTorch loss module; an `Unknown` one if pynn lacks it."""
    make = _KNOWN.get(type(criterion).__name__)
    if make is not None and type(criterion).__module__ == "torch.nn.modules.loss":
        try:
            return make(criterion)
        except (TypeError, ValueError):  # settings that pynn lacks, such as reduction="none"
            pass
    name = "not given" if criterion is None else type(criterion).__name__
    loss: Unknown = type(name, (Unknown,), {"__module__": __name__})()
    loss.criterion = criterion
    return loss


def target_like(loss: Loss, prediction: np.ndarray, target: Any) -> np.ndarray | None:
    """Return targets in the form that a loss reads; None if it cannot, such as classes of pixels."""
    values = target if target is None or isinstance(target, np.ndarray) else array(target)
    if values is None or isinstance(loss, Unknown):
        return values
    if prediction.ndim > 2 or len(values) != len(prediction):
        return None
    try:
        made = loss.shaped(loss.as_target(values, prediction.dtype), prediction.shape)
        loss.forward(prediction, made)
    except (TypeError, ValueError, IndexError):
        return None
    return made


def _weights(tensor: Any) -> list[float] | None:
    return None if tensor is None else [float(value) for value in tensor]


_KNOWN: dict[str, Callable[[Any], Loss]] = {
    "CrossEntropyLoss": lambda c: losses.CrossEntropyLoss(
        _weights(c.weight), c.ignore_index, c.reduction, c.label_smoothing
    ),
    "NLLLoss": lambda c: losses.NLLLoss(_weights(c.weight), c.ignore_index, c.reduction),
    "BCEWithLogitsLoss": lambda c: losses.BCEWithLogitsLoss(
        c.reduction, None if c.pos_weight is None else float(c.pos_weight)
    ),
    "MSELoss": lambda c: losses.MSELoss(c.reduction),
    "L1Loss": lambda c: regression_losses.L1Loss(c.reduction),
    "SmoothL1Loss": lambda c: regression_losses.SmoothL1Loss(beta=c.beta, reduction=c.reduction),
    "HuberLoss": lambda c: regression_losses.HuberLoss(delta=c.delta, reduction=c.reduction),
}
