"""The search for a remedy: the unchanged run, then one change at a time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...nn.random import manual_seed
from ...training.examples import check_fit, prepare
from ...utils.arrays import as_array, check_finite
from ..findings import Finding
from ..monitor.input_figures import InputFigures
from ..preflight.case import Case
from ..preflight.data import RawData, load
from ..preflight.outputs import network_output
from ..thresholds import Thresholds
from .blueprint import Blueprint
from .candidates import Situation, candidates, cures_of
from .diagnosis import Diagnosis, helps
from .judge import Judge, Part, kind_of, labels_of
from .trials import Remedy, RemedyTrial, ranked, run

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ...nn.sequential import Sequential

#: Called before each run with the remedy (None for the unchanged run), its number, and the total.
OnTrial = Callable[[Remedy | None, int, int], object]

#: Share of held-out examples if no validation part is given.
SET_ASIDE = 0.2
#: Examples of which none is held out: each may be the only one of its kind, as the rows of XOR are.
HANDFUL = 20
#: Share of the time for the unchanged run; remedies then train on the same number of examples.
FIRST = 0.125
#: A remedy may take this many times longer, for larger networks.
SLOWER = 2.0
#: Maximum number of rounds of changes on top of the best remedy, and of changes in each.
ROUNDS, FURTHER = 3, 12
#: A run is behind if its score is this much below that of a simple learner, or more.
BEHIND = 0.02
#: Maximum ratio of the scales of training and validation inputs.
MISMATCH = Thresholds.input_mismatch


class RemedySearch:
    """Tries remedies on one run.

    Parameters
    ----------
    blueprint : Blueprint
    data, validation : (x, y)
        Raw data; without a validation part, a fifth of the data is held out, or nothing of a handful.
    sample_weight : ndarray or None
    seconds, seed, on_trial
        See `diagnose`.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        data: tuple[ArrayLike, ArrayLike],
        validation: tuple[ArrayLike, ArrayLike] | None,
        sample_weight: ArrayLike | None,
        seconds: float,
        seed: int,
        on_trial: OnTrial | None,
    ) -> None:
        self.blueprint, self.seed, self.on_trial = blueprint, seed, on_trial
        self.seconds, self.until = seconds, time.perf_counter() + seconds
        x, y = np.asarray(data[0]), np.asarray(data[1])
        weights = None if sample_weight is None else np.asarray(sample_weight)
        model = blueprint.copy().trainer().model
        outputs, y = _check(model, blueprint, x, y, weights)
        if validation is None and len(x) <= HANDFUL:
            validation = x, y
        elif validation is None:
            rows, held_out = _split(y, seed)
            validation = x[held_out], y[held_out]
            x, y = x[rows], y[rows]
            weights = None if weights is None else weights[rows]
        held_x, held_y = np.asarray(validation[0]), np.asarray(validation[1])
        _, held_y = _check(model, blueprint, held_x, held_y, None, "validation ")
        self.data: Part = (x, y)
        self.weights = weights
        self.kind = kind_of(blueprint.loss, y, outputs)
        self.counts = _class_counts(y, self.kind, outputs)
        loss = blueprint.copy().loss
        self.judge = Judge(loss, (held_x, held_y), outputs, self.counts)
        self.trials: list[RemedyTrial] = []
        self.unfit: list[Remedy] = []
        self.allowed, self.examples = seconds, math.inf

    def diagnosis(self) -> Diagnosis:
        """Run the unchanged run, single changes, the best two together, and rounds of further changes to the best."""
        self._tell(None, 0, 0)
        baseline = self._run(None, FIRST * self.seconds)
        if baseline.ended == "cut short":
            self.examples = baseline.steps * self.blueprint.batch_size
        # A run that broke off says nothing about the time of a complete one.
        self.allowed = FIRST * self.seconds * (1 if baseline.ended == "not finite" else SLOWER)
        symptoms = [finding.symptom for finding in baseline.verdict]
        found = Diagnosis(baseline.verdict, self.judge.metric, baseline, beyond=self._beyond(symptoms))
        if found.beyond is not None:
            return found
        found.untried = self._try(candidates(self._situation(baseline), symptoms, misfit=self._misfit()))
        both = _together(self.trials)
        if both is not None:
            found.untried += self._try([both])
        found.untried += self._climb(baseline)
        found.trials, found.unfit = ranked(self.trials), self.unfit
        return found

    def _situation(self, trial: RemedyTrial) -> Situation:
        blueprint = self.blueprint.copy()
        if trial.remedy is not None:
            trial.remedy.apply(blueprint)
        return Situation(blueprint, *self.data, self.kind, self.counts, trial.ratio)

    def _climb(self, baseline: RemedyTrial) -> list[Remedy]:
        """Try changes to the best trial, and to a better one that this finds; return the untried ones."""
        base, attainable = self._base(baseline), None
        for _ in range(ROUNDS):
            if base is None or base.remedy is None:
                break
            if attainable is None:
                attainable = self.judge.attainable(*self.data)
            untried = self._try(self._further(base, base.score < attainable - BEHIND))
            before, base = base, self._base(baseline)
            if untried or base is before:
                return untried
        return []

    def _further(self, base: RemedyTrial, behind: bool) -> list[Remedy]:
        """Return changes for the remaining faults of a trial; if simple learners do better, also general ones."""
        assert base.remedy is not None
        symptoms = [finding.symptom for finding in base.verdict]
        situation = self._situation(base)
        if behind:
            cures = candidates(situation, [*symptoms, "underfitting"], misfit=False)
        else:
            cures = cures_of(situation, symptoms)
        # A new rate replaces the old one; any other remedy on the same subject would undo the one that helped.
        new = [
            cure if cure.subject == base.remedy.subject == "rate" else base.remedy + cure
            for cure in cures
            if not cure.shares(base.remedy) or cure.subject == base.remedy.subject == "rate"
        ]
        tried = [trial.remedy for trial in self.trials]
        return [remedy for remedy in new if remedy not in tried][:FURTHER]

    def _base(self, baseline: RemedyTrial) -> RemedyTrial | None:
        """Return the best trial so far; if none helps, one that at least cures the likeliest cause.

        If a second fault remains, curing the first may not change the score.
        """
        order = [trial for trial in ranked(self.trials) if trial.ended != "not finite"]
        if not order or helps(order[0], baseline, len(self.trials)):
            return order[0] if order else None
        if not baseline.verdict:
            return None
        likeliest = baseline.verdict[0].symptom
        lasting = [trial for trial in self.trials if trial.ended != "not finite"]
        cured = [trial for trial in lasting if all(finding.symptom != likeliest for finding in trial.verdict)]
        return cured[0] if cured else None

    def _try(self, remedies: list[Remedy]) -> list[Remedy]:
        """Try remedies while time remains; return the untried ones."""
        total = len(self.trials) + len(self.unfit) + len(remedies)
        for index, remedy in enumerate(remedies):
            left = self.until - time.perf_counter()
            if left <= 0:
                return remedies[index:]
            self._tell(remedy, len(self.trials) + len(self.unfit) + 1, total)
            try:
                self.trials.append(self._run(remedy, min(self.allowed, left)))
            except (
                ValueError,
                TypeError,
                LookupError,
                RuntimeError,
            ):  # caused by the remedy: the unchanged network ran
                self.unfit.append(remedy)
        return []

    def _run(self, remedy: Remedy | None, seconds: float) -> RemedyTrial:
        manual_seed(self.seed)
        return run(
            self.blueprint,
            remedy,
            self.data,
            self.judge,
            seconds,
            sample_weight=self.weights,
            examples=self.examples,
        )

    def _tell(self, remedy: Remedy | None, number: int, total: int) -> None:
        if self.on_trial is not None:
            self.on_trial(remedy, number, total)

    def _misfit(self) -> bool:
        """Return whether output, loss and targets do not belong together, as the check before training says."""
        trainer = self.blueprint.copy().trainer()
        case = Case(trainer, trainer.model, trainer.loss, self.blueprint.batch_size, self.seed)
        with contextlib.suppress(Exception):  # user code may fail on other batches
            load(case, RawData(*self.data))
            return network_output(case).status != "pass"
        return False

    def _beyond(self, symptoms: list[str]) -> str | None:
        """Return why no setting can cure the faults, if known."""
        if "input_not_normalised" in symptoms and self.blueprint.preprocessing is None:
            ours, theirs = (InputFigures.of(np.asarray(x), self.blueprint.layers) for x in (self.data[0], self.judge.x))
            if ours is None or theirs is None:
                return None
            ratio = theirs.rms / ours.rms if ours.rms else math.inf
            if not 1 / MISMATCH < ratio < MISMATCH:
                return (
                    f"validation inputs have a root mean square of {theirs.rms:.3g}, training inputs {ours.rms:.3g}; "
                    "prepare both alike"
                )
        return None


