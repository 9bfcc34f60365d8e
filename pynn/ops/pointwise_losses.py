"""Losses of elements, of predictions and targets of the same shape, (n, ...): nothing is broadcast.

`sample_weight`, `reduction`, and what is returned are as in `losses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..kernels.codes import LossCode
from ..utils.arrays import check_weights_fit
from ..utils.validation import flag, number
from ._check import floats
from .losses import gradient_array, is_mean, row_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: The kinds of `pointwise_loss`.
LOSSES = {
    "smooth_l1": LossCode.SMOOTH_L1,
    "huber": LossCode.HUBER,
    "quantile": LossCode.QUANTILE,
    "poisson_log": LossCode.POISSON_LOG,
    "poisson": LossCode.POISSON,
    "poisson_log_full": LossCode.POISSON_LOG_FULL,
    "poisson_full": LossCode.POISSON_FULL,
    "kl": LossCode.KL,
    "kl_log": LossCode.KL_LOG,
}


def _paired(first: ArrayLike, second: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays of one shape, the target cast to the dtype of the prediction."""
    first = floats(first, name)
    if first.ndim == 0:
        raise ValueError(f"{name} has shape (); expected at least one dimension, the batch")
    target = np.asarray(second)
    if target.dtype.kind not in "fiub":
        raise TypeError(f"target has dtype {target.dtype}; expected numbers")
    return first, floats(np.asarray(target, dtype=first.dtype), "target", shape=first.shape)


def _as_rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(array.shape[0], -1) if array.size else array.reshape(array.shape[0], 0)


def _check_targets(targets: np.ndarray, largest: float) -> None:
    """Raise ValueError unless all targets are at least 0 and at most `largest`."""
    bad = kernels().labels.first_outside(targets, largest)
    if bad >= 0:
        where = np.unravel_index(bad, targets.shape)
        expected = "not in [0, 1]" if largest == 1 else "not at least 0"
        raise ValueError(f"target {targets[where]} in row {where[0]} is {expected}")


def mse(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    dprediction: np.ndarray | None = None,
    need_gradient: bool = True,
) -> tuple[float, np.ndarray | None]:
    """Return the squared error (prediction - target)^2, its mean over all elements or its sum, and the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> mse(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]]))
    (2.5, array([[1., 2.]]))
    """
    need_gradient = flag(need_gradient, "need_gradient")
    prediction, target = _paired(prediction, target, "prediction")
    sample_weight = row_weights(sample_weight, prediction)
    gradient = gradient_array(dprediction, "dprediction", need_gradient, prediction, target, sample_weight)
    loss = kernels().pointwise_losses.mse(
        _as_rows(prediction),
        _as_rows(target),
        sample_weight,
        is_mean(reduction),
        None if gradient is None else _as_rows(gradient),
    )
    return loss, gradient


def bce_with_logits(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    pos_weight: float | None = None,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    dlogits: np.ndarray | None = None,
    need_gradient: bool = True,
) -> tuple[float, np.ndarray | None]:
    """Return the binary cross-entropy of targets in [0, 1] against sigmoid(logits), and its gradient.

    Per element: -p t log s(x) - (1 - t) log(1 - s(x)), with p = `pos_weight` (1 if None); stable for any logit.

    Examples
    --------
    >>> import numpy as np
    >>> loss, dlogits = bce_with_logits(np.array([[0.0], [1000.0]]), np.array([[1.0], [1.0]]))
    >>> round(loss, 4), dlogits.ravel()
    (0.3466, array([-0.25,  0.  ]))
    """
    need_gradient = flag(need_gradient, "need_gradient")
    logits, targets = _paired(logits, targets, "logits")
    _check_targets(targets, 1.0)
    sample_weight = row_weights(sample_weight, logits)
    gradient = gradient_array(dlogits, "dlogits", need_gradient, logits, targets, sample_weight)
    if pos_weight is not None:
        pos_weight = number(pos_weight, "pos_weight", minimum=0)
        check_weights_fit(pos_weight, logits.dtype, "pos_weight")
    loss = kernels().pointwise_losses.bce_with_logits(
        _as_rows(logits),
        _as_rows(targets),
        pos_weight,
        sample_weight,
        is_mean(reduction),
        None if gradient is None else _as_rows(gradient),
    )
    return loss, gradient


def pointwise_loss(
    prediction: ArrayLike,
    target: ArrayLike,
    kind: str,
    parameter: ArrayLike = 0.0,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    dprediction: np.ndarray | None = None,
    need_gradient: bool = True,
) -> tuple[float, np.ndarray | None]:
    """Return the sum of a loss over all elements, or a mean, and its gradient.

    With prediction x, target t and d = x - t, an element costs

    * "smooth_l1": d^2 / (2 parameter) where abs(d) < parameter, else abs(d) - parameter / 2; with 0, abs(d);
    * "huber": the same times the parameter;
    * "quantile": (1 - parameter) d where d > 0, else -parameter d;
    * "poisson_log": exp(x) - t x; "poisson": x - t log(x + parameter); "poisson_log_full" and "poisson_full" add
      t log t - t + log(2 pi t) / 2 where t > 1;
    * "kl": t (log t - x), and 0 where t is 0; "kl_log": exp(t) (t - x).

    At the kink of an absolute value, the gradient is 0.

    Parameters
    ----------
    prediction, target : array_like, shape (n, ...)
    kind : str
        A key of `LOSSES`.
    parameter : float or array_like, shape (columns,)
        One for all elements, or one for each of the columns of a prediction (n, columns).
    sample_weight : array_like, shape (n,), optional
    reduction : {"mean", "batchmean", "sum"}
        The sum is divided by the total weight of the elements, by that of the rows, or not.
    dprediction : ndarray, shape (n, ...), optional
    need_gradient : bool

    Raises
    ------
    ValueError
        If a target of a Poisson loss or of "kl" is negative or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> pointwise_loss(np.array([[3.0], [0.5]]), np.zeros((2, 1)), "huber", 1.0, reduction="sum")
    (2.625, array([[1. ],
           [0.5]]))
    """
    need_gradient = flag(need_gradient, "need_gradient")
    if kind not in LOSSES:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(LOSSES)}")
    prediction, target = _paired(prediction, target, "prediction")
    code, rows = LOSSES[kind], _as_rows(prediction)
    parameters = np.atleast_1d(np.ascontiguousarray(parameter, np.float64))
    if parameters.shape not in ((1,), rows.shape[1:]):
        raise ValueError(f"parameter has shape {parameters.shape}; expected one number, or one for each of the columns")
    if LossCode.POISSON_LOG <= code <= LossCode.KL:
        _check_targets(target, np.inf)
    sample_weight = row_weights(sample_weight, prediction)
    gradient = gradient_array(dprediction, "dprediction", need_gradient, prediction, target, sample_weight, parameters)
    per_row = 1 if reduction == "batchmean" else rows.shape[1] * is_mean(reduction)
    loss = kernels().pointwise_losses.pointwise_loss(
        rows,
        _as_rows(target),
        code,
        parameters,
        sample_weight,
        per_row,
        None if gradient is None else _as_rows(gradient),
    )
    return loss, gradient
