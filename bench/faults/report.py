"""Readable results: the table of figures, and the misjudged runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields

from rich.table import Table

from pynn.babysit.findings import SYMPTOMS

from .cases import Control, Fault
from .score import Outcome, Summary, by_symptom, precision_by_symptom, summarize

TITLES = {
    "hits": "verdict names the cause",
    "primary_anywhere": "the exact symptom among the findings",
    "precision": "warnings and errors that are true",
    "false_alarms": "healthy runs with a warning or error",
    "latency_steps": "latency, steps (median)",
    "latency_evaluations": "latency, evaluations (median)",
    "missed_latency": "faults whose cause was never named",
    "found_before": "faults seen before training",
    "false_alarms_before": "healthy runs with a check that warns",
}


def figures(outcomes: list[Outcome]) -> list[Table]:
    """Return the tables of the figures of merit and of the symptoms, per part."""
    parts = [name for name in ("tune", "report") if any(outcome.part == name for outcome in outcomes)]
    own = {name: [outcome for outcome in outcomes if outcome.part == name] for name in parts}
    merit = Table(title="with 95% intervals")
    symptoms = Table(title="verdict names the cause, by its foremost symptom")
    truth = Table(title="warnings and errors that are true, by symptom")
    for table in (merit, symptoms, truth):
        table.add_column("")
        for name in parts:
            table.add_column(f"{name} ({len(own[name])} runs)")
    summaries = [summarize(own[name]) for name in parts]
    for field in fields(Summary):
        merit.add_row(TITLES[field.name], *(str(getattr(summary, field.name)) for summary in summaries))
    for table, function in ((symptoms, by_symptom), (truth, precision_by_symptom)):
        shares = [function(own[name]) for name in parts]
        for symptom in SYMPTOMS:
            table.add_row(symptom, *(str(by[symptom]) for by in shares))
    return [merit, symptoms, truth]


def in_words(outcomes: list[Outcome]) -> dict[str, dict[str, str]]:
    """Return the figures of merit of each part as text, with intervals."""
    words = {}
    for name in ("tune", "report"):
        summary = summarize([outcome for outcome in outcomes if outcome.part == name])
        words[name] = {TITLES[field.name]: str(getattr(summary, field.name)) for field in fields(Summary)}
    return words


def details(outcomes: list[Outcome], cases: Mapping[str, Fault | Control], every: bool = False) -> str:
    """Return the misjudged cases; with `every`, all cases."""
    lines = []
    for name, case in cases.items():
        runs = [outcome for outcome in outcomes if outcome.case == name]
        if runs:
            lines += _fault(case, runs, every) if isinstance(case, Fault) else _control(case, runs, every)
    return "\n".join(lines) or "nothing wrong"


def _fault(case: Fault, runs: list[Outcome], every: bool) -> list[str]:
    lines = []
    well = [run.seed for run in runs if case.visible_during and not run.sick]
    if well:
        scores = ", ".join(f"{run.score:.3f} of {run.twin_score:.3f}" for run in runs)
        lines.append(f"    seeds {well} are not sick: {scores}")
    watched = any(run.findings or run.verdict for run in runs)
    if case.visible_during and (every or watched or not all(run.hit for run in runs)):
        first = Counter(run.verdict[0] if run.verdict else "nothing" for run in runs)
        missed = [run for run in runs if not run.hit]
        if every or missed:
            lines.append(f"    expected {' or '.join(case.causes)}; got {dict(first)}")
        for run in missed[:2]:
            lines += _evidence(run, f"seed {run.seed} missed")
        false = [run for run in runs if len(run.true_alarms) < len(run.alarms)]
        for run in false[:2]:
            untrue = [f for f in run.alarms if f not in run.true_alarms]
            lines += [
                f"      seed {run.seed} untrue: {f.symptom} {f.layer} step {f.noticed_step}: {f.evidence}"
                for f in untrue
            ]
        latencies = [run.latency() for run in runs]
        if every or any(value is None for value in latencies):
            lines.append(f"    latency in {case.level}s: {latencies}")
    unseen = [run for run in runs if run.visible_before and run.checks is not None and not run.found_before]
    if unseen:
        raised = [(c.name, c.status, c.symptom) for c in unseen[0].checks or [] if c.status in ("warn", "fail")]
        lines.append(
            f"    before training: not seen in {len(unseen)} of {len(runs)}; seed {unseen[0].seed} raised {raised}"
        )
    return [f"{case.name} ({case.data})", *lines] if lines else []


def _control(case: Control, runs: list[Outcome], every: bool) -> list[str]:
    lines = [f"    seed {run.seed} is not healthy: {run.score:.3f}" for run in runs if run.score < case.least]
    for run in runs:
        if run.alarms:
            lines += _evidence(run, f"seed {run.seed} false alarm")
        for check in run.checks or []:
            if check.status in ("warn", "fail"):
                lines.append(f"      seed {run.seed} before training: {check.name} {check.status}: {check.text}")
    if every and not lines:
        lines.append("    quiet")
    return [f"{case.name} ({case.data}), healthy", *lines] if lines else []


def _evidence(run: Outcome, what: str) -> list[str]:
    found = [
        f"        {f.severity} {f.symptom} {f.layer or ''} steps {f.step}-{f.last_step}, noticed {f.noticed_step}: "
        f"{f.evidence}"
        for f in run.findings
    ]
    return [
        f"      {what}: score {run.score:.3f}, {run.ended} after {run.steps} steps, "
        f"loss {run.loss[:2]}..{run.loss[-1:]}",
        *found,
    ]
