"""Check and train the faulty programs that people ask about again and again, and report what was said about them.

    PYNN_DATA=folder python -m bench.real_faults.run_classics           # all; renews classics.json and the README
    PYNN_DATA=folder python -m bench.real_faults.run_classics --only xor --show every

from the project folder. Without PYNN_DATA, programs on MNIST and CIFAR-10 are skipped with a message.
"""

from __future__ import annotations

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click
import numpy as np

from bench.faults.cases import Run
from bench.faults.training import score, train
from bench.faults.version import rules

from . import classics_rarer, classics_training  # noqa: F401 - add their programs
from .classics import PROGRAMS
from .corpus import score_of
from .programs import Program
from .report import details, harmless, table, with_earlier_rules, write_section
from .run import outcome_of, quiet, write
from .score import Outcome

RESULTS = Path(__file__).with_name("classics.json")
MARKS = "<!-- classics: python -m bench.real_faults.run_classics -->", "<!-- end of classics -->"


def measure(name: str) -> Outcome:
    """Check and train a program, and its healthy twin."""
    program = PROGRAMS[name]
    with quiet():
        twin = program.build(False)
        train(twin, None)
        reachable = scored(program, twin)
    return outcome_of(name, "all", list(program.tags), lambda: program.build(True), partial(scored, program), reachable)


def scored(program: Program, run: Run) -> float:
    """Return the score of a run on its validation part."""
    if program.score is not None:
        return program.score(run)
    x, y = run.validation
    prediction = run.trainer.model.infer(x)
    if run.metric == "r2":
        return score(run)
    if prediction.shape[1] > 1 or not np.isfinite(prediction).all():
        return score_of(run)
    right = (prediction > program.threshold) == (y > 0.5)
    if run.metric == "balanced":
        return float(np.mean([right[y == label].mean() for label in np.unique(y)]))
    return float(right.mean())


@click.command()
@click.option("--only", multiple=True, help="A program, or part of the names of several.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--resume", is_flag=True, help="Leave out programs whose stored results are of the present rules.")
@click.option("--show", type=click.Choice(["wrong", "every"]), help="Show the misjudged ones, or all, with evidence.")
@click.option("--dry", is_flag=True, help="Store nothing.")
def main(only: tuple[str, ...], jobs: int, resume: bool, show: str | None, dry: bool) -> None:
    """Measure preflight and monitor on faulty programs that people ask about again and again."""
    chosen = [name for name in PROGRAMS if not only or any(text in name for text in only)]
    names = [name for name in chosen if os.environ.get("PYNN_DATA") or not PROGRAMS[name].needs_images]
    if len(names) < len(chosen):
        click.echo(f"PYNN_DATA is not set: {len(chosen) - len(names)} programs on images are skipped", err=True)
    if resume:
        done = {outcome.case for outcome in stored() if outcome.rules == rules()}
        names = [name for name in names if name not in done]
    outcomes = []
    with ProcessPoolExecutor(jobs) as pool:
        for outcome in pool.map(measure, names):
            outcomes.append(outcome)
            if not dry:
                store(outcome)
            if show and (text := details(outcome, every=show == "every")):
                click.echo(text)
    click.echo(table(outcomes))


def store(outcome: Outcome) -> None:
    """Put an outcome in the place of an earlier one of the same program, and renew the README's table."""
    latest = {each.case: each for each in [*stored(), outcome]}
    ordered = [latest[name] for name in PROGRAMS if name in latest]
    write(RESULTS, ordered)
    older = sum(each.rules != rules() for each in ordered)
    sizes = f"Measured: {len(ordered)} of {len(PROGRAMS)} programs{with_earlier_rules(older)}."
    write_section(MARKS, f"{sizes}\n\n{table(ordered)}\n\n{harmless(ordered)}")


def stored() -> list[Outcome]:
    """Return the stored outcomes."""
    return [Outcome.from_dict(row) for row in json.loads(RESULTS.read_text())] if RESULTS.exists() else []


if __name__ == "__main__":
    main()
