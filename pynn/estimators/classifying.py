"""What the classifiers share: their classes, and how they predict and learn them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from .mlp import is_stochastic
from .probabilities import gives_probabilities, probabilities
from .targets import Labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class ClassPredictor(ClassifierMixin):
    """Mixin of the classifiers: predictions of classes from a network's outputs."""

    _labels: Labels
    classes_: np.ndarray
    _outputs: Callable[[Any], np.ndarray]

    def _keep_labels(self, labels: Labels) -> None:
        self._labels, self.classes_ = labels, labels.classes

    @property
    def _class_names(self) -> list[Any] | None:
        return self._labels.names

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each example, or 0 and 1 for each label.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix
            As in `fit`.
        """
        outputs = self._outputs(X)  # raises unless fitted
        return self._labels.labels(self._labels.predicted(outputs))

    @available_if(gives_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (n, classes), in the order of `classes_`.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix
            As in `fit`.
        """
        return probabilities(self._outputs(X), self._labels)

    @available_if(gives_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix
            As in `fit`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class IncrementalClassifier(ClassPredictor):
    """Mixin of the classifiers that also train epoch by epoch."""

    _train: Callable[..., Any]

    @available_if(is_stochastic)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on these examples, going on from the weights and the optimiser's state.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array_like, optional
            All classes; required in the first call, unless examples have several labels.
        """
        self._keep_labels(Labels.known(self, classes, y))
        return self._train(X, y, sample_weight, incremental=True)
