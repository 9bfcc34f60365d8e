"""Losses of values other than the squared error: for outliers, quantiles, counts and distributions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from .. import ops
from ..utils.arrays import first_row
from ..utils.validation import choice, flag, number
from .loss import REDUCTIONS, Result
from .losses import PairedLoss
from .probabilities import even_log_probabilities
from .recording import replayable


class PointwiseLoss(PairedLoss):
    """A loss that `ops.pointwise_loss` computes; a subclass defines `form`."""

    #: Whether targets must be at least 0.
    counts = False
    _parameter = np.zeros(1)

    @abstractmethod
    def form(self) -> tuple[str, float | tuple[float, ...]]:
        """Return the kind and the parameter of `ops.pointwise_loss`."""

    def _held(self, parameter: float | tuple[float, ...]) -> np.ndarray:
        """Return the parameter as an array that stays in place, as recorded steps need."""
        values = list(parameter) if isinstance(parameter, tuple) else [parameter]
        if self._parameter.tolist() != values:
            self._parameter = np.array(values)
        return self._parameter

    @replayable
    def forward(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        sample_weight: np.ndarray | None = None,
        gradient_out: np.ndarray | None = None,
    ) -> Result:
        kind, parameter = self.form()
        return ops.pointwise_loss(
            prediction,
            target,
            kind,
            self._held(parameter),
            sample_weight=sample_weight,
            reduction=self.reduction,
            dprediction=gradient_out,
        )

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        super().check_target(target, outputs)
        row = first_row(~(target >= 0)) if self.counts else -1
        if row >= 0:
            value = next(value for value in target[row] if not value >= 0)
            raise ValueError(f"target {value} in row {row} is not at least 0, as {type(self).__name__} expects")


class L1Loss(PointwiseLoss):
    """Absolute error, the mean over all elements or their sum; the best constant is the median.

    Examples
    --------
    >>> L1Loss()([[1.0, -2.0]], [[0.0, 0.0]])[0]
    1.5
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, "reduction", REDUCTIONS)

    def form(self) -> tuple[str, float]:
        return "smooth_l1", 0.0

    def best_constant(self, target: np.ndarray) -> np.ndarray:
        return np.median(target, axis=0)


class SmoothL1Loss(PointwiseLoss):
    """d^2 / (2 beta) for errors abs(d) < beta, else abs(d) - beta / 2: an absolute error that is smooth at 0.

    Parameters
    ----------
    reduction : {"mean", "sum"}
    beta : float
        At least 0; 0 is `L1Loss`.

    Notes
    -----
    `HuberLoss` of the same width, divided by beta. Girshick 2015, "Fast R-CNN".

    Examples
    --------
    >>> SmoothL1Loss()([[0.5], [3.0]], [[0.0], [0.0]])[0]  # (0.125 + 2.5) / 2
    1.3125
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction = choice(reduction, "reduction", REDUCTIONS)
        self.beta = number(beta, "beta", minimum=0)

    def form(self) -> tuple[str, float]:
        return "smooth_l1", self.beta

    def best_constant(self, target: np.ndarray) -> np.ndarray:
        return _huber_centre(target, self.beta)


class HuberLoss(PointwiseLoss):
    """d^2 / 2 for errors abs(d) < delta, else delta (abs(d) - delta / 2): squared, but linear for outliers.

    Parameters
    ----------
    reduction : {"mean", "sum"}
    delta : float
        Above 0, in the unit of the network's outputs.

    Notes
    -----
    Huber 1964, "Robust Estimation of a Location Parameter".

    Examples
    --------
    >>> HuberLoss(delta=2.0)([[1.0], [5.0]], [[0.0], [0.0]])[0]  # (0.5 + 2 * 4) / 2
    4.25
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = choice(reduction, "reduction", REDUCTIONS)
        self.delta = number(delta, "delta", above=0)

    def form(self) -> tuple[str, float]:
        return "huber", self.delta

    def best_constant(self, target: np.ndarray) -> np.ndarray:
        return _huber_centre(target, self.delta)


