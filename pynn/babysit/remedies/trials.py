"""Trial runs: train one blueprint and score it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...nn.loss import ClassLoss
from ...training.callbacks import Callback
from ...utils.arrays import is_one_hot
from ...utils.interrupt import interruption
from ...utils.json_values import plain
from ..findings import Finding
from ..learners import NEIGHBOURS, simple_predictions
from ..monitor.monitor import Monitor

if TYPE_CHECKING:
    from ...nn.loss import Loss
    from ...training.trainer import Trainer
    from .blueprint import Blueprint

Metric = Literal["accuracy", "balanced accuracy", "R2"]
Kind = Literal["classes", "binary", "values"]
Part = tuple[np.ndarray, np.ndarray]

#: Ratio of class sizes from which the score weights all classes equally.
UNEVEN = 8
#: A difference counts from this many standard errors on, or from this share of the score on.
SURE, LITTLE = 2.0, 0.03
#: Training examples of the simple learners.
KNOWN = 2000
#: Minimum contribution of an example to R2 in comparisons: an error of twice the targets' standard deviation.
FLOOR = -3.0


@dataclass(frozen=True)
class Remedy:
    """A change to a run that may cure it.

    Attributes
    ----------
    change : str
        The change, such as "learning rate 10 -> 1".
    code : str
        Code for the change.
    subject : str
        Subject of the change, such as "rate"; of two remedies on one subject, the later replaces the earlier.
    apply : callable
        ``apply(blueprint)`` makes the change.
    """

    change: str
    code: str = field(compare=False)
    subject: str = field(compare=False)
    apply: Callable[[Blueprint], None] = field(repr=False, compare=False)

    @property
    def subjects(self) -> list[str]:
        """The subject of each change that it makes."""
        return self.subject.split(" and ")

    def shares(self, other: Remedy) -> bool:
        """Return whether the two have a subject in common."""
        return not set(self.subjects).isdisjoint(other.subjects)

    def __add__(self, other: Remedy) -> Remedy:
        def both(blueprint: Blueprint) -> None:
            self.apply(blueprint)
            other.apply(blueprint)

        change, code = f"{self.change}, and {other.change}", f"{self.code}; {other.code}"
        return Remedy(change, code, f"{self.subject} and {other.subject}", both)


@dataclass
class RemedyTrial:
    """The result of a training run.

    Attributes
    ----------
    remedy : Remedy or None
        None for the unchanged run.
    score : float
        Score on the validation part, in the diagnosis's metric.
    loss : float
        Validation loss by the original loss function, even if the remedy trains with another; no penalties.
    verdict : list of Finding
        Faults that the monitor found.
    ended : {"finished", "cut short", "not finite"}
        "cut short" if its time ran out.
    epochs, steps : int
    best_epoch : int or None
        Epoch of the smallest validation loss.
    seconds : float
    ratio : float
        Largest ratio of update norm to weight norm in the first step; NaN if unknown.
    """

    remedy: Remedy | None
    score: float
    loss: float
    verdict: list[Finding]
    ended: str
    epochs: int
    steps: int
    best_epoch: int | None
    seconds: float
    ratio: float
    #: Contribution of each validation example to the score, their mean; for paired comparisons.
    credits: np.ndarray = field(repr=False)
    #: Class of each validation example if the score is the mean over classes, else 0.
    strata: np.ndarray = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the trial in the form of ``docs/json.md``."""
        figures = {
            "change": None if self.remedy is None else self.remedy.change,
            "code": None if self.remedy is None else self.remedy.code,
            "score": self.score,
            "loss": self.loss,
            "verdict": [finding.to_dict() for finding in self.verdict],
            "ended": self.ended,
            "epochs": self.epochs,
            "steps": self.steps,
            "seconds": self.seconds,
        }
        return dict(plain(figures))

    def gain_over(self, other: RemedyTrial) -> tuple[float, float]:
        """Return the difference of the scores, and its standard error.

        The contribution of a value is bounded, so that a single terrible prediction does not dominate.
        """
        ours, theirs = (np.maximum(credits, FLOOR) for credits in (self.credits, other.credits))
        difference = ours - theirs
        variance = 0.0
        for stratum in np.unique(self.strata):
            own = difference[self.strata == stratum]
            # One extra example without a difference: a few that all agree must not count as certain.
            variance += (len(own) / len(difference)) ** 2 * np.append(own, 0.0).var() / len(own)
        return float(difference.mean()), math.sqrt(variance)


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


