"""The training of scikit-learn's multi-layer perceptron, on pynn's kernels."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from ..optim.base import Optimizer
from ..optim.optimizers import SGD
from ..optim.schedules import Schedule
from ..training.callbacks import Callback, CallbackList
from ..training.examples import Examples
from ..training.step import NonFiniteError
from ..training.trainer import Trainer
from ..utils.arrays import total_weight
from .base import NetworkEstimator, combined_weights, held_out_parts, monitored, warn_of_interrupt
from .batches import ShuffledBatches
from .convergence import Convergence
from .kingma import KingmaAdam
from .lbfgs import minimize
from .mlp_network import draw_weights, embedded_width, linears, perceptron
from .objectives import MeanL2, Objective
from .parameters import check_parameters, hidden_sizes, network_settings, refuse_changes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


class Data(Examples[Any]):
    """Examples in the network's form, with inputs that may be sparse."""

    def dense(self) -> np.ndarray:
        """Return the inputs as an array."""
        return self.x if isinstance(self.x, np.ndarray) else self.x.all()

    def rows(self, rows: np.ndarray) -> Data:
        """Return some of the examples."""
        return Data(self.x[rows], self.y[rows], None if self.weights is None else self.weights[rows])


class Perceptron(NetworkEstimator):
    """Base class of `MLPClassifier` and `MLPRegressor`, whose docstrings describe the parameters."""

    _embeds = True
    loss_curve_: list[float]
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    if TYPE_CHECKING:  # the parameters

        def __getattr__(self, name: str) -> Any: ...

    @abstractmethod
    def _objective(self) -> Objective:
        """Return the loss to minimise."""

    @abstractmethod
    def _targets(self, y: Any, *, first: bool, incremental: bool) -> np.ndarray:
        """Return the numbers that stand for checked targets; set `n_outputs_`, and learn the classes of a first `y`."""

    @abstractmethod
    def _in_loss_form(self, targets: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return the result of `_targets` in the form that the loss reads."""

    @abstractmethod
    def _score_of(self, data: Data) -> float:
        """Return accuracy or R^2 for examples in the network's form."""

    @property
    @abstractmethod
    def _output_activation(self) -> str:
        """scikit-learn's name of the function that makes predictions of the network's outputs."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> Self:
        """Train on all examples.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, shape (n, features)
        y : array_like, shape (n,), (n, outputs) of amounts, or (n, labels) of 0 and 1
        sample_weight : array_like, shape (n,), optional
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after every epoch, into `history_`; also what `early_stopping` scores, instead of a part of X.
        callbacks : iterable of Callback

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, or the training diverges.

        Warns
        -----
        ConvergenceWarning
            If it has not converged after `max_iter` epochs.
        """
        return self._train(X, y, sample_weight, validation_data=validation_data, callbacks=callbacks)

    def _read(
        self, X: Any, y: Any, sample_weight: Any, *, first: bool, incremental: bool
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Return the checked inputs, the targets in the loss's form, and the weights."""
        x, y = self._learn(X, y, sample_weight, first=first)
        targets = self._targets(y, first=first, incremental=incremental)
        weights = combined_weights(sample_weight, getattr(self, "class_weight", None), y, x.dtype)
        return x, self._in_loss_form(targets, x.dtype), weights

    def _train(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        incremental: bool = False,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> Self:
        check_parameters(self)
        callbacks = CallbackList(callbacks).callbacks
        if self.solver == "lbfgs" and (callbacks or validation_data is not None):
            given = "callbacks" if callbacks else "validation_data"
            raise ValueError(f'{given} need epochs, which solver="lbfgs" lacks; use "adam" or "sgd"')
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        x, targets, weights = self._read(X, y, sample_weight, first=first, incremental=incremental)
        random = check_random_state(self.random_state)
        if first:
            self._start(x, random)
        elif not hasattr(self, "network_"):
            self._build(x.dtype)
        else:
            refuse_changes(self._made_with, network_settings(self))
        if self.solver != "lbfgs" and (first or not self._has_records()):
            self._begin_records()
        data = Data(self._inputs(x), targets, weights)
        self._objective().loss.check_target(targets, self.n_outputs_)
        self._network()
        if self.solver == "lbfgs":
            self._fit_lbfgs(data)
        else:
            self._fit_stochastic(data, random, incremental, validation_data, callbacks)
        self._share_weights()
        if not all(np.isfinite(array).all() for array in (*self.coefs_, *self.intercepts_)):
            raise ValueError(NOT_FINITE)
        return self

    # Weights ---------------------------------------------------------------------------------------------------------

    def _start(self, x: Any, random: np.random.RandomState) -> None:
        """Make a network with new weights, and begin all records."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(hidden_sizes(self)) + 2
        self.out_activation_ = self._output_activation
        self._build(x.dtype, [self._width(x), *hidden_sizes(self), self.n_outputs_])
        draw_weights(self.network_, self.activation, random)
        self._share_weights()
        self._best_state: dict[str, np.ndarray] | None = None

    def _has_records(self) -> bool:
        """Return whether an earlier fit left the records that this one goes on with: L-BFGS leaves none."""
        scores = getattr(self, "validation_scores_", None)
        return hasattr(self, "loss_curve_") and (scores is not None) == bool(self.early_stopping)

    def _begin_records(self) -> None:
        """Begin the records of training epoch by epoch."""
        self.loss_curve_ = []
        self._no_improvement_count = 0
        stops = self.early_stopping
        self.best_loss_ = None if stops else np.inf
        self.validation_scores_: list[float] | None = [] if stops else None
        self.best_validation_score_ = -np.inf if stops else None

    def _width(self, x: Any) -> int:
        return int(x.shape[1]) if self._columns is None else embedded_width(self._columns.cardinalities)

    def _build(self, dtype: Any, units: Sequence[int] | None = None) -> None:
        """Make the network; without `units`, one for the weights that were assigned to `coefs_`."""
        if units is None:
            units = [len(self.coefs_[0]), *(matrix.shape[1] for matrix in self.coefs_)]
        cardinalities = [] if self._columns is None else self._columns.cardinalities
        self.network_ = perceptron(units, self.activation, self.dropout, self.batch_norm, dtype, cardinalities)
        self.network_.output_kind = self._objective().loss.output_kind
        self.network_.class_names = self._class_names
        # For those who save the network: the estimator's own batches are scaled already.
        self.network_.preprocessing = None if self._scaling is None else self._scaling.transformer()
        self.__dict__.pop("_trainer", None)
        self._made_with = network_settings(self)

    def _share_weights(self) -> None:
        """Make `coefs_` and `intercepts_` views of the network's weights."""
        self.network_.flat  # noqa: B018 - moves the weights to their final place
        layers = linears(self.network_)
        self.coefs_ = [layer.weight.data for layer in layers]
        self.intercepts_ = [layer.bias.data for layer in layers if layer.bias is not None]

    def _network(self) -> Any:
        """Return the network, with the arrays that the user has assigned to `coefs_` and `intercepts_`."""
        self.network_.flat  # noqa: B018 - moves the weights to their final place
        layers = linears(self.network_)
        current = [*(layer.weight for layer in layers), *(layer.bias for layer in layers if layer.bias is not None)]
        given = [*self.coefs_, *self.intercepts_]
        if any(array is not parameter.data for array, parameter in zip(given, current, strict=True)):
            for array, parameter in zip(given, current, strict=True):
                parameter[...] = array
            self._share_weights()
        return self.network_

    # Solvers ---------------------------------------------------------------------------------------------------------

    def _fit_lbfgs(self, data: Data) -> None:
        objective = self._objective()
        penalty = MeanL2(self.alpha * objective.gradient_scale)
        row_weights = objective.loss.row_weights(data.y, data.weights)
        penalty.weight = total_weight(len(data.y), row_weights)
        options = {"maxiter": self.max_iter, "maxfun": self.max_fun, "gtol": self.tol}
        loss, self.n_iter_ = minimize(self.network_, objective, penalty, (data.dense(), *data[1:]), **options)
        self.loss_ = loss + _constant(objective, data)

    def _fit_stochastic(
        self,
        data: Data,
        random: np.random.RandomState,
        incremental: bool,
        validation_data: tuple[Any, ...] | None,
        callbacks: list[Callback],
    ) -> None:
        objective = self._objective()
        if not incremental or not hasattr(self, "_trainer"):
            self._trainer = self._new_trainer(objective, random)
        held_out, validation = (None, None) if validation_data is None else self._read_validation(validation_data)
        score = None
        if self.early_stopping:
            tested = held_out
            if tested is None:
                data, tested = self._split(data, random)
            score = partial(self._score_of, tested)
        penalty = self._trainer.regularizers[0]
        assert isinstance(penalty, MeanL2)
        self.n_iter_ = 0
        rules = Convergence(
            self, objective, penalty, len(data.y), _constant(objective, data), score, incremental=incremental
        )
        source = self._batches(data, objective, penalty, random)
        watch = [] if incremental else monitored(self)
        try:
            self._trainer.fit(
                source,
                epochs=1 if incremental else self.max_iter,
                validation=validation,
                callbacks=[rules, *callbacks, *watch],
            )
        except NonFiniteError as error:
            rules.diverged()
            if not self.early_stopping or self._best_state is None:
                raise ValueError(NOT_FINITE) from error
            warnings.warn(
                f"the training diverged in iteration {self.n_iter_}: {error}", ConvergenceWarning, stacklevel=4
            )
        self.history_ = self._trainer.history
        if watch:
            self.diagnosis_ = self.monitor_.verdict
        if self._trainer.history.interrupted:
            warn_of_interrupt()
        if self.early_stopping and self._best_state is not None:
            self.network_.load_state_dict(self._best_state)

    def _new_trainer(self, objective: Objective, random: np.random.RandomState) -> Trainer:
        penalty = MeanL2(self.alpha * objective.gradient_scale)
        schedule = self.learning_rate if isinstance(self.learning_rate, Schedule) else None
        optimizer = self._new_optimizer(objective)
        seed = int(random.randint(2**31 - 1)) if self.dropout else 0
        return Trainer(
            self.network_,
            objective.loss,
            optimizer,
            schedule=schedule,
            regularizers=[penalty],
            seed=seed,
        )

    def _new_optimizer(self, objective: Objective) -> Optimizer:
        """Return the optimiser that moves the weights as scikit-learn's does, given the scale of the gradient."""
        scale = objective.gradient_scale
        if self.solver == "adam":
            return KingmaAdam(self.learning_rate_init, (self.beta_1, self.beta_2), self.epsilon * scale)
        momentum = min(float(self.momentum), math.nextafter(1.0, 0.0))  # scikit-learn allows 1
        return SGD(self.learning_rate_init / scale, momentum, nesterov=bool(self.nesterovs_momentum and momentum))

    def _batches(
        self, data: Data, objective: Objective, penalty: MeanL2, random: np.random.RandomState
    ) -> ShuffledBatches:
        rows = len(data.y)
        if self.batch_size != "auto" and self.batch_size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        return ShuffledBatches(
            data,
            min(200 if self.batch_size == "auto" else self.batch_size, rows),
            objective,
            random if self.shuffle else None,
            penalty,
            drop_single=self._normalizes_batches(),
        )

    def _split(self, data: Data, random: np.random.RandomState) -> tuple[Data, Data]:
        """Return training and held-out examples, drawn as scikit-learn draws them."""
        single = hasattr(self, "classes_") and self.n_outputs_ == 1
        train, held_out = train_test_split(
            np.arange(len(data.y)),
            random_state=random,
            test_size=self.validation_fraction,
            stratify=data.y.astype(bool) if single else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return data.rows(train), data.rows(held_out)

    def _read_validation(self, validation_data: tuple[Any, ...]) -> tuple[Data, tuple[Any, ...]]:
        """Return the user's held-out examples in the network's form, and as the trainer's validation data."""
        X, y, weights = held_out_parts(validation_data)
        x, targets, weights = self._read(X, y, weights, first=False, incremental=True)
        raw = x.toarray() if hasattr(x, "toarray") else x
        return Data(self._inputs(x), targets, weights), (raw, targets, weights)


def _constant(objective: Objective, data: Data) -> float:
    return 0.0 if objective.constant is None else objective.constant(data.y, data.weights)


def is_stochastic(estimator: Any) -> bool:
    """Return whether the estimator trains in minibatches; raise AttributeError otherwise."""
    if getattr(estimator, "solver", None) == "lbfgs":
        raise AttributeError("partial_fit is only available for stochastic optimizers; lbfgs is not stochastic")
    return True
