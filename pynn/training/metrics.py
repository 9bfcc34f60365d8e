"""Metrics beside the loss; all but users' functions are weighted by the examples' weights.

For classification, "balanced_accuracy"; "precision", "recall" and "f1", as means over the classes, 0 for a class that
is never predicted; "roc_auc", of a class against all others, as mean over the classes, NaN if one does not occur;
"log_loss". For regression, in the target's units, "r2", "mae" and "rmse". They agree with scikit-learn's functions. All
other names are those of its scorers, such as "matthews_corrcoef" or "neg_median_absolute_error", of which larger is
always better, and need it.

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
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..nn.inputs import Inputs
from ..nn.loss import count_correct
from ..nn.probabilities import softmax
from ..utils.validation import several, shortened
from . import formulas
from .formulas import Predictions
from .scorers import is_scorer, scorer, scorer_words

if TYPE_CHECKING:
    from ..nn.loss import Loss
    from ..nn.sequential import Sequential
    from .examples import Examples
    from .ranks import Ranks

#: A metric: its name, or a function of targets and predictions that returns a number.
Metric = str | Callable[[np.ndarray, np.ndarray], float]


OF_CLASSES: dict[str, Callable[[Predictions], float]] = {
    "balanced_accuracy": formulas.balanced_accuracy,
    "precision": formulas.precision,
    "recall": formulas.recall,
    "f1": formulas.f1,
    "roc_auc": formulas.roc_auc,
    "log_loss": formulas.log_loss,
}
OF_AMOUNTS: dict[str, Callable[[Predictions], float]] = {
    "r2": formulas.r2,
    "mae": formulas.mae,
    "rmse": formulas.rmse,
}


#: Of these, more is better, or less.
LARGER = frozenset(("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "r2"))
SMALLER = frozenset(("loss", "log_loss", "mae", "rmse", "lr", "seconds"))
#: Columns of the history that no metric may replace.
OWN_COLUMNS = frozenset(("loss", "accuracy", "lr", "seconds", "epoch"))


def larger_is_better(column: str) -> bool:
    """Return whether more is better of a column of the history, such as "val_f1"; False for functions of users.

    Examples
    --------
    >>> larger_is_better("val_f1"), larger_is_better("loss"), larger_is_better("val_neg_max_error")
    (True, False, True)
    """
    name = column.removeprefix("val_")
    return name in LARGER or (name not in SMALLER and is_scorer(name))


def knows_better(column: str) -> bool:
    """Return whether `larger_is_better` is sure, as it is of all columns but those of users' functions.

    Examples
    --------
    >>> knows_better("val_f1"), knows_better("val_my_score")
    (True, False)
    """
    name = column.removeprefix("val_")
    return name in LARGER or name in SMALLER or is_scorer(name)


def check_metrics(model: Sequential, loss: Loss, metrics: tuple[Metric, ...], examples: Examples) -> None:
    """Raise ValueError if metrics do not suit the network's outputs; users' functions are not called."""
    if not metrics:
        return
    found = predictions(model, loss, model.infer(examples.x[:2]), examples.y[:2], None)
    for score in named([metric for metric in metrics if metric in (*OF_CLASSES, *OF_AMOUNTS)], loss).values():
        with np.errstate(all="ignore"):
            score(found)


def named(metrics: Iterable[Metric], loss: Loss) -> dict[str, Callable[[Predictions], float]]:
    """Return the metrics by name, or raise an error if one does not exist or does not suit the loss."""
    chosen: dict[str, Callable[[Predictions], float]] = {}
    for metric in several(metrics, "metrics"):
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if name in chosen or (callable(metric) and name in OWN_COLUMNS):
            raise ValueError(f"the metric {metric!r} bears the name of another column, {name!r}; change its __name__")
        chosen[name] = _of_user(metric) if callable(metric) else _by_name(metric, loss)
    return chosen


def _by_name(metric: str, loss: Loss) -> Callable[[Predictions], float]:
    """Return a metric or a scorer of scikit-learn, or raise ValueError if it does not exist or suit the loss."""
    known = OF_AMOUNTS if loss.output_kind == "values" else OF_CLASSES
    if metric in known:
        return known[metric]
    if not isinstance(metric, str) or metric in (*OF_CLASSES, *OF_AMOUNTS) or not is_scorer(metric):
        kind = "a regression" if known is OF_AMOUNTS else "a classification"
        raise ValueError(
            f"there is no metric {metric!r} of {kind}; expected a function, one of {', '.join(known)}, or "
            f"{scorer_words()}"
        )
    return scorer(metric, known is OF_CLASSES, loss.output_kind != "scores")


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