class QuantileLoss(PointwiseLoss):
    """The pinball loss: max(q e, (q - 1) e) with e = target - prediction, so that the prediction is the q-quantile.

    Parameters
    ----------
    quantile : float or sequence of float
        In (0, 1). Several need a network with one output for each of them; the targets stay one column.
    reduction : {"mean", "sum"}

    Notes
    -----
    With 0.5 it is half of `L1Loss`. Several quantiles are learnt independently, so they may cross. Koenker & Bassett
    1978, "Regression Quantiles".

    Examples
    --------
    >>> QuantileLoss(0.9)([[0.0], [0.0]], [[1.0], [-1.0]])[0]  # (0.9 + 0.1) / 2
    0.5
    >>> QuantileLoss([0.25, 0.5, 0.75])([[1.0, 2.0, 5.0]], [2.0])[0]  # (0.25 + 0 + 0.75) / 3
    0.3333333333333333
    """

    def __init__(self, quantile: float | Sequence[float] = 0.5, reduction: str = "mean") -> None:
        self.quantile = quantile
        self.reduction = choice(reduction, "reduction", REDUCTIONS)

    @property
    def quantile(self) -> float | tuple[float, ...]:
        """One quantile, or several; may be assigned."""
        return self._quantile

    @quantile.setter
    def quantile(self, value: float | Sequence[float]) -> None:
        values = np.asarray(value)
        if values.ndim > 1 or not values.size or values.dtype.kind != "f" or not ((values > 0) & (values < 1)).all():
            raise ValueError(f"quantile is {value!r}; expected one number between 0 and 1, or several")
        self._quantile: float | tuple[float, ...] = tuple(values.tolist()) if values.ndim else float(values)
        #: Targets of one column, which several quantiles share, are converted.
        self.target_ndim = None if values.ndim else 2

    def shaped(self, target: np.ndarray, outputs: tuple[int, ...]) -> np.ndarray:
        if isinstance(self._quantile, float):
            return super().shaped(target, outputs)
        count = len(self._quantile)
        one = target.ndim == 1 or (target.ndim == 2 and target.shape[1] == 1)
        if not one or len(outputs) != 2 or outputs[1] != count:
            return target  # of its final shape; `check_target` says if it is wrong
        return np.ascontiguousarray(np.broadcast_to(target.reshape(-1, 1), (len(target), count)))

    def form(self) -> tuple[str, float | tuple[float, ...]]:
        return "quantile", self._quantile

    def best_constant(self, target: np.ndarray) -> np.ndarray:
        shares = np.broadcast_to(self._quantile, target.shape[1:])
        return np.array([np.quantile(column, share) for column, share in zip(target.T, shares, strict=True)])

    def check_target(self, target: np.ndarray, outputs: int) -> None:
        if isinstance(self._quantile, tuple) and outputs != len(self._quantile):
            raise ValueError(f"quantile has {len(self._quantile)} numbers; expected {outputs}, one per output")
        super().check_target(target, outputs)


class PoissonNLLLoss(PointwiseLoss):
    """Negative log-likelihood of counts under a Poisson distribution, exp(x) - t x, without the constant log t!.

    Parameters
    ----------
    log_input : bool
        Whether outputs are logarithms of the expected counts; otherwise the loss is x - t log(x + eps), and the
        network must end in positive outputs, such as those of `Softplus`.
    full : bool
        Whether to add Stirling's approximation of log t! where t > 1: t log t - t + log(2 pi t) / 2.
    eps : float
        At least 0.
    reduction : {"mean", "sum"}

    Notes
    -----
    The model predicts logarithms with ``log_input=True``: take `numpy.exp` of them. `metrics` such as "rmse" do.

    Examples
    --------
    >>> PoissonNLLLoss()([[0.0]], [[3.0]])[0]
    1.0
    """

    counts = True

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        self.log_input = flag(log_input, "log_input")
        self.full = flag(full, "full")
        self.eps = number(eps, "eps", minimum=0)
        self.reduction = choice(reduction, "reduction", REDUCTIONS)

    def form(self) -> tuple[str, float]:
        return ("poisson_log" if self.log_input else "poisson") + ("_full" if self.full else ""), self.eps

    def best_constant(self, target: np.ndarray) -> np.ndarray:
        mean = super().best_constant(target)
        return np.log(np.maximum(mean, np.finfo(mean.dtype).tiny)) if self.log_input else mean

    def amounts(self, prediction: np.ndarray) -> np.ndarray:
        return np.exp(prediction) if self.log_input else prediction


class KLDivLoss(PointwiseLoss):
    """Kullback-Leibler divergence of log-probabilities from target distributions, t (log t - prediction).

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum"}
        "mean" divides by all elements, as in PyTorch; "batchmean" by the examples, which is the divergence's mean.
    log_target : bool
        Whether the targets are logarithms of probabilities, too.

    Notes
    -----
    The network ends in log-probabilities: `LogSoftmax`. A target of 0 costs nothing, even where the prediction is
    minus infinity.

    Examples
    --------
    >>> import numpy as np
    >>> round(KLDivLoss("batchmean")(np.log([[0.5, 0.5]]), [[1.0, 0.0]])[0], 4)
    0.6931
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction = choice(reduction, "reduction", ("mean", "batchmean", "sum"))
        self.log_target = flag(log_target, "log_target")

    @property
    def counts(self) -> bool:  # type: ignore[override]
        return not self.log_target

    def form(self) -> tuple[str, float]:
        return ("kl_log" if self.log_target else "kl"), 0.0

    def neutral(self, prediction: np.ndarray) -> np.ndarray:
        return even_log_probabilities(prediction)

    def best_constant(self, target: np.ndarray) -> np.ndarray:
        mean = super().best_constant(np.exp(target) if self.log_target else target)
        return np.log(np.maximum(mean, np.finfo(mean.dtype).tiny))

    def amounts(self, prediction: np.ndarray) -> np.ndarray:
        return prediction if self.log_target else np.exp(prediction)


def _huber_centre(target: np.ndarray, width: float) -> np.ndarray:
    """Return the constant with the least Huber loss, by means in which values further than `width` off weigh less."""
    centre = np.median(target, axis=0)
    for _ in range(50):
        distance = np.maximum(np.abs(target - centre), 1e-30)
        weight = np.minimum(1, max(width, 1e-30) / distance)
        centre = (weight * target).sum(axis=0) / weight.sum(axis=0)
    return centre
