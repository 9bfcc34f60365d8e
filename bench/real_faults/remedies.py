"""Diagnose the published faults that do harm, and report how often the proposed remedy repairs them.

    PYNN_DATA=folder python -m bench.real_faults.remedies               # all; renews remedies.json and the README
    python -m bench.real_faults.remedies --only regr_ --show            # some cases, with their diagnoses

from the project folder, after bench.real_faults.run, whose results say which faults do harm and what the healthy
program reaches. `diagnose` sees the training part only. Then the whole training part is trained on once more with the
first remedy, and scored on the validation part. The time limit counts the processor's time, so that other programs,
which slow the diagnosis down, do not change it.
"""

from __future__ import annotations

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import click
import numpy as np

import pynn
from bench.faults.remedies import with_remedy
from bench.faults.score import share
from bench.faults.version import rules
from pynn.utils.files import write_atomically

from .corpus import available, build, cases, part, score_of
from .report import REMEDIES, with_earlier_rules, write_section
from .run import stored as measured_before
from .score import AS_GOOD, Outcome

RESULTS = Path(__file__).with_name("remedies.json")

#: Faults that no setting repairs, with reasons; they run for the record.
BEYOND = {
    "tdc_regr_wrong_labels": "the labels are lost",
    "tdc_base_wrong_labels": "the labels are lost",
    "tdc_base_unbalanced": "2 to 10 examples are left of each of six classes, against 200",
}


@dataclass
class Repair:
    """One diagnosed fault; scores are those on the validation part, which selected nothing.

    Attributes
    ----------
    reachable, sick, repaired : float
        Scores of the healthy program, of the faulty one, and of that with the remedy.
    remedy : str or None
        What `diagnose` proposes.
    """

    case: str
    part: str
    tags: list[str]
    reachable: float
    sick: float
    repaired: float
    remedy: str | None
    verdict: list[str]
    trials: int
    untried: int
    seconds: float
    rules: str = ""

    @property
    def curable(self) -> bool:
        """Whether a setting can repair it."""
        return self.case not in BEYOND

    @property
    def succeeded(self) -> bool:
        """Whether the run with the remedy is as good as the healthy program."""
        return self.repaired >= self.reachable - AS_GOOD


def measure(outcome: Outcome, seconds: float) -> tuple[Repair, str]:
    """Diagnose a case, and train it with the first remedy."""
    pynn.set_num_threads(1)
    case = cases()[outcome.case]
    own_time = mock.patch.object(time, "perf_counter", time.process_time)
    with own_time, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        run = build(case)
        diagnosis = pynn.diagnose(run.trainer, run.x, run.y, seconds=seconds, **run.settings)
        best = diagnosis.best
        after = None if best is None else with_remedy(run, best.remedy, run.validation, run.validation)
        repair = Repair(
            case=outcome.case,
            part=part(case),
            tags=outcome.tags,
            reachable=outcome.reachable,
            sick=outcome.score,
            repaired=outcome.score if best is None else 0.0 if after is None else round(score_of(after), 4),
            remedy=None if best is None or best.remedy is None else best.remedy.change,
            verdict=[finding.symptom for finding in diagnosis.verdict],
            trials=len(diagnosis.trials),
            untried=len(diagnosis.untried),
            seconds=round(time.perf_counter() - began, 1),
            rules=rules(remedies=True),
        )
    return repair, f"{repair}\n{diagnosis}\n"


def table(repairs: list[Repair]) -> str:
    """Return the shares of repaired cases, and each case, as Markdown."""
    groups = {
        "repaired": repairs,
        "repaired, of those that a setting can repair": [each for each in repairs if each.curable],
    }
    lines = ["| | tune | report | all |", "|---|---:|---:|---:|"]
    for title, group in groups.items():
        columns = [[each for each in group if which in ("all", each.part)] for which in ("tune", "report", "all")]
        figures = [str(share(sum(each.succeeded for each in own), len(own))) for own in columns]
        lines.append(f"| {title} | {' | '.join(figures)} |")
    lines += ["", "| case | healthy | as it is | with the remedy | repaired | remedy |", "|---|---:|---:|---:|---|---|"]
    for each in repairs:
        done = "yes" if each.succeeded else "no" if each.curable else f"no: {BEYOND[each.case]}"
        scores = " | ".join(_figure(score) for score in (each.reachable, each.sick, each.repaired))
        lines.append(f"| `{each.case}` | {scores} | {done} | {each.remedy or 'none'} |")
    return "\n".join(lines)


def _figure(score: float) -> str:
    return f"{score:.3f}" if score > -10 else f"{score:.1e}"


@click.command()
@click.option("--only", multiple=True, help="A case, or part of the names of several.")
@click.option("--part", "only_part", type=click.Choice(["tune", "report", "all"]), default="all", show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--seconds", default=60.0, show_default=True, help="Time limit per diagnosis, of processor time.")
@click.option("--resume", is_flag=True, help="Leave out cases whose stored results are of the present rules.")
@click.option("--show", is_flag=True, help="Print the diagnoses.")
@click.option("--dry", is_flag=True, help="Store nothing.")
def main(only: tuple[str, ...], only_part: str, jobs: int, seconds: float, resume: bool, show: bool, dry: bool) -> None:
    """Measure how often the first proposed remedy repairs a published fault."""
    done = {repair.case for repair in stored() if repair.rules == rules(remedies=True)} if resume else set()
    chosen = [
        outcome
        for outcome in harmed()
        if (not only or any(text in outcome.case for text in only))
        and only_part in ("all", outcome.part)
        and outcome.case not in done
    ]
    there = [outcome for outcome in chosen if available(cases()[outcome.case])]
    if len(there) < len(chosen):
        click.echo(f"PYNN_DATA is not set: {len(chosen) - len(there)} cases on images are skipped", err=True)
    repairs = []
    with ProcessPoolExecutor(jobs) as pool:
        for repair, text in pool.map(partial(measure, seconds=seconds), there):
            repairs.append(repair)
            if not dry:
                store(repair)
            if show:
                click.echo(text)
    click.echo(table(repairs))


def harmed() -> list[Outcome]:
    """Return the measured cases whose fault does harm."""
    return [outcome for outcome in measured_before() if outcome.harmed and not outcome.healthy]


def store(repair: Repair) -> None:
    """Put a repair in the place of an earlier one of the same case, and renew the README's table."""
    latest = {repair.case: repair for repair in [*stored(), repair]}
    ordered = [latest[name] for name in cases() if name in latest]
    rows = [json.dumps(asdict(repair)) for repair in ordered]
    write_atomically(RESULTS, ("[\n" + ",\n".join(rows) + "\n]\n").encode())
    older = sum(each.rules != rules(remedies=True) for each in ordered)
    sizes = f"Measured: {len(ordered)} of {len(harmed())} faults that do harm{with_earlier_rules(older)}."
    write_section(REMEDIES, f"{sizes}\n\n{table(ordered)}")


def stored() -> list[Repair]:
    """Return the stored repairs."""
    return [Repair(**row) for row in json.loads(RESULTS.read_text())] if RESULTS.exists() else []


if __name__ == "__main__":
    main()
