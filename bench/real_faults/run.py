"""Build, check and train the published cases, and report what preflight and monitor said about them.

    PYNN_DATA=folder python -m bench.real_faults.run --part tune --show wrong   # while choosing rules
    PYNN_DATA=folder python -m bench.real_faults.run                            # all; renews results and README
    PYNN_DATA=folder python -m bench.real_faults.run --resume                   # those not yet measured by these rules
    PYNN_DATA=folder python -m bench.real_faults.run --only regr_high_lr --show every

from the project folder. Without PYNN_DATA, the cases on MNIST and CIFAR-10 are skipped with a message. A run of some
cases (--only, --resume) renews their results only, and takes the stored scores of their healthy twins.
"""

from __future__ import annotations

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import click
import numpy as np

import pynn
from bench.faults.cases import Run
from bench.faults.training import RAISED, train
from bench.faults.version import rules
from pynn.utils.files import write_atomically

from .corpus import available, build, cases, healthy, part, score_of, twin_of
from .report import details, table, write_readme
from .score import Outcome, Said, in_order

RESULTS = Path(__file__).with_name("results.json")


def measure(name: str, before: bool = True, anew: bool = True) -> Outcome:
    """Check and train a case; `anew` also trains its healthy twin, whose stored score is taken otherwise."""
    case = cases()[name]
    reachable = None if healthy(case) else score_of_healthy(twin_of(case)["id"], anew)
    return outcome_of(name, part(case), case["fault_tags"], lambda: build(case), score_of, reachable, before)


def outcome_of(
    name: str,
    which: str,
    tags: list[str],
    build_run: Callable[[], Run],
    scored: Callable[[Run], float],
    reachable: float | None,
    before: bool = True,
) -> Outcome:
    """Check and train a run; `reachable` is the score of its healthy twin, None if it is healthy itself."""
    pynn.set_num_threads(1)
    began = time.perf_counter()
    with quiet():
        checks = preflight(build_run()) if before else []
        run, monitor = build_run(), pynn.Monitor()
        try:
            ended, _ = train(run, monitor)
            reached = scored(run)
        except ValueError:  # labels that are none, say
            ended, reached = "refused", 0.0
    return Outcome(
        case=name,
        part=which,
        tags=tags,
        healthy=reachable is None,
        score=round(reached, 4),
        reachable=round(reached if reachable is None else reachable, 4),
        ended=ended,
        steps=run.trainer.steps,
        said=in_order(checks, findings_of(monitor)),
        seconds=round(time.perf_counter() - began, 1),
        rules=rules(),
    )


def findings_of(monitor: pynn.Monitor) -> list[Said]:
    """Return what a monitor said, its verdict first."""
    verdict = monitor.verdict
    return [
        Said("monitor", each.symptom, each.severity, each.symptom, each.evidence, each in verdict)
        for each in [*verdict, *(each for each in monitor.findings if each not in verdict)]
    ]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings of runs that break off from being shown."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@cache
def score_of_healthy(name: str, anew: bool) -> float:
    """Return the score of a healthy case."""
    known = {} if anew else {outcome.case: outcome.score for outcome in stored()}
    if name in known:
        return known[name]
    pynn.set_num_threads(1)
    with quiet():
        run = build(cases()[name])
        train(run, None)
        return score_of(run)


def preflight(run: Run) -> list[Said]:
    """Return the checks that warn or fail."""
    report = pynn.preflight(run.trainer, run.x, run.y, validation=run.validation, batch_size=run.batch_size)
    return [
        Said("preflight", check.name, check.status, check.symptom, check.evidence)
        for check in report.checks
        if check.status in RAISED
    ]


@click.command()
@click.option("--only", multiple=True, help="A case, or part of the names of several.")
@click.option("--part", "only_part", type=click.Choice(["tune", "report", "all"]), default="all", show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--no-preflight", is_flag=True, help="Skip the preflight checks.")
@click.option("--resume", is_flag=True, help="Leave out cases whose stored results are of the present rules.")
@click.option("--show", type=click.Choice(["wrong", "every"]), help="Show the misjudged cases, or all, with evidence.")
@click.option("--output", type=click.Path(path_type=Path), help="Results; by default results.json here.")
def main(
    only: tuple[str, ...],
    only_part: str,
    jobs: int,
    no_preflight: bool,
    resume: bool,
    show: str | None,
    output: Path | None,
) -> None:
    """Measure preflight and monitor on programs with published faults."""
    chosen = {
        name: case
        for name, case in cases().items()
        if (not only or any(text in name for text in only)) and only_part in ("all", part(case))
    }
    names = [name for name, case in chosen.items() if available(case)]
    if len(names) < len(chosen):
        click.echo(f"PYNN_DATA is not set: {len(chosen) - len(names)} cases on images are skipped", err=True)
    if resume:
        done = {outcome.case for outcome in stored() if outcome.rules == rules()}
        names = [name for name in names if name not in done]
    outcomes = []
    for outcome in measured(names, jobs, not no_preflight, anew=not (only or resume)):
        outcomes.append(outcome)
        if output is None and not no_preflight:
            store(outcome)  # at once: cases on images take minutes
        if show and (text := details(outcome, every=show == "every")):
            click.echo(text)
    click.echo(table(outcomes))
    if output is not None:
        write(output, outcomes)


def store(outcome: Outcome) -> None:
    """Put an outcome in the place of an earlier one of the same case, and renew the README's table."""
    latest = {each.case: each for each in [*stored(), outcome]}
    ordered = [latest[name] for name in cases() if name in latest]
    write(RESULTS, ordered)
    write_readme(ordered)


def stored() -> list[Outcome]:
    """Return the stored outcomes."""
    return [Outcome.from_dict(row) for row in json.loads(RESULTS.read_text())] if RESULTS.exists() else []


def write(path: Path, outcomes: list[Outcome]) -> None:
    """Write outcomes as JSON, one a line."""
    rows = [json.dumps(outcome.as_dict()) for outcome in outcomes]
    write_atomically(path, ("[\n" + ",\n".join(rows) + "\n]\n").encode())


def measured(names: list[str], jobs: int, before: bool, anew: bool) -> Iterator[Outcome]:
    """Yield the outcomes of cases, in their order, as soon as they are there."""
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(partial(measure, before=before, anew=anew), names)


if __name__ == "__main__":
    main()
