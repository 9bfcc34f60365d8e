"""Train every case of the corpus under the monitor, and report how often it was right.

    PYNN_DATA=folder python -m bench.faults.run --part tune --show wrong   # while choosing thresholds
    PYNN_DATA=folder python -m bench.faults.run                            # all; writes bench/faults/results.json
    python -m bench.faults.run --only rate_3x --seeds 0-2 --show every

from the project folder. Without PYNN_DATA, the cases on MNIST and CIFAR-10 are skipped with a message.
"""

from __future__ import annotations

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

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

RESULTS = Path(__file__).with_name("results.json")
SUMMARY = Path(__file__).with_name("summary.json")


def work(name: str, seed: int, watch: bool, before: bool) -> Outcome:
    """Measure one case in its own process."""
    pynn.set_num_threads(1)
    return measure(CASES[name], seed, watch=watch, before=before)


def run(names: list[str], seeds: list[int], only_part: str, jobs: int, watch: bool, before: bool) -> list[Outcome]:
    """Return the outcomes of all runs, in corpus order."""
    tasks = [(n, s) for n in names for s in seeds if only_part in ("all", part(CASES[n].data, s))]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, name, seed, watch, before) for name, seed in tasks]
        console = Console(stderr=True)
        for _ in track(
            as_completed(futures), "training", len(futures), console=console, disable=not console.is_terminal
        ):
            pass
        return [future.result() for future in futures]


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
    outcomes = run(names, parse_seeds(seeds), only_part, jobs, watch, before)
    console = Console(width=150)
    if show or not watch:
        console.print(details(outcomes, CASES, every=show == "every"), soft_wrap=True, highlight=False, markup=False)
    for table in figures(outcomes):
        console.print(table)
    if output is None and not only and only_part == "all":
        output = RESULTS
    if output is not None:
        rows = [outcome.as_dict() for outcome in outcomes]
        write_atomically(output, ("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n").encode())
        if output == RESULTS:
            write_json(SUMMARY, in_words(outcomes))


if __name__ == "__main__":
    main()
