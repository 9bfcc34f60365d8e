"""Peak memory of a training step: the growth of its process since before the network was created.

    python bench/memory.py [--only G] [--threads 1] [--output bench/results/memory.json]

Before, each process takes steps of the smallest workload, so that a library's code and pools do not count. Contestants
without such a step are skipped. Reports the median of several processes. Needs Linux.
"""

import statistics
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from pynn.bench import results
from pynn.bench.cases import WORKLOADS, Case
from pynn.bench.comparison import Remote
from pynn.bench.contestants import CONTESTANTS
from pynn.utils.json_values import write_json

SMALLEST, PROCESSES = "E", 3


def growth(contestant, workload, threads):
    """Return the peak bytes of a step in a new process, or None if the contestant has no such step."""
    remote = Remote(contestant, threads)
    try:
        if remote.ask(prepare=Case("step", SMALLEST)) is None:
            return None
        return remote.ask(memory=Case("step", workload))
    finally:
        remote.close()


@click.command()
@click.option("--threads", default=1, show_default=True)
@click.option("--only", default="G", show_default=True, help="Workloads.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write the figures as JSON.")
def main(threads, only, output):
    """Measure the peak memory of training steps."""
    installed = [name for name in CONTESTANTS if CONTESTANTS[name].installed()]
    found = {}
    for workload in only:
        if workload not in WORKLOADS:
            raise click.BadParameter(f"unknown {workload!r}; expected one or more of {''.join(WORKLOADS)}")
        peaks = {name: [growth(name, workload, threads) for _ in range(PROCESSES)] for name in installed}
        found[workload] = {name: statistics.median(sizes) for name, sizes in peaks.items() if None not in sizes}
    for workload, sizes in found.items():
        table = Table("", "MB at the peak", title=f"{workload}, {threads} thread{'s' * (threads > 1)}")
        for name, size in sizes.items():
            table.add_row(CONTESTANTS[name].title, f"{size / 1e6:.0f}")
        Console().print(table)
    if output is not None:
        figures = {"threads": threads, "setting": results.setting(), "bytes": found}
        write_json(output, figures)


if __name__ == "__main__":
    main()
