"""How well trial runs predict validation examples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...nn.loss import ClassLoss
from ...utils.arrays import is_one_hot
from ..learners import NEIGHBOURS, simple_predictions
from ..thresholds import Thresholds

if TYPE_CHECKING:
    from ...nn.loss import Loss
    from ...training.trainer import Trainer

Metric = Literal["accuracy", "balanced accuracy", "R2"]
Kind = Literal["classes", "binary", "values"]
Part = tuple[np.ndarray, np.ndarray]

#: Ratio of class sizes from which the score weights all classes equally.
UNEVEN = Thresholds.imbalance
#: Training examples of the simple learners.
KNOWN = 2000


class Judge:
    """Scores networks on the validation part.

    Parameters
    ----------
    loss : Loss
        The run's loss.
    validation : (x, y)
        Raw data.
    outputs : int
        Number of outputs per example.
    counts : ndarray or None
        Training examples of each class.
    """

    def __init__(self, loss: Loss, validation: Part, outputs: int, counts: np.ndarray | None) -> None:
        x, y = validation
        self.loss, self.kind = loss, kind_of(loss, y, outputs)
        if isinstance(loss, ClassLoss):
            known = np.asarray(y) != loss.ignore_index
            x, y = np.asarray(x)[known], np.asarray(y)[known]
        self.x, self.y = np.asarray(x), np.asarray(y)
        self.strata = np.zeros(len(self.y), np.int64)
        self.metric: Metric = "R2" if self.kind == "values" else "accuracy"
        if self.kind != "values" and is_uneven(counts):
            self.metric = "balanced accuracy"
            self.strata = np.unique(labels_of(self.y), return_inverse=True)[1].reshape(-1)

    def credits(self, prediction: np.ndarray) -> np.ndarray:
        """Return the contribution of each example to the score, their mean."""
        y = self.y.reshape(len(self.y), -1)
        if self.kind == "values":
            return self._share_explained(self.loss.amounts(prediction))
        if self.kind == "classes":
            right = (prediction.argmax(axis=1) == labels_of(self.y)).astype(np.float64)
        else:
            # A custom loss may take logits or probabilities.
            own = self.loss.output_kind is None and prediction.min() >= 0 and prediction.max() <= 1
            named = prediction.reshape(y.shape) > (0.5 if own else 0)
            right = (named == (y > 0.5)).mean(axis=1)
        if self.metric == "balanced accuracy":
            counts = np.bincount(self.strata)
            right = right * (len(right) / (len(counts) * counts[self.strata]))
        return right

    def _share_explained(self, values: np.ndarray) -> np.ndarray:
        truth = self.y.reshape(len(self.y), -1).astype(np.float64)
        variance = max(float(np.var(truth, axis=0).mean()), 1e-300)
        return np.clip(1 - np.square(values.reshape(len(truth), -1) - truth).mean(axis=1) / variance, -1e6, 1)

    def attainable(self, x: np.ndarray, y: np.ndarray) -> float:
        """Return the best score of simple learners trained on raw data; NaN if there are too few."""
        step = -(-len(x) // KNOWN)
        known, asked = (part.reshape(len(part), -1).astype(np.float64) for part in (x[::step], self.x))
        if len(known) <= 2 * NEIGHBOURS:
            return math.nan
        if self.kind == "classes":
            labels = labels_of(y[::step]).astype(np.int64)
            targets = (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float64)
        else:
            targets = y[::step].reshape(len(known), -1).astype(np.float64)
        answers = simple_predictions(known, targets, asked)
        if self.kind == "values":
            return max(float(self._share_explained(answer).mean()) for answer in answers)
        return max(float(self.credits(answer - 0.5).mean()) for answer in answers)

    def score(self, trainer: Trainer, target: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, float]:
        """Return the contributions of the validation examples, and the loss."""
        prediction = trainer.model.predict(self.x).astype(np.float64)
        if target is not None:
            prediction = prediction * target[1] + target[0]
        if not np.isfinite(prediction).all():
            return np.zeros(len(self.x)), math.nan
        target_values = self.loss.shaped(self.loss.as_target(self.y, prediction.dtype), prediction.shape)
        loss = self.loss.forward(prediction, target_values)[0]
        return self.credits(prediction), float(loss)


def is_uneven(counts: np.ndarray | None) -> bool:
    """Return whether some class has far more examples than another."""
    present = np.empty(0) if counts is None else counts[counts > 0]
    return len(present) > 1 and bool(present.max() >= UNEVEN * present.min())


def labels_of(y: np.ndarray) -> np.ndarray:
    """Return the first target of each example; of one-hot rows, the class."""
    return y.argmax(axis=1) if is_one_hot(y) else y.reshape(len(y), -1)[:, 0]


def kind_of(loss: Loss, y: np.ndarray, outputs: int) -> Kind:
    """Return the kind of output; inferred from the targets if the loss does not define it.

    One-hot rows are classes, also for a loss of values such as the squared error.
    """
    y = np.asarray(y)
    if loss.output_kind in (None, "values") and is_one_hot(y) and y.shape[1] == outputs:
        return "classes"
    if loss.output_kind is not None:
        return {"classes": "classes", "scores": "classes", "binary": "binary", "values": "values"}[loss.output_kind]  # type: ignore[return-value]
    if y.ndim == 1 and y.dtype.kind in "iu" and outputs > 1:
        return "classes"
    return "binary" if np.isin(y, (0, 1)).all() else "values"