class Limit(Callback):
    """Ends a run after a number of examples, or when its time is up."""

    def __init__(self, seconds: float, examples: float, batch_size: int) -> None:
        self.until = time.perf_counter() + seconds
        self.steps = examples / batch_size
        self.reached = False

    def on_step_end(self, trainer: Trainer) -> None:
        late = time.perf_counter() > self.until
        if late or trainer.steps >= self.steps:
            self.reached = late
            trainer.stop()


def run(
    blueprint: Blueprint,
    remedy: Remedy | None,
    data: Part,
    judge: Judge,
    seconds: float,
    *,
    sample_weight: np.ndarray | None = None,
    examples: float = math.inf,
) -> RemedyTrial:
    """Train a changed copy of the blueprint, within limits of time and examples."""
    blueprint = blueprint.copy()
    if remedy is not None:
        remedy.apply(blueprint)
    trainer, monitor = blueprint.trainer(), Monitor(on_problem="silent")
    x, y = data
    xv, yv = judge.x, judge.y
    if blueprint.target is not None:
        shift, scale = blueprint.target
        y, yv = (y - shift) / scale, (yv - shift) / scale
    began = time.perf_counter()
    limit = Limit(seconds, examples, blueprint.batch_size)
    ended = _fit(trainer, blueprint, (x, y), (xv, yv), sample_weight, monitor, limit)
    taken = time.perf_counter() - began
    credits, loss = judge.score(trainer, blueprint.target)
    val_loss = trainer.history.history.get("val_loss", [])
    return RemedyTrial(
        remedy,
        float(credits.mean()),
        loss,
        monitor.verdict,
        ended,
        trainer.epoch,
        trainer.steps,
        _lowest(val_loss),
        taken,
        _first_ratio(monitor),
        credits,
        judge.strata,
    )


def _fit(
    trainer: Trainer,
    blueprint: Blueprint,
    data: Part,
    validation: Part,
    sample_weight: np.ndarray | None,
    monitor: Monitor,
    limit: Limit,
) -> str:
    """Train as the blueprint says, and return how it ended."""
    from ...training.step import NonFiniteError

    try:
        trainer.fit(
            *data,
            epochs=blueprint.epochs,
            batch_size=blueprint.batch_size,
            validation=validation,
            sample_weight=sample_weight,
            shuffle=blueprint.shuffle,
            augment=blueprint.augment,
            callbacks=[*blueprint.callbacks, monitor, limit],
        )
    except NonFiniteError:
        return "not finite"
    if trainer.history.interrupted:
        raise interruption()
    return "cut short" if limit.reached else "finished"


def _first_ratio(monitor: Monitor) -> float:
    ratios = [monitor.stats[name].get("update_ratio") for name in monitor.stats.layers]  # type: ignore[union-attr]
    return max((float(r[0]) for r in ratios if r is not None and len(r) and math.isfinite(r[0])), default=math.nan)


def _lowest(val_loss: Sequence[float]) -> int | None:
    """Return the epoch of the smallest validation loss."""
    known = [(loss, epoch) for epoch, loss in enumerate(val_loss, 1) if math.isfinite(loss)]
    return min(known)[1] if known else None


def ranked(trials: Sequence[RemedyTrial]) -> list[RemedyTrial]:
    """Return the trials, best first.

    The winner is the simplest among those that finish and match the highest score within chance, and of equally simple
    ones the first tried. Faults that a trial leaves count as one more change, as they need another.
    """
    order = sorted(trials, key=lambda trial: (trial.ended == "not finite", -trial.score))
    if not order or order[0].ended == "not finite":
        return order
    best = order[0]
    rivals = [trial for trial in trials if trial.ended != "not finite" and _level(best, trial)]
    front = min(rivals, key=_changes)
    return [front, *(trial for trial in order if trial is not front)]


def _changes(trial: RemedyTrial) -> int:
    """Return how many changes a run needs: those of the trial, and one if it leaves faults."""
    assert trial.remedy is not None
    return len(trial.remedy.subjects) + bool(trial.verdict)


def _level(best: RemedyTrial, trial: RemedyTrial) -> bool:
    """Return whether a score is below the highest only by chance, and only slightly."""
    gain, error = best.gain_over(trial)
    return gain <= min(SURE * error, LITTLE * abs(best.score))
