"""scikit-learn's scorers, by name, as metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .formulas import Predictions, probabilities

INSTALL_HINT = 'pip install "pynn-kernels[metrics]"'

#: Predictions of classes and of amounts, to try a scorer on before training.
_CLASSES = Predictions(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 0]), None)
_AMOUNTS = Predictions(np.array([[1.5], [2.5], [3.5]]), np.array([[1.25], [2.5], [4.0]]), None, None)


def is_scorer(name: str) -> bool:
    """Return whether scikit-learn is installed and has a scorer of this name."""
    try:
        from sklearn.metrics import get_scorer_names
    except ImportError:
        return False
    return name in get_scorer_names()


def scorer_words() -> str:
    """Return "the name of a scorer of scikit-learn", and what to install if it is not."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return f"the name of a scorer of scikit-learn, which is not installed: {INSTALL_HINT}"
    return "the name of a scorer of scikit-learn"


def scorer(name: str, of_classes: bool, probabilistic: bool) -> Callable[[Predictions], float]:
    """Return a scorer as a metric, or raise ValueError if it does not suit a classification or a regression."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.metrics import get_scorer

    own = get_scorer(name)
    mixin: Any = ClassifierMixin if of_classes else RegressorMixin

    class Answered(mixin, BaseEstimator):
        """A fitted estimator that returns predictions made earlier."""

        def __init__(self, found: Predictions) -> None:
            self.found = found
            if found.labels is not None:
                classes = found.labels.max(initial=1) + 1 if found.values is None else found.values.shape[1]
                self.classes_ = np.arange(classes)

        def predict(self, X: object) -> np.ndarray | None:
            return self.found.values if self.found.labels is None else self.found.labels

        def predict_proba(self, X: object) -> np.ndarray:
            return probabilities(self.found, name)

    def score(found: Predictions) -> float:
        weights = {} if found.weights is None else {"sample_weight": found.weights}
        return float(own(Answered(found), found.y, found.y, **weights))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only errors count
            score(_AMOUNTS if not of_classes else _CLASSES if probabilistic else _CLASSES._replace(values=None))
    except Exception as error:  # the scorer's own
        kind = "a classification" if of_classes else "a regression"
        raise ValueError(f"the scorer {name!r} of scikit-learn does not suit {kind}: {error}") from error
    return score
