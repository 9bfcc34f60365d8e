"""Findings as episodes: what rules detect again and again, of one symptom in one layer, is one finding."""

from __future__ import annotations

from typing import get_args

from ..findings import PASSING, PASSING_WARNINGS, SLOW_STARTS, Finding, Severity
from .rules import Detection
from .run_state import RunState

#: An episode ends when its symptom has been absent for this many steps.
GAP = 200
#: Symptoms whose evidence is that of the last step at which they were seen, not the first.
FOLLOWED = frozenset({"overfitting"})
#: From harmless to severe.
SEVERITIES = get_args(Severity)


class Episodes:
    """Begins, continues and ends the findings of a run.

    Attributes
    ----------
    findings : list of Finding
        In the order of discovery.
    """

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    @property
    def in_trouble(self) -> bool:
        """Whether an error stands."""
        return any(finding.severity == "error" and finding.end is None for finding in self.findings)

    def note(self, detection: Detection, state: RunState, step: int, epoch: int) -> Finding | None:
        """Begin or continue an episode; return its finding if that now claims a fault for the first time.

        `epoch` is the number of steps between the evaluation rules.
        """
        finding = self._running(detection, step, epoch)
        if finding is None:
            _, severity, evidence, advice, layer = detection
            finding = Finding(detection.symptom, layer, step, step, severity, evidence, advice)
            self.findings.append(finding)
            return None if severity == "info" else finding
        finding.last_step = step
        if detection.severity != "info":
            finding.end = None
        elif state.learns:
            _end(finding, state, step)
        harmless = finding.severity == "info"
        worse = SEVERITIES.index(detection.severity) > SEVERITIES.index(finding.severity)
        if worse:
            finding.severity = detection.severity
        if worse or detection.symptom in FOLLOWED:
            finding.evidence, finding.advice = detection.evidence, detection.advice
        return finding if worse and harmless else None

    def _running(self, detection: Detection, step: int, epoch: int) -> Finding | None:
        """Return the finding whose episode a detection continues."""
        for finding in reversed(self.findings):
            # Evaluation rules run only once per epoch, so an episode may have gaps of that length.
            gap = max(GAP, 2 * epoch, finding.last_step - finding.step)
            same = (finding.symptom, finding.layer) == (detection.symptom, detection.layer)
            if same and step - finding.last_step <= gap:
                return finding
        return None

    def let_pass(self, state: RunState, judged: int, step: int) -> None:
        """End the findings that a run has outlived: their rules, last applied at step `judged`, did not detect them."""
        for finding in self.findings:
            if finding.last_step < judged and _outlived(finding, state):
                _end(finding, state, step)


def _outlived(finding: Finding, state: RunState) -> bool:
    """Return whether a finding is no longer true of a run, given that its rules no longer detect it."""
    if finding.symptom in SLOW_STARTS and state.under_way and not state.seen_lately(finding.symptom):
        return True
    mild = finding.symptom in PASSING_WARNINGS and finding.severity == "warning"
    return state.learns and (finding.symptom in PASSING or mild)


def _end(finding: Finding, state: RunState, step: int) -> None:
    if finding.claims_fault:
        finding.end = step
        state.found.pop(finding.symptom, None)
