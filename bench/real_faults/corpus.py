"""The published cases: read, built, each with the healthy case that shows what its data allow."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pynn
from bench.faults.cases import Run
from bench.faults.training import score

from .changes import CHANGES
from .plan import assemble, plan_of, task_of

#: Healthy cases that show what a faulty case's data allow, by data.
TWINS = {
    "circles": "at_Circle_al_10_CLEAN",
    "blobs": "at_Blob_base_CLEAN",
    "mnist": "at_MNIST_lenet_CLEAN",
    "cifar": "tdc_deep_CLEAN",
}


@cache
def cases() -> dict[str, dict[str, Any]]:
    """Return the cases by id, from the file that PYNN_REAL_FAULTS names or that beside this script."""
    path = Path(os.environ.get("PYNN_REAL_FAULTS") or Path(__file__).with_name("cases.json"))
    return {case["id"]: case for case in json.loads(path.read_text())}


def part(case: dict[str, Any]) -> Literal["tune", "report"]:
    """Return the half that a case belongs to: rules may be tuned on every second case of the file."""
    return "tune" if list(cases()).index(case["id"]) % 2 == 0 else "report"


def healthy(case: dict[str, Any]) -> bool:
    """Return whether the set calls the case healthy."""
    return bool(case["category"] == "healthy_control")


def twin_of(case: dict[str, Any]) -> dict[str, Any]:
    """Return the healthy case whose score the case should reach."""
    program = case["id"].split("_")[1]
    return cases()[f"tdc_{program}_CLEAN" if case["id"].startswith("tdc_") else TWINS[task_of(case)]]


def available(case: dict[str, Any]) -> bool:
    """Return whether the data are there: MNIST and CIFAR-10 need PYNN_DATA."""
    return task_of(case) not in ("mnist", "cifar") or bool(os.environ.get("PYNN_DATA"))


def build(case: dict[str, Any], seed: int = 0) -> Run:
    """Return the run of a case."""
    pynn.manual_seed(seed)
    plan = plan_of(case)
    if case["id"] in CHANGES:
        CHANGES[case["id"]](plan)
    return assemble(plan, seed)


def score_of(run: Run) -> float:
    """Return accuracy or R2 on the validation part, whatever form of targets the loss takes."""
    x, y = run.validation
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.argmax(axis=1)
    elif y.ndim == 1 and run.metric == "r2":
        y = y[:, None]
    return score(Run(run.trainer, run.x, run.y, (x, y), metric=run.metric))
