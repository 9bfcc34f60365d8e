"""Metrics beside the loss, computed by scikit-learn, all weighted by the examples' weights.

For classification, "balanced_accuracy"; "precision", "recall" and "f1", as means over the classes, 0 for a class that
is never predicted; "roc_auc", of a class against all others, as mean over the classes, NaN if one does not occur;
"log_loss". For regression, in the target's units, "r2", "mae" and "rmse". All other names are those of scikit-learn's
scorers, such as "matthews_corrcoef" or "neg_median_absolute_error", of which larger is always better.

A function is called with targets and predictions: class probabilities (n, classes), or values in the target's units.

Examples
--------
>>> import numpy as np
>>> import pynn
>>> x, y = np.eye(4), np.array([0, 0, 1, 1])
>>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 2)), pynn.CrossEntropyLoss(), pynn.SGD(1.0))
>>> history = trainer.fit(x, y, epochs=50, validation=(x, y), metrics=["recall"])
>>> history["val_recall"][-1], trainer.evaluate(x, y, metrics=["roc_auc"])["roc_auc"]
(1.0, 1.0)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..nn.inputs import Inputs
from ..nn.loss import count_correct
from ..nn.probabilities import softmax
from ..utils.validation import several, shortened

if TYPE_CHECKING:
    from ..nn.loss import Loss
    from ..nn.sequential import Sequential
    from .examples import Examples
    from .ranks import Ranks

INSTALL_HINT = 'pip install "pynn-kernels[metrics]"'

#: A metric: its name, or a function of targets and predictions that returns a number.
Metric = str | Callable[[np.ndarray, np.ndarray], float]


class Predictions(NamedTuple):
    """Targets and the network's predictions for them.

    For classification `y` are class numbers, `labels` the most probable classes, and `values` the probabilities
    (n, classes), or None if the loss gives none. For regression `y` and `values` are in the target's units.
    """

    y: np.ndarray
    values: np.ndarray | None
    labels: np.ndarray | None
    weights: np.ndarray | None


def _of_labels(name: str, **options: Any) -> Callable[[Predictions], float]:
    def score(found: Predictions) -> float:
        return float(_sklearn(name)(found.y, found.labels, sample_weight=found.weights, **options))

    return score


def _of_values(name: str) -> Callable[[Predictions], float]:
    def score(found: Predictions) -> float:
        return float(_sklearn(name)(found.y, found.values, sample_weight=found.weights))

    return score


def _roc_auc(found: Predictions) -> float:
    values = _probabilities(found, "roc_auc")
    classes = np.arange(values.shape[1])
    if len(np.unique(found.y)) < len(classes):
        return math.nan  # undefined for a class that does not occur
    if len(classes) == 2:
        return float(_sklearn("roc_auc_score")(found.y, values[:, 1], sample_weight=found.weights))
    # One class against all others; scikit-learn weights examples only in the average over classes.
    scores = [
        _sklearn("roc_auc_score")(found.y == place, values[:, place], sample_weight=found.weights) for place in classes
    ]
    return float(np.mean(scores))


def _log_loss(found: Predictions) -> float:
    values = _probabilities(found, "log_loss")
    return float(_sklearn("log_loss")(found.y, values, sample_weight=found.weights, labels=np.arange(values.shape[1])))


def _probabilities(found: Predictions, name: str) -> np.ndarray:
    if found.values is None:
        raise ValueError(f"{name} needs probabilities, which this loss does not give")
    return found.values


_MACRO = {"average": "macro", "zero_division": 0.0}
OF_CLASSES: dict[str, Callable[[Predictions], float]] = {
    "balanced_accuracy": _of_labels("balanced_accuracy_score"),
    "precision": _of_labels("precision_score", **_MACRO),
    "recall": _of_labels("recall_score", **_MACRO),
    "f1": _of_labels("f1_score", **_MACRO),
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
}
OF_AMOUNTS: dict[str, Callable[[Predictions], float]] = {
    "r2": _of_values("r2_score"),
    "mae": _of_values("mean_absolute_error"),
    "rmse": _of_values("root_mean_squared_error"),
}


#: Of these, more is better, or less.
LARGER = frozenset(("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "r2"))
SMALLER = frozenset(("loss", "log_loss", "mae", "rmse"))


def larger_is_better(column: str) -> bool:
    """Return whether more is better of a column of the history, such as "val_f1"; False for functions of users.

    Examples
    --------
    >>> larger_is_better("val_f1"), larger_is_better("loss"), larger_is_better("val_neg_max_error")
    (True, False, True)
    """
    name = column.removeprefix("val_")
    return name in LARGER or (name not in SMALLER and is_scorer(name))


def is_scorer(name: str) -> bool:
    """Return whether scikit-learn has a scorer of this name."""
    return available() and name in _sklearn("get_scorer_names")()


def available() -> bool:
    """Return whether scikit-learn is installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return False
    return True


def _sklearn(name: str) -> Callable[..., Any]:
    try:
        from sklearn import metrics
    except ImportError as error:
        raise ImportError(f"metrics need scikit-learn: {INSTALL_HINT}") from error
    return getattr(metrics, name)


