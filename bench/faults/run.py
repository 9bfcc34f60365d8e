"""Train every case of the corpus under the monitor, and report how often it was right.

    PYNN_DATA=folder python -m bench.faults.run --part tune --show wrong   # while choosing thresholds
    PYNN_DATA=folder python -m bench.faults.run                            # all; writes bench/faults/results.json
    PYNN_DATA=folder python -m bench.faults.run --resume runs.jsonl        # the same, in parts: it can be cut off
    python -m bench.faults.run --only rate_3x --seeds 0-2 --show every

from the project folder. Without PYNN_DATA, the cases on MNIST and CIFAR-10 are skipped with a message.
"""

from __future__ import annotations

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import datetime
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

import pynn
from pynn.utils.files import write_atomically
from pynn.utils.json_values import write_json

from .cases import SEEDS, part
from .corpus import CASES
from .data import available
from .report import details, figures, in_words
from .score import Outcome
from .training import has_monitor, has_preflight, measure
from .version import rules

RESULTS = Path(__file__).with_name("results.json")
SUMMARY = Path(__file__).with_name("summary.json")


def work(name: str, seed: int, watch: bool, before: bool) -> Outcome:
    """Measure one case in its own process."""
    pynn.set_num_threads(1)
    return measure(CASES[name], seed, watch=watch, before=before)


def run(
    tasks: list[tuple[str, int]], jobs: int, watch: bool, before: bool, journal: Path | None = None
) -> list[Outcome]:
    """Return the outcomes of runs, in the order of `tasks`.

    With a `journal`, runs that it holds are taken from there, and others are added as soon as they end.
    """
    outcomes = {} if journal is None else stored(journal)
    if journal is not None:  # without older runs, and without a line that was cut off
        write_atomically(journal, "".join(map(_line, outcomes.values())).encode())
    left = [task for task in tasks if task not in outcomes]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, name, seed, watch, before) for name, seed in left]
        console = Console(stderr=True)
        for future in track(
            as_completed(futures), "training", len(futures), console=console, disable=not console.is_terminal
        ):
            outcome = future.result()
            outcomes[outcome.case, outcome.seed] = outcome
            if journal is not None:
                with journal.open("a") as file:
                    file.write(_line(outcome))
    return [outcomes[task] for task in tasks]


def _line(outcome: Outcome) -> str:
    return json.dumps(outcome.as_dict()) + "\n"


def stored(journal: Path) -> dict[tuple[str, int], Outcome]:
    """Return the outcomes in a journal that are of the present rules, by case and seed."""
    lines = journal.read_text().splitlines(keepends=True) if journal.exists() else []
    whole = [Outcome.from_dict(json.loads(line)) for line in lines if line.endswith("\n")]
    return {(each.case, each.seed): each for each in whole if each.rules == rules()}


def parse_seeds(text: str) -> list[int]:
    """Return the numbers of "0-4" or "1,3"."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if last else [int(seed) for seed in text.split(",")]


@click.command()
@click.option("--seeds", default=f"{SEEDS.start}-{SEEDS.stop - 1}", show_default=True, help='"0-4" or "1,3".')
@click.option("--only", multiple=True, help="A case, or part of the names of several.")
@click.option("--part", "only_part", type=click.Choice(["tune", "report", "all"]), default="all", show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--no-preflight", is_flag=True, help="Skip the preflight checks.")
@click.option("--no-monitor", is_flag=True, help="Only train: are the faults sick, and the controls healthy?")
@click.option("--show", type=click.Choice(["wrong", "every"]), help="Show the misjudged cases, or all, with evidence.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="A journal: runs are added as they end, and those that it has of the present rules are not repeated.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Output file; for a complete run, results.json next to this script.",
)
def main(
    seeds: str,
    only: tuple[str, ...],
    only_part: str,
    jobs: int,
    no_preflight: bool,
    no_monitor: bool,
    show: str | None,
    resume: Path | None,
    output: Path | None,
) -> None:
    """Measure the monitor on runs with known faults and on healthy runs that look odd."""
    chosen = [name for name in CASES if not only or name in only or any(text in name for text in only)]
    names = [name for name in chosen if available(CASES[name].data)]
    if len(names) < len(chosen):
        click.echo(
            f"PYNN_DATA is not set: {len(chosen) - len(names)} cases on MNIST and CIFAR-10 are skipped", err=True
        )
    watch, before = not no_monitor and has_monitor(), not no_preflight and has_preflight()
    tasks = [(n, s) for n in names for s in parse_seeds(seeds) if only_part in ("all", part(CASES[n].data, s))]
    outcomes = run(tasks, jobs, watch, before, resume)
    console = Console(width=150)
    if show or not watch:
        console.print(details(outcomes, CASES, every=show == "every"), soft_wrap=True, highlight=False, markup=False)
    for table in figures(outcomes):
        console.print(table)
    if output is None and not only and only_part == "all" and parse_seeds(seeds) == list(SEEDS):
        output = RESULTS
    if output is not None:
        rows = [outcome.as_dict() for outcome in outcomes]
        write_atomically(output, ("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n").encode())
        if output == RESULTS:
            measured = {"measured": datetime.date.today().isoformat(), "rules": rules()}
            write_json(SUMMARY, measured | in_words(outcomes))


if __name__ == "__main__":
    main()
