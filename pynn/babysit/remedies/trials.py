"""Trial runs: train one blueprint and score it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...training.callbacks import Callback
from ...utils.interrupt import interruption
from ...utils.json_values import plain
from ..findings import Finding
from ..monitor.monitor import Monitor
from .judge import Judge, Part

if TYPE_CHECKING:
    from ...training.trainer import Trainer
    from .blueprint import Blueprint


#: A difference counts from this many standard errors on, or from this share of the score on.
SURE, LITTLE = 2.0, 0.03
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
