"""Findings of the monitor: symptom, place, steps, severity, evidence and advice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]

#: All symptoms, likeliest causes first: later ones are often consequences of earlier ones.
SYMPTOMS = (
    "input_not_normalised",
    "symmetric_units",
    "bad_initialisation",
    "saturated_units",
    "bad_initial_loss",
    "regularisation_too_strong",
    "lr_too_high",
    "vanishing_gradient",
    "exploding_gradient",
    "dead_units",
    "diverging",
    "non_finite",
    "batchnorm_mismatch",
    "lr_too_low",
    "not_learning",
    "class_imbalance",
    "oscillating",
    "plateau",
    "overfitting",
    "underfitting",
    "zigzag",
)


#: Where a symptom's page is, from the project's folder.
PAGE = "docs/symptoms/{}.md"


def page_of(symptom: str | None) -> str | None:
    """Return the page about a symptom; None for one of a rule of your own.

    Examples
    --------
    >>> page_of("dead_units")
    'docs/symptoms/dead_units.md'
    """
    return PAGE.format(symptom) if symptom in SYMPTOMS else None


@dataclass
class Finding:
    """One episode of a symptom in one layer or the whole network.

    Attributes
    ----------
    symptom : str
        One of `SYMPTOMS`, or of a rule of your own.
    layer : str or None
        The first layer affected, such as "3.ReLU"; None for the whole network.
    step, last_step : int
        Optimiser steps, from 1, at which it was first and last seen.
    severity : {"info", "warning", "error"}
        Only "warning" and "error" claim a fault.
    evidence : str
        The measured figures.
    advice : str
        What to do.
    end : int or None
        The step at which it had passed: the run has learnt since, and the symptom is gone. None while it stands.

    Examples
    --------
    >>> print(Finding("dead_units", "1.ReLU", 40, 90, "warning", "70% of 64 units never active", "lower the rate"))
    warning: dead_units in 1.ReLU, steps 40-90: 70% of 64 units never active; lower the rate
    """

    symptom: str
    layer: str | None
    step: int
    last_step: int
    severity: Severity
    evidence: str
    advice: str
    end: int | None = None

    @property
    def claims_fault(self) -> bool:
        """Whether it is a fault of the run as it is."""
        return self.severity != "info" and self.end is None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding in the form of ``docs/json.md``."""
        return {
            "symptom": self.symptom,
            "layer": self.layer,
            "step": self.step,
            "last_step": self.last_step,
            "end": self.end,
            "severity": self.severity,
            "evidence": self.evidence,
            "advice": self.advice,
            "page": page_of(self.symptom),
        }

    def __str__(self) -> str:
        where = f" in {self.layer}" if self.layer else ""
        when = f"step {self.step}" if self.step == self.last_step else f"steps {self.step}-{self.last_step}"
        past = "" if self.end is None else f", passed by step {self.end}"
        return f"{self.severity}: {self.symptom}{where}, {when}{past}: {self.evidence}; {self.advice}"


#: Steps that count as the start; a symptom of the first step precedes any weight update.
START, AT_ONCE = 8, 1
#: Symptoms that are causes if seen up to this step, and consequences later: a high rate, for example, saturates units
#: within a few steps.
AT_START = {
    "saturated_units": AT_ONCE,
    "vanishing_gradient": START,
    "exploding_gradient": START,
    "bad_initial_loss": START,
}

#: Symptoms that say how a run goes: they pass once it learns and their rules no longer detect them.
PASSING = frozenset({"saturated_units", "vanishing_gradient", "lr_too_low", "not_learning"})
PASSING |= {"plateau", "underfitting", "zigzag", "dead_units"}
#: Of these, warnings pass, but no errors.
PASSING_WARNINGS = frozenset({"bad_initial_loss"})
#: Of these, those that pass before: once a run is under way, if they have not been seen in its second half.
SLOW_STARTS = frozenset({"lr_too_low", "not_learning"})
#: Faults of the network that no scaling of moderately large inputs would mend.
BUILT_WRONG = frozenset({"symmetric_units", "bad_initialisation", "vanishing_gradient"})


def ranked(findings: list[Finding]) -> list[Finding]:
    """Return the findings that claim a fault and stand, likeliest cause first."""
    faults = [finding for finding in findings if finding.claims_fault]
    later = SYMPTOMS.index("lr_too_low")
    built_wrong = any(finding.symptom in BUILT_WRONG for finding in faults)

    def place(finding: Finding) -> tuple[int, float]:
        if finding.symptom not in SYMPTOMS:  # of a user's rule
            return len(SYMPTOMS), finding.step
        index = SYMPTOMS.index(finding.symptom)
        if finding.symptom == "input_not_normalised" and finding.severity == "warning" and built_wrong:
            return later, math.inf
        if _is_wrong_from_the_start(finding):
            return SYMPTOMS.index("bad_initial_loss"), finding.step
        late = finding.step > AT_START.get(finding.symptom, finding.step)
        return max(index, later) if late else index, finding.step

    return sorted(faults, key=place)


def _is_wrong_from_the_start(finding: Finding) -> bool:
    """Return whether a finding, usually a consequence, is caused by the order of the data or by a wrong gradient."""
    at_once = finding.symptom == "not_learning" and finding.step == 1
    return finding.severity == "error" and (finding.symptom == "oscillating" or at_once)
