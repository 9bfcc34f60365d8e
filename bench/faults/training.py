"""Trains one case under the monitor, and returns the outcome."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np

import pynn

from .cases import Control, Fault, Run, part
from .score import Check, Outcome, Seen
from .version import rules

#: Statuses of checks with a finding.
RAISED = ("warn", "fail")


class Notebook(pynn.Callback):
    """Records the step at which the monitor first reports each fault."""

    def __init__(self, monitor: Any) -> None:
        self.monitor = monitor
        self.seen: dict[tuple[str, str | None, bool], tuple[int, int]] = {}

    def on_step_end(self, trainer: pynn.Trainer) -> None:
        for finding in self.monitor.findings:
            key = (finding.symptom, finding.layer, finding.severity != "info")
            self.seen.setdefault(key, (trainer.steps, trainer.epoch))

    on_epoch_end = on_train_end = on_step_end


def has_monitor() -> bool:
    """Return whether pynn has a monitor to measure."""
    return hasattr(pynn, "Monitor")


def has_preflight() -> bool:
    """Return whether pynn has preflight checks to measure."""
    return hasattr(pynn, "preflight")


def measure(case: Fault | Control, seed: int, *, watch: bool = True, before: bool = True) -> Outcome:
    """Train a case and, for a fault, its twin; `before` also runs the preflight checks."""
    began = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _measure(case, seed, watch, before, began)


def _measure(case: Fault | Control, seed: int, watch: bool, before: bool, began: float) -> Outcome:
    twin_score, twin_loss = None, []
    if isinstance(case, Fault):
        twin = case.build(seed, False)
        train(twin, None)
        twin_score, twin_loss = score(twin), _short(twin.trainer.history.history.get("val_loss", []))
        run = case.build(seed, True)
    else:
        run = case.build(seed)
    checks = preflight(case, seed) if before and has_preflight() else None
    monitor = pynn.Monitor() if watch and has_monitor() else None
    ended, notebook = train(run, monitor)
    history = run.trainer.history.history
    outcome = Outcome(
        case=case.name,
        kind="fault" if isinstance(case, Fault) else "control",
        part=part(case.data, seed),
        seed=seed,
        steps=run.trainer.steps,
        score=score(run),
        twin_score=twin_score,
        twin_val_loss=twin_loss[-1] if twin_loss else None,
        ended=ended,
        loss=_short(history.get("loss", [])),
        val_loss=_short(history.get("val_loss", [])),
        steps_per_evaluation=run.trainer.batches_per_epoch if run.feed is None else 0,
        checks=checks,
        rules=rules(),
    )
    if isinstance(case, Fault):
        outcome.causes, outcome.consequences = list(case.causes), list(case.consequences)
        outcome.level, outcome.onset = case.level, case.onset or run.trainer.steps + 1
        outcome.visible_before, outcome.visible_during = case.visible_before, case.visible_during
        outcome.exact_checks = list(case.checks)
    if monitor is not None and notebook is not None:
        outcome.findings = [_seen(finding, notebook, run.trainer) for finding in monitor.findings]
        outcome.verdict = [finding.symptom for finding in monitor.verdict]
    outcome.seconds = round(time.perf_counter() - began, 3)
    return outcome


def train(run: Run, monitor: Any) -> tuple[str, Notebook | None]:
    """Train; return how the run ended and, with a monitor, the steps of its reports."""
    notebook = None if monitor is None else Notebook(monitor)
    watchers = [] if monitor is None else [monitor, notebook]
    try:
        if run.feed is not None:
            _by_hand(run, monitor, notebook)
        else:
            settings = run.settings | {"callbacks": [*run.callbacks, *watchers]}
            run.trainer.fit(run.x, run.y, validation=run.validation, **settings)
        ended = "finished"
    except pynn.NonFiniteError:
        ended = "not finite"
    if monitor is not None and notebook is not None:
        monitor.unwatch()
        notebook.on_step_end(run.trainer)
    return ended, notebook


def _by_hand(run: Run, monitor: Any, notebook: Notebook | None) -> None:
    assert run.feed is not None
    if monitor is not None:
        monitor.watch(run.trainer)
    rng = np.random.default_rng(run.trainer.seed)
    step = 0
    for _ in range(run.epochs):
        order = rng.permutation(len(run.x))
        for start in range(0, len(order) - run.batch_size + 1, run.batch_size):
            rows = order[start : start + run.batch_size]
            step += 1
            run.trainer.step(*run.feed(step, run.x[rows], run.y[rows]))
            if notebook is not None:
                notebook.on_step_end(run.trainer)


def score(run: Run) -> float:
    """Return the score of the run on its validation part."""
    x, y = run.validation
    prediction = run.trainer.model.infer(x).astype(np.float64)
    if not np.isfinite(prediction).all():
        return 0.0
    if run.metric == "r2":
        return float(1 - np.mean((prediction - y) ** 2) / np.mean((y - y.mean(axis=0)) ** 2))
    binary = prediction.shape[1] == 1
    labels = (prediction[:, 0] > 0).astype(int) if binary else prediction.argmax(axis=1)
    truth = y[:, 0].astype(int) if binary else y
    right = labels == truth
    if run.metric == "balanced":
        return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))
    return float(right.mean())


def preflight(case: Fault | Control, seed: int) -> list[Check]:
    """Return the preflight checks of a fresh run."""
    run = case.build(seed, True) if isinstance(case, Fault) else case.build(seed)
    from pynn.babysit.preflight import preflight as check_before

    report = check_before(run.trainer, run.x, run.y, validation=run.validation)
    return [
        Check(check.name, check.status, check.symptom, check.evidence)
        for check in report.checks
        if check.status in RAISED
    ]


def _seen(finding: Any, notebook: Notebook, trainer: pynn.Trainer) -> Seen:
    key = (finding.symptom, finding.layer, finding.severity != "info")
    step, evaluation = notebook.seen.get(key, (trainer.steps, trainer.epoch))
    return Seen(
        finding.symptom,
        finding.layer,
        int(finding.step),
        int(finding.last_step),
        finding.severity,
        finding.evidence,
        step,
        evaluation,
    )


def _short(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") if math.isfinite(value) else 1e38 for value in values]
