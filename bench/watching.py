"""Overhead of a monitor: steps of a trainer with and without it, alternating in one process.

    python bench/watching.py [--threads 1] [--rounds 31] [--output bench/results/watching.json]

Both do the same work on the same data, so a ratio above 1 is the monitor's overhead. Quartiles are over the rounds. On
one thread, CPU time counts, which excludes other processes.
"""

import time
import warnings
from functools import partial
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import pynn
from pynn.bench.cases import WORKLOADS
from pynn.bench.contestants.own import trainer_of
from pynn.bench.data import batch
from pynn.bench.timing import in_turns, seconds_per_call
from pynn.utils.json_values import write_json

#: Minimum seconds per block of a contestant.
BLOCK = 0.05
#: Number of alternating trainer pairs.
PAIRS = 4
#: Warm-up steps: the monitor looks at early steps more often than in the long run.
WARM_UP = 1100


def compare(name, rounds, settings, clock):
    """Return the time ratio of a watched step to a plain one (quartiles over the rounds), and the plain time."""
    workload = WORKLOADS[name]
    data = batch(workload)
    ratios, times = [], []
    for pair in range(PAIRS):
        # Memory placement changes the time by a few percent, in favour of the first pair allocated.
        first, second = trainer_of(workload), trainer_of(workload)
        trainer, observed = (first, second) if pair % 2 == 0 else (second, first)
        pynn.Monitor(on_problem="silent", **settings).watch(observed)
        plain, watched = partial(trainer.step, *data), partial(observed.step, *data)
        steps = max(1, round(BLOCK / seconds_per_call(plain, 3, clock)))
        for _ in range(min(WARM_UP, 10 * steps)):
            plain()
            watched()
        for seconds, with_monitor in in_turns(plain, watched, steps, max(2, rounds // PAIRS), clock):
            ratios.append(with_monitor / seconds)
            times.append(seconds)
    low, middle, high = np.percentile(ratios, (25, 50, 75)).tolist()
    return {"ratio": middle, "low": low, "high": high, "step_us": float(np.median(times)) * 1e6}


@click.command()
@click.option("--threads", default=1, show_default=True)
@click.option("--rounds", default=40, show_default=True)
@click.option("--only", default="".join(WORKLOADS), show_default=True, help="Workloads.")
@click.option("--budget", type=float, help="Monitor(budget=...).")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write the figures as JSON.")
def main(threads, rounds, only, budget, output):
    """Measure the overhead of a monitor."""
    warnings.simplefilter("ignore")
    pynn.set_num_threads(threads)
    settings = {} if budget is None else {"budget": budget}
    clock = time.thread_time if threads == 1 else time.perf_counter
    found = {name: compare(name, rounds, settings, clock) for name in only}
    table = Table("", "step", "watched / plain", "quartiles")
    for name, row in found.items():
        quartiles = f"{row['low']:.3f}-{row['high']:.3f}"
        table.add_row(name, f"{row['step_us']:.0f} us", f"{row['ratio']:.3f}", quartiles)
    Console().print(table)
    if output is not None:
        figures = {"threads": threads, "budget": budget, "workloads": found}
        write_json(output, figures)


if __name__ == "__main__":
    main()
