"""Write the tables of README.md from the results: ``python -m bench.ranks.report``."""

import json
import statistics
from pathlib import Path

from bench.ranks.model import NETWORKS, best, norms_of, speed_ups

FOLDER = Path(__file__).parent
README, RESULTS, COMPUTE = (FOLDER / name for name in ("README.md", "results.json", "compute.json"))
BEGIN, END = "<!-- figures: bench/ranks/report.py -->\n", "<!-- end of figures -->"
#: The rate of the network that results are of.
RATE = "1 Gbit/s"


def measured(results, compute):
    """Return what was measured, with the model's forecast of what crossed the network."""
    rows = [["workload", "", "1 rank, ms", "2 ranks, ms", "speed-up", "forecast", "MB sent per step"]]
    for name, figures in results.items():
        workload, _, network = name.partition(", ")
        for kind, times in figures["kinds"].items():
            one, two = (f"{1e3 * statistics.median(times[ranks]):.2f}" for ranks in ("1", "2"))
            known = network and kind == "pynn" and workload in compute
            forecast = f"{forecast_of(workload, figures, compute):.2f}" if known else ""
            sent = f"{times['sent'] / 1e6:.2f}" if network else ""
            place = f"{workload}, {RATE}" if network else workload
            rows.append([place, kind, one, two, f"{times['speed-up']:.2f}", forecast, sent])
    return rows


def forecast_of(workload, figures, compute):
    """Return the model's speed-up of two ranks on the network of the results."""
    parts = {int(n): seconds for n, seconds in compute[workload].items() if int(n) <= 2}
    bandwidth, latency = next(rest for name, *rest in NETWORKS if name == RATE)
    return speed_ups(parts, figures["parameters"], norms_of(workload), bandwidth, latency)[2]


def markdown(rows):
    """Return rows, the first of which is the head, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def main():
    """Replace the tables."""
    results, compute = json.loads(RESULTS.read_text()), json.loads(COMPUTE.read_text())["compute"]
    results.pop("setting")
    head = ["workload", *(name for name, _, _ in NETWORKS)]
    tables = f"{markdown(measured(results, compute))}\n{markdown([head, *best(compute)])}"
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f"{before}{BEGIN}{tables}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