def not_usable(x: ArrayLike, y: ArrayLike, validation: tuple[ArrayLike, ArrayLike] | None) -> Finding | None:
    """Return a finding for data with NaN or infinity, which no training survives."""
    parts = [(x, "x"), (y, "y")]
    if validation is not None:
        parts += [(validation[0], "validation x"), (validation[1], "validation y")]
    for array, name in parts:
        try:
            check_finite(as_array(array, name), name)
        except ValueError as error:
            return Finding("non_finite", None, 1, 1, "error", str(error), "remove or fill in such values")
    return None


def _check(
    model: Sequential, blueprint: Blueprint, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, name: str = ""
) -> tuple[int, np.ndarray]:
    """Return the network's number of outputs, and the targets in the loss's form.

    Raises ValueError or TypeError unless the data fit the network.
    """
    examples = prepare(model, blueprint.loss, x, y, weights, fit_preprocessing=True, name=name)
    check_fit(model, blueprint.loss, examples, name)
    outputs = model.infer(examples.x[:1])
    return outputs.shape[1] if outputs.ndim == 2 else 1, examples.y


def _split(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows for training and validation, in their order, stratified by class."""
    from ...datasets.split import train_test_split  # datasets are imported on first use

    rows = np.arange(len(y))
    labels = labels_of(y)
    labels = labels.astype(np.int64) if np.isin(labels, (0, 1)).all() else labels
    stratify = labels.dtype.kind in "iu" and labels.size == len(y)
    try:
        train, test, _, _ = train_test_split(rows, labels, SET_ASIDE, seed, stratify=stratify)
    except ValueError:  # a class with too few examples
        train, test, _, _ = train_test_split(rows, labels, SET_ASIDE, seed, stratify=False)
    return np.sort(train), np.sort(test)


def _class_counts(y: np.ndarray, kind: str, outputs: int) -> np.ndarray | None:
    if kind == "classes":
        labels = labels_of(y)
        return np.bincount(labels[(labels >= 0) & (labels < outputs)].astype(np.int64), minlength=outputs)
    if kind == "binary" and y.size == len(y):
        return np.bincount((y.reshape(-1) > 0.5).astype(np.int64), minlength=2)
    return None


def _together(trials: list[RemedyTrial]) -> Remedy | None:
    """Return the two best compatible remedies, combined."""
    order = [trial.remedy for trial in ranked(trials) if trial.ended != "not finite" and trial.remedy is not None]
    if not order:
        return None
    first = order[0]
    second = next((other for other in order[1:] if not first.shares(other)), None)
    return None if second is None else first + second
