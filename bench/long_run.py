"""Memory and report size of a monitor in a very long run.

    python bench/long_run.py [--steps 1000000] [--output bench/results/long_run.json]

A tiny network is trained by `fit`, with validation after every hundred steps: first a short run without
a monitor, then a long one with it. The memory is the peak of the process minus the peak of the short run; it includes
the trainer's own history.
"""

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

import pynn
from pynn.bench.cases import WORKLOADS
from pynn.bench.contestants.own import network
from pynn.bench.data import batch
from pynn.utils.json_values import write_json

WORKLOAD, BATCHES = WORKLOADS["E"], 100
STATUS = Path("/proc/self/status")


def peak():
    """Return the peak memory of this process in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def train(steps, callbacks):
    """Take `steps` steps on examples of two separable classes."""
    x, _ = batch(WORKLOAD)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCHES * len(x), x.shape[1])).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype(np.int64)
    trainer = pynn.Trainer(network(WORKLOAD), pynn.CrossEntropyLoss(), pynn.Adam(lr=1e-4), seed=0)
    held_out = x[:320], y[:320]
    epochs = max(1, steps // BATCHES)
    trainer.fit(x, y, epochs=epochs, batch_size=WORKLOAD.batch, validation=held_out, callbacks=callbacks)
    return trainer.steps


@click.command()
@click.option("--steps", default=1_000_000, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Where to write the figures as JSON.")
def main(steps, output):
    """Measure the memory of a monitor."""
    warnings.simplefilter("ignore")
    pynn.set_num_threads(1)
    train(10 * BATCHES, [])
    before = peak()
    monitor = pynn.Monitor(on_problem="silent")
    taken = train(steps, [monitor])
    held = peak() - before
    with TemporaryDirectory() as folder:
        page = Path(folder) / "run.html"
        monitor.to_html(page)
        report = page.stat().st_size
    rows = len(monitor.stats.steps)
    megabytes = {"memory_mb": held / 1e6, "record_mb": monitor.stats.nbytes / 1e6, "report_mb": report / 1e6}
    figures = {"steps": taken, "rows": rows} | megabytes
    click.echo(json.dumps(figures, indent=1))
    if output is not None:
        write_json(output, figures)


if __name__ == "__main__":
    main()
