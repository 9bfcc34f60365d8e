"""The perceptron that predicts values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from ..nn.loss import Loss
from ..optim.schedules import Schedule
from .base import keep
from .mlp import Data, Perceptron, is_stochastic
from .objectives import Objective, value_objective, value_outputs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class MLPRegressor(RegressorMixin, Perceptron):
    """scikit-learn's multi-layer perceptron regressor, on pynn's kernels.

    Parameters, attributes and methods are those of `sklearn.neural_network.MLPRegressor` by the same names, with the
    same defaults; with the same `random_state` it draws the same weights and minibatches.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber", "quantile"} or Loss
        "poisson" predicts expected counts; "quantile" is that of the median. Others are losses of pynn's, such as
        ``pynn.HuberLoss(delta=2.0)`` or ``pynn.QuantileLoss([0.1, 0.5, 0.9])``, whose predictions have a column each.
    hidden_layer_sizes, activation, ..., max_fun
        As in `MLPClassifier`; `early_stopping` scores R^2.
    dropout, batch_norm, categorical_features, scale, monitor
        As in `MLPClassifier`.

    Attributes
    ----------
    coefs_, intercepts_, ..., diagnosis_
        As in `MLPClassifier`, without classes.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> regressor = pynn.MLPRegressor(solver="lbfgs", random_state=0).fit(x, np.sin(3 * x[:, 0]))
    >>> bool(regressor.score(x, np.sin(3 * x[:, 0])) > 0.99)
    True
    """

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        batch_norm: bool = False,
        categorical_features: Any = None,
        scale: str | None = None,
        monitor: bool = False,
    ) -> None:
        keep(self, locals())

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these examples, going on from the weights and the optimiser's state.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        """
        return self._train(X, y, sample_weight, incremental=True)

    def _objective(self) -> Objective:
        return value_objective(self.loss, self.n_outputs_)

    @property
    def _output_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _targets(self, y: Any, *, first: bool, incremental: bool) -> np.ndarray:
        self.n_outputs_ = value_outputs(self.loss, y)
        return y

    def _in_loss_form(self, targets: np.ndarray, dtype: np.dtype) -> np.ndarray:
        shape = (len(targets), self.n_outputs_)
        return self._objective().loss.shaped(targets.reshape(len(targets), -1).astype(dtype), shape)

    def _score_of(self, data: Data) -> float:
        predicted = self._objective().loss.amounts(self.network_.infer(data.x))
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(data.y, predicted, sample_weight=data.weights))

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values, (n,) or (n, outputs).

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, shape (n, features)
        """
        outputs = self._outputs(X)
        values = self._objective().loss.amounts(outputs)
        return values[:, 0] if values.shape[1] == 1 else values
