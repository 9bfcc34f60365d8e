"""Result of trying remedies, and its text form."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from statistics import NormalDist
from typing import Any

from ...report.page import fragment, table
from ...utils.streams import wrapped
from ..findings import Finding
from ..views.html import numbered
from .judge import Metric
from .trials import Remedy, RemedyTrial

#: Significance level of a gain.
CHANCE = 0.025
#: Minimum gain, as a share of the distance to a perfect score.
WORTHWHILE = 0.02
#: Remedies that the text lists with their code, best first; a page and JSON list all.
MOST_PRINTED = 6


@dataclass
class Diagnosis:
    """The faults of a run, and the remedies tried.

    Attributes
    ----------
    verdict : list of Finding
        Faults of the unchanged run, likeliest cause first.
    metric : {"accuracy", "balanced accuracy", "R2"}
        Score of the runs on the validation part. Balanced if one class has 8 times the examples of another.
    baseline : RemedyTrial or None
        The unchanged run; None if the data are unusable.
    trials : list of RemedyTrial
        The remedies tried, best first.
    untried : list of Remedy
        Remedies for which time ran out.
    unfit : list of Remedy
        Remedies with which the network could not be built or run.
    beyond : str or None
        Why no setting can cure the run, if known.

    Notes
    -----
    The same examples select and score the remedies, so the score of the best is slightly optimistic.

    Examples
    --------
    >>> import pynn
    >>> pynn.manual_seed(0)
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(1e-5))
    >>> diagnosis = pynn.diagnose(trainer, x, y, epochs=3)
    >>> diagnosis.metric, diagnosis.best.score > diagnosis.baseline.score
    ('accuracy', True)
    """

    verdict: list[Finding]
    metric: Metric = "accuracy"
    baseline: RemedyTrial | None = None
    trials: list[RemedyTrial] = field(default_factory=list)
    untried: list[Remedy] = field(default_factory=list)
    unfit: list[Remedy] = field(default_factory=list)
    beyond: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis in the form of ``docs/json.md``: what JSON can hold, in a form that stays."""
        return {
            "format": "pynn.diagnosis",
            "version": 1,
            "verdict": [finding.to_dict() for finding in self.verdict],
            "metric": self.metric,
            "baseline": None if self.baseline is None else self.baseline.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "best": None if self.best is None else self.best.to_dict(),
            "untried": [remedy.change for remedy in self.untried],
            "advice": self.advice,
        }

    @property
    def best(self) -> RemedyTrial | None:
        """The best trial, if it is better than the unchanged run; see `helps`."""
        if not self.trials or self.baseline is None or self.beyond is not None:
            return None
        first = self.trials[0]
        return first if helps(first, self.baseline, len(self.trials)) else None

    @property
    def advice(self) -> str:
        """What to do, in one sentence."""
        if self.beyond is not None:
            return f"No setting cures this: {self.beyond}."
        best = self.best
        if best is not None:
            assert best.remedy is not None and self.baseline is not None
            healthy = "" if self.verdict else "Nothing is wrong, but this does better. "
            effect = f"{self.metric} {self.figure(self.baseline)} -> {self.figure(best)}"
            gone = self.gone(best)
            cured = f"; gone: {', '.join(gone)}" if gone else ""
            return f"{healthy}{_capital(best.remedy.change)} ({effect}{cured}): {best.remedy.code}"
        if not self.verdict:
            return "Nothing is wrong, and nothing that was tried surely does better."
        nearest = ""
        if self.trials and self.baseline is not None and self.trials[0].score > self.baseline.score:
            best = self.trials[0]
            nearest = f" (most: {_change(best)}, {self.figure(self.baseline)} -> {self.figure(best)})"
        return (
            f"Nothing that was tried surely helps{nearest}, so the fault may lie in the data or in code of your own: "
            f"{self.verdict[0].advice}."
        )

    def gone(self, trial: RemedyTrial) -> list[str]:
        """Return the symptoms of the unchanged run that a trial does not have."""
        left = {finding.symptom for finding in trial.verdict}
        return [symptom for symptom in dict.fromkeys(f.symptom for f in self.verdict) if symptom not in left]

    def figure(self, trial: RemedyTrial) -> str:
        """Format a trial's score."""
        return f"{trial.score:.3f}" if self.metric == "R2" else f"{trial.score:.1%}"

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return score, loss, change and remaining faults of each run; the unchanged run comes first."""
        known = [self.baseline] if self.baseline is not None else []
        return [
            (
                self.figure(trial),
                f"{trial.loss:.4g}",
                _change(trial),
                self.left(trial),
            )
            for trial in [*known, *self.trials]
        ]

    def left(self, trial: RemedyTrial) -> str:
        """Describe the remaining faults of a trial."""
        if trial.ended == "not finite":
            return "breaks off: the loss is not finite"
        symptoms = list(dict.fromkeys(finding.symptom for finding in trial.verdict))
        return ", ".join(symptoms[:3]) if symptoms else "no symptoms"

    def __repr__(self) -> str:
        return f"Diagnosis({len(self.trials)} remedies tried) {self.advice}"

    def _repr_html_(self) -> str:
        kind = "good" if self.best is not None or not self.verdict else "warning"
        head = f'<div class="verdict {kind}"><h2>Diagnosis</h2><p>{escape(self.advice)}</p></div>'
        count = f"{len(self.verdict)} fault{'s' * (len(self.verdict) != 1)} of the unchanged run"
        faults = f"<details><summary>{count}</summary>{numbered(self.verdict)}</details>" if self.verdict else ""
        known = [self.baseline] if self.baseline is not None else []
        rows = [
            [score, loss, escape(change) + _code(trial), escape(left)]
            for (score, loss, change, left), trial in zip(self.rows(), [*known, *self.trials], strict=True)
        ]
        caption = f"Validation scores {self._length()}" if known else ""
        heads = [self.metric, "loss", "change", "faults left"]
        runs = table(caption, heads, rows, ("change", "faults left")) if rows else ""
        return fragment(head + runs + faults)

    def __str__(self) -> str:
        lines = [f"verdict: {'nothing wrong' if not self.verdict else ''}".rstrip()]
        lines += [line for finding in self.verdict for line in wrapped(str(finding), "  ", "    ")]
        if self.baseline is not None:
            lines += ["", *self._table()]
        for left_out, why in ((self.untried, "no time for"), (self.unfit, "does not fit the network")):
            if left_out:
                lines += wrapped(f"{why}: {'; '.join(remedy.change for remedy in left_out)}", "", "  ")
        return "\n".join([*lines, "", *wrapped(self.advice, "", "  ")])

    def _table(self) -> list[str]:
        assert self.baseline is not None
        head = (f"{self.metric}", "loss", "", "")
        rows = self.rows()[: 1 + MOST_PRINTED]
        widths = [max(len(row[column]) for row in (head, *rows)) for column in (0, 1)]
        margin = " " * (widths[0] + widths[1] + 4)
        lines = [f"{head[0]:>{widths[0]}}  {head[1]:>{widths[1]}}  validation, {self._length()}"]
        for row, trial in zip(rows, [self.baseline, *self.trials], strict=False):
            start = f"{row[0]:>{widths[0]}}  {row[1]:>{widths[1]}}  "
            lines += wrapped(f"{row[2]} [{row[3]}]", start, margin)
            if trial.remedy is not None:
                lines += wrapped(trial.remedy.code, margin, margin + "  ")
        others = "; ".join(_change(trial) for trial in self.trials[MOST_PRINTED:])
        return [*lines, *(wrapped(f"also tried, and no better: {others}", "", "  ") if others else ())]

    def _length(self) -> str:
        assert self.baseline is not None
        epochs = self.baseline.epochs
        if not epochs:
            return f"after {self.baseline.steps} steps"
        return f"after {epochs} epoch{'s' if epochs > 1 else ''}"


def helps(trial: RemedyTrial, baseline: RemedyTrial, tried: int) -> bool:
    """Return whether a trial, one of `tried`, is better than the unchanged run.

    Either its score must be higher, by more than chance explains for the best of `tried` (Bonferroni) and by a share
    of the possible gain; or it must be no lower, with no faults left.
    """
    if trial.ended == "not finite":
        return False
    gain, error = trial.gain_over(baseline)
    cleared = not trial.verdict and bool(baseline.verdict)
    sure = NormalDist().inv_cdf(1 - CHANCE / tried) * error
    return (gain > sure and gain > WORTHWHILE * (1 - baseline.score)) or (
        gain >= -error and (cleared or baseline.ended == "not finite")
    )


def _change(trial: RemedyTrial) -> str:
    if trial.remedy is None:
        return "as it is"
    stopped = f" (epoch {trial.best_epoch})" if "stopping" in trial.remedy.subject and trial.best_epoch else ""
    return trial.remedy.change + stopped


def _code(trial: RemedyTrial) -> str:
    return "" if trial.remedy is None else f"<p><code>{escape(trial.remedy.code)}</code></p>"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
