"""Check and train the mutants of ordinary programs, and the healthy programs, and report what was said.

    PYNN_DATA=folder python -m bench.real_faults.run_mutants            # all; renews mutants.json and the README
    PYNN_DATA=folder python -m bench.real_faults.run_mutants --only news --show every

from the project folder. mutants_blind.json holds what the rules said that had never seen them.
"""

from __future__ import annotations

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click

from bench.faults.cases import Run
from bench.faults.version import rules

from .mutants import mutants
from .ordinary import PROGRAMS
from .programs import Program
from .report import compare, details, harmless, with_earlier_rules, write_section
from .run import outcome_of, write
from .run_classics import scored
from .run_unseen import stored
from .score import Outcome

RESULTS, BLIND = (Path(__file__).with_name(f"{name}.json") for name in ("mutants", "mutants_blind"))
MARKS = "<!-- mutants: python -m bench.real_faults.run_mutants -->", "<!-- end of mutants -->"
MUTANTS = {mutant.name: mutant for mutant in mutants()}


def measure(job: tuple[str, float | None]) -> Outcome:
    """Return the outcome of a program or, with the score that its program reaches, of a mutant."""
    name, reachable = job
    tags = [] if reachable is None else list(MUTANTS[name].tags)
    program = Program(name, "", tuple(tags), lambda sick: build(name))
    return outcome_of(name, "all", tags, lambda: build(name), partial(scored, program), reachable)


def build(name: str) -> Run:
    """Return the run of a program or a mutant."""
    if name in PROGRAMS:
        return PROGRAMS[name]().run()
    mutant = MUTANTS[name]
    setup = PROGRAMS[mutant.program]()
    mutant.change(setup)
    return setup.run()


@click.command()
@click.option("--only", multiple=True, help="A program, or part of the names of several mutants.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--resume", is_flag=True, help="Leave out those whose stored results are of the present rules.")
@click.option("--show", type=click.Choice(["wrong", "every"]), help="Show the misjudged ones, or all, with evidence.")
def main(only: tuple[str, ...], jobs: int, resume: bool, show: str | None) -> None:
    """Measure preflight and monitor on mutants of ordinary programs."""
    done = {outcome.case for outcome in stored(RESULTS) if resume and outcome.rules == rules()}
    chosen = [name for name in MUTANTS if (not only or any(text in name for text in only)) and name not in done]
    programs = [name for name in PROGRAMS if name not in done and any(MUTANTS[one].program == name for one in chosen)]
    with ProcessPoolExecutor(jobs) as pool:
        keep(pool.map(measure, [(name, None) for name in programs]), show)
        reachable = {outcome.case: outcome.score for outcome in stored(RESULTS)}
        keep(pool.map(measure, [(name, reachable[MUTANTS[name].program]) for name in chosen]), show)
    click.echo(compare({"latest rules": stored(RESULTS)}))


def keep(outcomes: Iterable[Outcome], show: str | None) -> None:
    """Put outcomes in the place of earlier ones, renew the README's table, and show what was said."""
    for outcome in outcomes:
        latest = {each.case: each for each in [*stored(RESULTS), outcome]}
        write(RESULTS, [latest[name] for name in [*PROGRAMS, *MUTANTS] if name in latest])
        write_readme()
        if show and (text := details(outcome, every=show == "every")):
            click.echo(text)


def write_readme() -> None:
    """Renew the README's table: the blind figures, and those of the latest rules beside them."""
    blind, now = stored(BLIND), stored(RESULTS)
    older = with_earlier_rules(sum(each.rules != rules() for each in now))
    sizes = f"Measured: {sum(not each.healthy for each in now)} of {len(MUTANTS)} mutants{older}."
    missed = [f"`{each.case}`" for each in now if not each.healthy and each.harmed and not each.named]
    table = compare({"blind": blind, "latest rules": now})
    write_section(MARKS, f"{sizes}\n\n{table}\n\n{harmless(now)} Not named: {', '.join(missed) or 'none'}.")


if __name__ == "__main__":
    main()
