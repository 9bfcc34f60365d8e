"""Figures of merit from the outcomes of runs, with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pynn.babysit.findings import SYMPTOMS

#: The normal distribution's 97.5% quantile.
Z = 1.959963984540054


#: Minimum share of the healthy twin's score for a cured run.
CURED = 0.9

#: Fields that are empty by default.
LISTS = ("causes", "consequences", "exact_checks", "findings", "verdict")


@dataclass
class Seen:
    """A finding in its final state, and the step at which it first appeared."""

    symptom: str
    layer: str | None
    step: int
    last_step: int
    severity: str
    evidence: str
    noticed_step: int
    noticed_evaluation: int

    @property
    def claims_fault(self) -> bool:
        """Whether it is a warning or an error."""
        return self.severity != "info"


@dataclass
class Check:
    """A preflight check that warned or failed."""

    name: str
    status: str
    symptom: str | None
    text: str


@dataclass
class Outcome:
    """The result of one run."""

    case: str
    kind: str
    part: str
    seed: int
    steps: int
    score: float
    twin_score: float | None
    twin_val_loss: float | None
    ended: str
    loss: list[float]
    val_loss: list[float]
    causes: list[str] = field(default_factory=list)
    consequences: list[str] = field(default_factory=list)
    level: str = "step"
    onset: int = 1
    visible_before: bool = False
    visible_during: bool = True
    exact_checks: list[str] = field(default_factory=list)
    steps_per_evaluation: int = 0
    findings: list[Seen] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    checks: list[Check] | None = None
    seconds: float = 0.0
    rules: str = ""

    @property
    def hit(self) -> bool:
        """Whether the first-ranked finding names the cause."""
        return bool(self.verdict) and self.verdict[0] in self.causes

    @property
    def sick(self) -> bool:
        """Whether a faulty run really scores below its twin."""
        if self.ended != "finished" or self.twin_score is None or self.score < self.twin_score - 0.05:
            return self.kind == "fault"
        return bool(self.val_loss and self.twin_val_loss) and self.val_loss[-1] > 1.5 * (self.twin_val_loss or 0.0)

    @property
    def alarms(self) -> list[Seen]:
        """The findings that claim a fault."""
        return [finding for finding in self.findings if finding.claims_fault]

    @property
    def true_alarms(self) -> list[Seen]:
        """The alarms that are the cause or its consequences."""
        return [finding for finding in self.alarms if finding.symptom in (*self.causes, *self.consequences)]

    @property
    def found_before(self) -> bool:
        """Whether a preflight check that names the cause warned or failed."""
        raised = [check for check in self.checks or [] if check.status in ("warn", "fail")]
        return any(check.symptom in self.causes or check.name in self.exact_checks for check in raised)

    def latency(self) -> int | None:
        """Return the steps or evaluations from the onset to the first finding that names the cause."""
        named = [finding for finding in self.alarms if finding.symptom in self.causes]
        if not named:
            return None
        if self.level == "step":
            return max(0, min(finding.noticed_step for finding in named) - self.onset)
        return max(0, min(finding.noticed_evaluation for finding in named) - self.onset_evaluation())

    def onset_evaluation(self) -> int:
        """Return the evaluation, from 1, that was the first to show the fault.

        For overfitting that is the one after the smallest validation loss; for underfitting the first whose training
        loss is within 5% of the last; for others the first after the onset.
        """
        cause = self.causes[0] if self.causes else ""
        if cause == "overfitting" and self.val_loss:
            return min(range(len(self.val_loss)), key=self.val_loss.__getitem__) + 2
        if cause == "underfitting" and self.loss:
            return next(i for i, value in enumerate(self.loss, 1) if abs(value - self.loss[-1]) <= 0.05 * self.loss[-1])
        return -(-self.onset // self.steps_per_evaluation) if self.steps_per_evaluation else 1

    def as_dict(self) -> dict[str, Any]:
        """Return all fields without defaults, ready for JSON."""
        defaults = {item.name: item.default for item in fields(self)} | {name: [] for name in LISTS}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Outcome:
        """Return the outcome that `as_dict` stored."""
        checks = stored.get("checks")
        return cls(
            **stored
            | {
                "findings": [Seen(**finding) for finding in stored.get("findings", [])],
                "checks": None if checks is None else [Check(**check) for check in checks],
            }
        )


@dataclass
class Figure:
    """A share or a median with its 95% interval."""

    value: float
    low: float
    high: float
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "none"
        digits = 3 if self.high <= 1 else 0
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}] of {self.of}"


def share(hits: int, total: int) -> Figure:
    """Return a share with its Wilson interval.

    Examples
    --------
    >>> print(share(9, 10))
    0.900 [0.596, 0.982] of 10
    """
    if total == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    p, z2 = hits / total, Z * Z
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = Z / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total))
    return Figure(p, max(0.0, centre - half), min(1.0, centre + half), total)


def median(values: Sequence[float]) -> Figure:
    """Return the median with the interval between the order statistics that cover it 95% of the time.

    Examples
    --------
    >>> print(median([1, 2, 3, 4, 100, 6, 7]))
    4 [1, 100] of 7
    """
    count, ordered = len(values), sorted(values)
    if not count:
        return Figure(math.nan, math.nan, math.nan, 0)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    half = Z * math.sqrt(count) / 2
    low = max(0, math.floor(count / 2 - half))
    high = min(count - 1, math.ceil(count / 2 + half))
    return Figure(middle, ordered[low], ordered[high], count)


@dataclass
class Summary:
    """The figures of a part of the corpus."""

    hits: Figure
    primary_anywhere: Figure
    precision: Figure
    false_alarms: Figure
    latency_steps: Figure
    latency_evaluations: Figure
    missed_latency: int
    found_before: Figure
    false_alarms_before: Figure


def summarize(outcomes: Iterable[Outcome]) -> Summary:
    """Return the figures of merit of runs."""
    outcomes = list(outcomes)
    faults = [outcome for outcome in outcomes if outcome.kind == "fault"]
    controls = [outcome for outcome in outcomes if outcome.kind == "control"]
    watched = [outcome for outcome in faults if outcome.visible_during]
    alarms = sum(len(outcome.alarms) for outcome in [*watched, *controls])
    true = sum(len(outcome.true_alarms) for outcome in watched)
    latencies: dict[str, list[float]] = {"step": [], "evaluation": []}
    missed = 0
    for outcome in watched:
        latency = outcome.latency()
        if latency is None:
            missed += 1
        else:
            latencies[outcome.level].append(latency)
    before = [outcome for outcome in faults if outcome.visible_before and outcome.checks is not None]
    calm = [outcome for outcome in controls if outcome.checks is not None]
    return Summary(
        hits=share(sum(outcome.hit for outcome in watched), len(watched)),
        primary_anywhere=share(
            sum(outcome.causes[0] in [f.symptom for f in outcome.findings] for outcome in watched), len(watched)
        ),
        precision=share(true, alarms),
        false_alarms=share(sum(bool(outcome.alarms) for outcome in controls), len(controls)),
        latency_steps=median(latencies["step"]),
        latency_evaluations=median(latencies["evaluation"]),
        missed_latency=missed,
        found_before=share(sum(outcome.found_before for outcome in before), len(before)),
        false_alarms_before=share(
            sum(any(c.status in ("warn", "fail") for c in outcome.checks or []) for outcome in calm), len(calm)
        ),
    )


def by_symptom(outcomes: Iterable[Outcome]) -> dict[str, Figure]:
    """Return, for each symptom, the share of runs with this main cause whose verdict names the cause."""
    watched = [outcome for outcome in outcomes if outcome.kind == "fault" and outcome.visible_during]
    result = {}
    for symptom in SYMPTOMS:
        own = [outcome for outcome in watched if outcome.causes[0] == symptom]
        result[symptom] = share(sum(outcome.hit for outcome in own), len(own))
    return result


def precision_by_symptom(outcomes: Iterable[Outcome]) -> dict[str, Figure]:
    """Return, for each symptom, the share of its warnings and errors that are true."""
    watched = [outcome for outcome in outcomes if outcome.visible_during]
    result = {}
    for symptom in SYMPTOMS:
        total = sum(finding.symptom == symptom for outcome in watched for finding in outcome.alarms)
        true = sum(finding.symptom == symptom for outcome in watched for finding in outcome.true_alarms)
        result[symptom] = share(true, total)
    return result
