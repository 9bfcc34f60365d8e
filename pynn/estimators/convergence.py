"""The rules by which scikit-learn's perceptron changes its learning rate and stops."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..training.callbacks import Callback
from ..utils.warning import warn_user
from .objectives import MeanL2, Objective

if TYPE_CHECKING:
    from ..training.state import TrainingState

#: The rate below which `learning_rate="adaptive"` stops, and the divisor by which it falls.
LEAST_RATE, ADAPTIVE_DIVISOR = 1e-6, 5.0


class Convergence(Callback):
    """Records the curves of a perceptron and ends its training as scikit-learn does.

    Parameters
    ----------
    estimator : estimator
        Its attributes `n_iter_`, `t_`, `loss_`, `loss_curve_`, `best_loss_`, `validation_scores_` and
        `best_validation_score_` are kept up to date.
    objective : Objective
    penalty : MeanL2
    examples : int
    constant : float
        Added to the mean loss of an epoch.
    score : callable or None
        Returns the score on held-out data, for early stopping.
    incremental : bool
        Whether this is one call of `partial_fit`, which neither stops nor warns.
    """

    def __init__(
        self,
        estimator: Any,
        objective: Objective,
        penalty: MeanL2,
        examples: int,
        constant: float,
        score: Callable[[], float] | None,
        *,
        incremental: bool,
    ) -> None:
        self._estimator, self._objective, self._penalty = estimator, objective, penalty
        self._examples, self._constant, self._score, self._incremental = examples, constant, score, incremental
        self._sum = 0.0

    def on_step_end(self, trainer: TrainingState) -> None:
        loss = self._objective.reported(trainer.last_loss, self._penalty.value)
        self._sum += loss * len(trainer.minibatch[1])

    def on_epoch_end(self, trainer: TrainingState) -> None:
        estimator = self._estimator
        self._record(self._sum / self._examples + self._constant)
        self._sum = 0.0
        self._say("Iteration {}, loss = {:.8f}", estimator.n_iter_, estimator.loss_)
        if self._score is None:
            self._compare_losses()
        else:
            self._compare_scores(self._score(), trainer)
        if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
            set_rate(trainer, self._base_rate(estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t))
        if estimator._no_improvement_count > estimator.n_iter_no_change and self._stalled(trainer):
            trainer.stop()
        elif estimator.n_iter_ == estimator.max_iter and not self._incremental:
            warn_user(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
            )

    def _record(self, loss: float) -> None:
        estimator = self._estimator
        estimator.n_iter_ += 1
        estimator.t_ += self._examples
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)

    def diverged(self) -> None:
        """Record the iteration whose loss is not finite; the weights before it stay."""
        self._record(float("nan"))
        if self._score is not None:
            self._estimator.validation_scores_.append(float("nan"))

    def _compare_losses(self) -> None:
        estimator = self._estimator
        self._count(estimator.loss_ > estimator.best_loss_ - estimator.tol)
        estimator.best_loss_ = min(estimator.loss_, estimator.best_loss_)

    def _compare_scores(self, score: float, trainer: TrainingState) -> None:
        estimator = self._estimator
        estimator.validation_scores_.append(score)
        self._say("Validation score: {:f}", score)
        self._count(score < estimator.best_validation_score_ + estimator.tol)
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_state = trainer.model.state_dict()

    def _count(self, stalls: bool) -> None:
        self._estimator._no_improvement_count = self._estimator._no_improvement_count + 1 if stalls else 0

    def _stalled(self, trainer: TrainingState) -> bool:
        """Return whether to stop, now that nothing has improved for some epochs; lower an adaptive rate instead."""
        estimator = self._estimator
        what = "Training loss" if self._score is None else "Validation score"
        stalls = f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} consecutive"
        rate = trainer.optimizer.lr / self._base_rate(1.0)
        if estimator.solver != "sgd" or estimator.learning_rate != "adaptive":
            self._say(f"{stalls} epochs. Stopping.")
            return True
        if rate <= LEAST_RATE:
            self._say(f"{stalls} epochs. Learning rate too small. Stopping.")
            return True
        set_rate(trainer, trainer.optimizer.lr / ADAPTIVE_DIVISOR)
        self._say(f"{stalls} epochs. Setting learning rate to {rate / ADAPTIVE_DIVISOR:f}")
        estimator._no_improvement_count = 0
        return False

    def _base_rate(self, rate: float) -> float:
        """Return the rate of pynn's SGD that acts as `rate` does on scikit-learn's gradient."""
        return rate / self._objective.gradient_scale

    def _say(self, text: str, *values: float) -> None:
        if self._estimator.verbose:
            sys.stdout.write(text.format(*values) + "\n")


def set_rate(trainer: TrainingState, rate: float) -> None:
    """Change the rate of an optimiser with momentum as scikit-learn does, whose velocity contains past rates."""
    optimizer = trainer.optimizer
    if "velocity" in optimizer.state and rate:
        np.multiply(optimizer.state["velocity"], optimizer.lr / rate, out=optimizer.state["velocity"])
    optimizer.lr = rate
