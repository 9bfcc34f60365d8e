"""Check and train the faulty programs and loops of `unseen`, and their healthy twins, and report what was said.

    python -m bench.real_faults.run_unseen                      # all; renews unseen.json and the README
    python -m bench.real_faults.run_unseen --only batch --show every

from the project folder, with PyTorch. unseen_blind.json holds what the rules said that had never seen them.
"""

from __future__ import annotations

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

import pynn
from bench.faults.version import rules

from . import plain_training, unseen_data, unseen_networks  # noqa: F401 - add their programs
from .plain import PLAIN
from .plain_torch import PLAIN_LOOPS
from .report import compare, details, harmless, with_earlier_rules, write_section
from .run import findings_of, outcome_of, quiet, write
from .run_classics import scored
from .score import Outcome, in_order
from .unseen import UNSEEN
from .unseen_later import LATER
from .unseen_torch import LOOPS, Loop
from .unseen_torch_later import LATER_LOOPS

RESULTS, BLIND = (Path(__file__).with_name(f"{name}.json") for name in ("unseen", "unseen_blind"))
MARKS = "<!-- unseen: python -m bench.real_faults.run_unseen -->", "<!-- end of unseen -->"
#: The parts in which the programs and loops were written, in this order.
PARTS = {"first": [*UNSEEN, *LOOPS], "second": [*LATER, *LATER_LOOPS], "third": [*PLAIN, *PLAIN_LOOPS]}
PROGRAMS, EVERY_LOOP = UNSEEN | LATER | PLAIN, LOOPS | LATER_LOOPS | PLAIN_LOOPS
#: What follows a program's name in that of its healthy twin.
TWIN = " (healthy)"


def measure(name: str) -> list[Outcome]:
    """Return the outcomes of a program's healthy twin, and of the program."""
    part = next(part for part, names in PARTS.items() if name in names)
    if name in EVERY_LOOP:
        loop = EVERY_LOOP[name]
        twin = loop_outcome(name + TWIN, part, (), lambda: loop.build(False), None)
        return [twin, loop_outcome(name, part, loop.tags, lambda: loop.build(True), twin.score)]
    program = PROGRAMS[name]
    score = partial(scored, program)
    twin = outcome_of(name + TWIN, part, [], lambda: program.build(False), score, None)
    return [twin, outcome_of(name, part, list(program.tags), lambda: program.build(True), score, twin.score)]


def loop_outcome(
    name: str, part: str, tags: tuple[str, ...], build: Callable[[], Loop], reachable: float | None
) -> Outcome:
    """Train a loop under `watch_torch`; `reachable` is the score of its healthy twin, None if it is that itself."""
    torch.set_num_threads(1)
    pynn.set_num_threads(1)
    began = time.perf_counter()
    monitor = pynn.Monitor(on_problem="silent")
    with quiet():
        loop = build()
        x, y, xv, yv = map(torch.from_numpy, loop.split)
        data: dict[str, Any] = {"train": (x, y), "validation": (xv, yv), "epochs": loop.epochs}
        with pynn.watch_torch(loop.model, loop.optimizer, loop.loss, monitor=monitor, **data) as watch:
            ended = loop.train(watch)
        score = round(loop.score(), 4)
    return Outcome(
        case=name,
        part=part,
        tags=list(tags),
        healthy=reachable is None,
        score=score,
        reachable=score if reachable is None else reachable,
        ended=ended,
        steps=int(monitor.stats.steps[-1]),
        said=in_order([], findings_of(monitor)),
        seconds=round(time.perf_counter() - began, 1),
        rules=rules(),
    )


@click.command()
@click.option("--only", multiple=True, help="A program, or part of the names of several.")
@click.option("--part", type=click.Choice(list(PARTS)), help="Only the programs of this part.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--resume", is_flag=True, help="Leave out programs whose stored results are of the present rules.")
@click.option("--show", type=click.Choice(["wrong", "every"]), help="Show the misjudged ones, or all, with evidence.")
def main(only: tuple[str, ...], part: str | None, jobs: int, resume: bool, show: str | None) -> None:
    """Measure preflight, monitor and watch_torch on programs that no rule was written for."""
    there = PARTS[part] if part else [*PROGRAMS, *EVERY_LOOP]
    names = [name for name in there if not only or any(text in name for text in only)]
    if resume:
        done = {outcome.case for outcome in stored(RESULTS) if outcome.rules == rules()}
        names = [name for name in names if name not in done]
    with ProcessPoolExecutor(jobs) as pool:
        for outcomes in pool.map(measure, names):
            store(outcomes)
            for outcome in outcomes:
                if show and (text := details(outcome, every=show == "every")):
                    click.echo(text)
    click.echo(compare({"latest rules": stored(RESULTS)}))


def store(outcomes: list[Outcome]) -> None:
    """Put outcomes in the place of earlier ones of the same programs, and renew the README's table."""
    latest = {each.case: each for each in [*stored(RESULTS), *outcomes]}
    order = [case for name in [*PROGRAMS, *EVERY_LOOP] for case in (name + TWIN, name)]
    write(RESULTS, [latest[case] for case in order if case in latest])
    write_readme()


def write_readme() -> None:
    """Renew the README's table: the blind figures, and those of the latest rules beside them."""
    blind, now = stored(BLIND), stored(RESULTS)
    columns = {f"blind, {part} part": [each for each in blind if each.part == part] for part in PARTS}
    latest = now or blind
    older = with_earlier_rules(sum(each.rules != rules() for each in latest if not each.healthy))
    sizes = (
        f"Measured: {sum(not each.healthy for each in latest)} of {len(PROGRAMS) + len(EVERY_LOOP)} programs{older}."
    )
    missed = [f"`{each.case}`" for each in latest if not each.healthy and each.harmed and not each.named]
    table = compare(columns | {"latest rules": latest})
    write_section(MARKS, f"{sizes}\n\n{table}\n\n{harmless(latest)} Not named: {', '.join(missed) or 'none'}.")


def stored(path: Path) -> list[Outcome]:
    """Return stored outcomes."""
    return [Outcome.from_dict(row) for row in json.loads(path.read_text())] if path.exists() else []


if __name__ == "__main__":
    main()
