"""How many ranks pay: the time of a step from that of one rank, and from a network's bandwidth and latency.

    python -m bench.ranks.model --output bench/ranks/compute.json      # measure one rank, on an idle machine
    python -m bench.ranks.model --known bench/ranks/compute.json       # the table

A step of N ranks, one on each host, takes as long as one rank's step of the Nth part of the batch (optimiser included),
plus the exchange: 2 (N - 1) / N of the gradients' bytes at the bandwidth, and the latency of its messages, log2 N for
each gather (the figures of the step, two for each batch norm) and 2 log2 N for the sum. Exchanges that overlap with the
backward pass are counted in full, so the model is pessimistic.
"""

import json
import math
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.ranks.run import timed
from pynn.bench import results
from pynn.bench.cases import WORKLOADS
from pynn.utils.json_values import write_json

RANKS = (1, 2, 4, 8, 16)
#: Name, bytes per second and seconds of latency, as of TCP between two hosts.
NETWORKS = (("1 Gbit/s", 1e9 / 8, 50e-6), ("10 Gbit/s", 10e9 / 8, 30e-6), ("100 Gbit/s", 100e9 / 8, 10e-6))


def exchange_seconds(parameters, norms, ranks, bandwidth, latency):
    """Return how long the ranks take to exchange what a step of float32 needs."""
    if ranks == 1:
        return 0.0
    messages = (1 + 2 * norms + 2) * math.ceil(math.log2(ranks))
    return 2 * (ranks - 1) / ranks * 4 * parameters / bandwidth + messages * latency


def speed_ups(compute, parameters, norms, bandwidth, latency):
    """Return how many times faster than one rank each number of ranks is, given the seconds of each part of a batch."""
    seconds = {n: compute[n] + exchange_seconds(parameters, norms, n, bandwidth, latency) for n in compute}
    return {n: seconds[1] / each for n, each in seconds.items()}


def best(figures):
    """Return a row for each workload: its name, and for each network the best number of ranks and its speed-up."""
    rows = []
    for name, parts in figures.items():
        compute = {int(n): each for n, each in parts.items()}
        row = [name]
        for _, bandwidth, latency in NETWORKS:
            gains = speed_ups(compute, WORKLOADS[name].parameters, norms_of(name), bandwidth, latency)
            most = max(gains, key=gains.get)
            row.append(f"{most}: {gains[most]:.1f}")
        rows.append(row)
    return rows


def norms_of(name):
    """Return the number of a workload's batch norms."""
    return WORKLOADS[name].batchnorm * (len(WORKLOADS[name].stages) - 1)


def measured(seconds):
    """Return the seconds of one rank's step of the Nth part of each workload's batch."""
    parts = {}
    for name, workload in WORKLOADS.items():
        sizes = {n: workload.batch // n for n in RANKS if workload.batch // n >= 2}
        parts[name] = {n: timed("pynn", name, size, 1, seconds)["seconds"] for n, size in sizes.items()}
    return parts


@click.command()
@click.option("--known", type=click.Path(path_type=Path, exists=True), help="Figures of an earlier --output.")
@click.option("--seconds", default=0.5, show_default=True, help="Of each measurement.")
@click.option("--output", type=click.Path(path_type=Path))
def main(known, seconds, output):
    """Print how many ranks are best for each workload and network, and how much faster they are than one."""
    figures = json.loads(known.read_text())["compute"] if known is not None else measured(seconds)
    table = Table("", *(name for name, _, _ in NETWORKS), title="best number of ranks, and speed-up")
    for row in best(figures):
        table.add_row(*row)
    Console().print(table)
    if output is not None:
        content = {"setting": results.setting(), "compute": figures}
        write_json(output, content)


if __name__ == "__main__":
    main()