def named(metrics: Iterable[Metric], loss: Loss) -> dict[str, Callable[[Predictions], float]]:
    """Return the metrics by name, or raise an error if one does not exist or does not suit the loss."""
    known = OF_AMOUNTS if loss.output_kind == "values" else OF_CLASSES
    chosen: dict[str, Callable[[Predictions], float]] = {}
    for metric in several(metrics, "metrics"):
        if callable(metric):
            chosen[getattr(metric, "__name__", type(metric).__name__)] = _of_user(metric)
        elif metric in known:
            _sklearn("r2_score")  # raises ImportError now rather than after the epoch
            chosen[metric] = known[metric]
        else:
            chosen[metric] = _scorer(metric, known)
    return chosen


def _scorer(name: str, known: Iterable[str]) -> Callable[[Predictions], float]:
    """Return one of scikit-learn's scorers as a metric, or raise ValueError if there is none of this name."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    kind = "a regression" if known is OF_AMOUNTS else "a classification"
    if not isinstance(name, str) or name in (*OF_CLASSES, *OF_AMOUNTS) or not is_scorer(name):
        raise ValueError(
            f"there is no metric {name!r} of {kind}; expected a function, one of {', '.join(known)}, or the name of a "
            "scorer of scikit-learn"
        )
    scorer = _sklearn("get_scorer")(name)

    mixin: Any = ClassifierMixin if known is OF_CLASSES else RegressorMixin

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
            return _probabilities(self.found, name)

    def score(found: Predictions) -> float:
        weights = {} if found.weights is None else {"sample_weight": found.weights}
        return float(scorer(Answered(found), found.y, found.y, **weights))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only errors count
            score(_EXAMPLE[known is OF_AMOUNTS])
    except Exception as error:  # the scorer's own
        raise ValueError(f"the scorer {name!r} of scikit-learn does not suit {kind}: {error}") from error
    return score


#: Predictions of classes and of amounts, to try a scorer on before training.
_EXAMPLE = (
    Predictions(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 0]), None),
    Predictions(np.array([[1.5], [2.5], [3.5]]), np.array([[1.25], [2.5], [4.0]]), None, None),
)


def _of_user(metric: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Predictions], float]:
    def score(found: Predictions) -> float:
        values = found.labels if found.values is None else found.values
        assert values is not None
        value = metric(found.y, values)
        if np.ndim(value) or isinstance(value, str) or value is None:
            name = getattr(metric, "__name__", repr(metric))
            raise TypeError(f"the metric {name} returned {shortened(repr(value))}; expected a number")
        return float(value)

    return score


def outputs(model: Sequential, examples: Examples, batch_size: int | None, ranks: Ranks | None = None) -> np.ndarray:
    """Return a network's outputs for examples in its form; `ranks` compute them together."""
    x = examples.x
    if ranks is None:
        return model.infer(x, batch_size)
    own, counts = ranks.cut(len(x))
    return ranks.join(model.infer(x.part(own) if isinstance(x, Inputs) else x[own], batch_size), counts)


def figures(
    model: Sequential, loss: Loss, examples: Examples, output: np.ndarray, metrics: tuple[Metric, ...]
) -> dict[str, float]:
    """Return loss, accuracy if the loss has one, and metrics of a network with these outputs."""
    result = {"loss": loss.forward(output, examples.y, examples.weights)[0]}
    counted = count_correct(loss, output, examples.y, examples.weights)
    if counted is not None:
        result["accuracy"] = counted[0] / counted[1] if counted[1] else math.nan
    if metrics:
        found = predictions(model, loss, output, examples.y, examples.weights)
        result |= {name: score(found) for name, score in named(metrics, loss).items()}
    return result


def predictions(
    model: Sequential, loss: Loss, output: np.ndarray, y: np.ndarray, weights: np.ndarray | None
) -> Predictions:
    """Return the predictions that a network's output stands for, with the targets, in the form that metrics take."""
    if loss.output_kind == "values":
        amounts = [model.in_target_units(array.reshape(len(array), -1)) for array in (y, loss.amounts(output))]
        return Predictions(amounts[0], amounts[1], None, weights)
    if loss.output_kind == "binary":
        if output.ndim > 1 and output.shape[1] > 1:
            raise ValueError(f"metrics are for one label per example; the network has {output.shape[1]} binary outputs")
        output = np.stack([np.zeros(len(output)), output.reshape(-1)], axis=1)
        y = y.reshape(-1) > 0.5
    ignored = getattr(loss, "ignore_index", None)
    kept = np.ones(len(y), bool) if ignored is None else y != ignored
    y, output, weights = y[kept].astype(np.int64), output[kept], None if weights is None else weights[kept]
    if loss.output_kind in ("classes", "binary"):
        return of_logits(output, y, weights)
    return Predictions(y, None, output.argmax(axis=1), weights)


def of_logits(output: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Predictions:
    """Return predictions of classes; their probabilities are the softmax of `output` (n, classes)."""
    return Predictions(y, softmax(output.astype(np.float64)), output.argmax(axis=1), weights)
