"""Test accuracy in the three precisions of matrix products, beside training without matrix units.

    PYNN_DATA=folder python bench/precision.py --output bench/results/precision.json

Each network is trained with the same seeds in all: weights, order and dropout are the same. Needs a processor with
matrix units; prints the table of docs/matmul.md.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
from scipy import stats

import pynn
from pynn.backends.selection import instruction_set
from pynn.bench import results
from pynn.utils.json_values import write_json

#: Name: instruction set, precision.
KINDS = {
    "without the units": ("x86-64-v4", "highest"),
    '"highest"': ("x86-64-v4-amx", "highest"),
    '"high"': ("x86-64-v4-amx", "high"),
    '"medium"': ("x86-64-v4-amx", "medium"),
}
LOADERS = {"MNIST": pynn.datasets.load_mnist, "CIFAR-10": pynn.datasets.load_cifar10}
EPOCHS, BATCH = 10, 256
WIDTH = 512


def accuracy(name, precision, seed):
    """Return the test accuracy of a network with two hidden layers after EPOCHS epochs."""
    (x, y), (x_test, y_test) = LOADERS[name]()
    x, x_test = (images.reshape(len(images), -1).astype(np.float32) / 255 for images in (x, x_test))
    mean = x.mean(axis=0)
    pynn.manual_seed(seed)
    layers = []
    for inputs in (x.shape[1], WIDTH):
        layers += [pynn.Linear(inputs, WIDTH), pynn.BatchNorm1d(WIDTH), pynn.ReLU(), pynn.Dropout(0.3)]
    model = pynn.Sequential(*layers, pynn.Linear(WIDTH, 10))
    schedule = pynn.CosineAnnealingLR(EPOCHS)
    trainer = pynn.Trainer(
        model, pynn.CrossEntropyLoss(), pynn.Adam(1e-3), schedule=schedule, seed=seed, matmul_precision=precision
    )
    trainer.fit(x - mean, y, epochs=EPOCHS, batch_size=BATCH)
    return trainer.evaluate(x_test - mean, y_test)["accuracy"]


def measured(name, kind, seed):
    """Return the accuracy, measured in a process that has the instruction set of its kind."""
    isa, precision = KINDS[kind]
    command = [sys.executable, __file__, "--one", name, precision, str(seed)]
    done = subprocess.run(command, env=os.environ | {"PYNN_ISA": isa}, stdout=subprocess.PIPE, text=True, check=True)
    found, used = json.loads(done.stdout)
    if used != isa:
        raise click.ClickException(f"this machine runs {used}; expected {isa}, which has matrix units")
    return found


def interval(values):
    """Return mean and 95% interval of a mean over seeds, as text, in percent."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{100 * np.mean(values):.2f} [{100 * (np.mean(values) - half):.2f}, {100 * (np.mean(values) + half):.2f}]"


def table(found):
    """Return the accuracies as a Markdown table."""
    lines = ["| data | products | accuracy, % | minus that without the units |", "|---|---|---:|---:|"]
    for name, kinds in found.items():
        plain = np.array(kinds["without the units"])
        for kind, values in kinds.items():
            difference = interval(np.array(values) - plain) if kind != "without the units" else ""
            lines.append(f"| {name} | {kind} | {interval(values)} | {difference} |")
    return "\n".join(lines)


@click.command()
@click.option("--seeds", default=5, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Where to write the accuracies as JSON.")
@click.option("--one", type=(click.Choice(list(LOADERS)), str, int), help="Data, precision, seed: print one accuracy.")
def main(seeds, output, one):
    """Measure the accuracies and print the table."""
    if one:
        click.echo(json.dumps([accuracy(*one), instruction_set()]))
        return
    found = {name: {kind: [] for kind in KINDS} for name in LOADERS}
    for seed in range(seeds):
        for name in LOADERS:
            for kind in KINDS:
                found[name][kind].append(measured(name, kind, seed))
    if output is not None:
        write_json(output, {"setting": results.setting(), "accuracy": found})
    click.echo(table(found))


if __name__ == "__main__":
    main()
