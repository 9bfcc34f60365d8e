"""The networks that suit small tables, as estimators: several kinds of them, cross-fitted and averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..nn.random import unobserved
from ..tabular.fitting import SmallTable
from ..tabular.recipe import FOLDS
from ..utils.validation import count
from .base import NetworkEstimator, checked_weights, keep, warn_of_interrupt
from .classifying import ClassPredictor
from .targets import Labels, class_weights
from .weighting import Weighted, weighted

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sklearn.utils import Tags

    from ..nn.sequential import Sequential


class _Tabular(NetworkEstimator):
    """What classifier and regressor share."""

    folds: int
    epochs: int | None
    random_state: Any
    _accepted: ClassVar[dict[str, Any]] = {"dtype": np.float64}

    def _cross_fit(
        self, X: Any, y: Any, classes: int | None, examples: Weighted, class_weight: list[float] | None = None
    ) -> None:
        """Learn from checked inputs, and class numbers or amounts."""
        rows, weights = examples
        given = {} if self.epochs is None else {"epochs": count(self.epochs, "epochs")}
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with unobserved():  # the user's own generator stays as it is
            table = SmallTable(
                X[rows], y[rows], classes, given, folds=self.folds, seed=seed,
                class_weight=class_weight, sample_weight=weights, class_names=self._class_names,
            )  # fmt: skip
            fit = table.cross_fit()
        self.network_: Sequential = fit.model
        self.predictions_ = examples.back(fit.predictions, fit.model.predict(X).astype(np.float64))
        self.kinds_ = {kind.name: share for kind, _, share in fit.kinds if share}
        self.diagnosis_ = fit.verdict
        if fit.interrupted:
            warn_of_interrupt()

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.network_.predict(self._checked(X))

    def _checked_examples(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        count(self.folds, "folds", minimum=2)
        X, y = self._learn(X, y, sample_weight, first=True)
        weights = checked_weights(sample_weight, len(X))
        if y.ndim != 1:
            raise ValueError(f"y has shape {y.shape}; {type(self).__name__} expects one target per example, (n,)")
        used = len(X) if weights is None else np.count_nonzero(weights)
        if used < self.folds:
            raise ValueError(f"n_samples={used}: expected at least one example for each of the {self.folds} folds")
        return X, y, weights

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


class TabularClassifier(ClassPredictor, _Tabular):
    """Classes from a small table, by the average of five kinds of networks.

    Each kind is trained `folds` times, each time without one part of the examples, which says when to stop; the kinds
    that together predict these parts best form an average (`pynn.training.folds`). Numbers are standardised, and values
    far out compressed; categories become columns of zeros and ones, missing numbers the mean of the others. It takes
    seconds for up to some 5000 rows. ``bench/tables`` compares it with other libraries.

    Parameters
    ----------
    folds : int
    epochs : int, optional
        At most; by default from 30 to 150, by the number of rows.
    categorical_features : "from_dtype", sequence or None
        Columns that are categories: those of text, booleans and categories of a data frame; a list of indices or names,
        or a mask; None for none.
    class_weight : dict, "balanced" or None
    random_state : int, RandomState or None

    Attributes
    ----------
    network_ : Sequential
        The average, for numbers; ``network_.save(path)`` writes it.
    predictions_ : ndarray, shape (n, classes)
        Logits for the training examples, each of networks that did not see it: an honest score without a test set. Of
        an example that counts several times, the mean; a network may have seen another of its repetitions.
    kinds_ : dict
        How often each kind of network counts in the average.
    classes_ : ndarray
    n_features_in_ : int
    feature_names_in_ : ndarray
    diagnosis_ : list of Finding
        What `pynn.Monitor` found in the first network of the kind that counts most.

    Notes
    -----
    Averages chosen by their error on held-out examples: Caruana et al., "Ensemble selection from libraries of models",
    2004.

    Examples
    --------
    >>> import pynn
    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> classifier = pynn.TabularClassifier(epochs=20, random_state=0).fit(x, y)
    >>> bool((classifier.predictions_.argmax(axis=1) == y).mean() > 0.9)
    True
    """

    def __init__(
        self,
        *,
        folds: int = FOLDS,
        epochs: int | None = None,
        categorical_features: Any = "from_dtype",
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        keep(self, locals())

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train the networks.

        Parameters
        ----------
        X : array_like, shape (n, features), or data frame
        y : array_like, shape (n,)
        sample_weight : array_like, shape (n,), optional
            Whole weights count as repetitions of the example, others multiply its loss.
        """
        X, y, weights = self._checked_examples(X, y, sample_weight)
        used = y if weights is None else y[weights > 0]
        self._keep_labels(Labels(used))
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}; expected at least two classes")
        numbers = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        examples = weighted(X, numbers, weights)
        of_class = None
        if self.class_weight is not None:
            each = class_weights(self.class_weight, y[examples.rows], examples.weights)
            of_class = [float(each[numbers[examples.rows] == number][0]) for number in range(len(self.classes_))]
        self._cross_fit(X, numbers, len(self.classes_), examples, of_class)
        return self


class TabularRegressor(RegressorMixin, _Tabular):
    """Amounts from a small table, by the average of five kinds of networks: see `TabularClassifier`.

    Parameters
    ----------
    folds, epochs, categorical_features, random_state
        As in `TabularClassifier`.

    Attributes
    ----------
    network_, kinds_, ..., diagnosis_
        As in `TabularClassifier`, without classes.
    predictions_ : ndarray, shape (n, 1)
        Predictions for the training examples, each of networks that did not see it.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> x = np.linspace(-2, 2, 200)[:, None]
    >>> regressor = pynn.TabularRegressor(random_state=0).fit(x, 1e6 + np.abs(x[:, 0]))
    >>> bool(regressor.score(x, 1e6 + np.abs(x[:, 0])) > 0.98)
    True
    """

    def __init__(
        self,
        *,
        folds: int = FOLDS,
        epochs: int | None = None,
        categorical_features: Any = "from_dtype",
        random_state: Any = None,
    ) -> None:
        keep(self, locals())

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train the networks.

        Parameters
        ----------
        X : array_like, shape (n, features), or data frame
        y : array_like, shape (n,)
        sample_weight : array_like, shape (n,), optional
            Whole weights count as repetitions of the example, others multiply its loss.
        """
        X, y, weights = self._checked_examples(X, y, sample_weight)
        self._cross_fit(X, y.astype(np.float64), None, weighted(X, y, weights))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values, (n,).

        Parameters
        ----------
        X : array_like, shape (n, features), or data frame
        """
        return self._outputs(X)[:, 0]
