"""`pynn.watch_torch`: its verdicts beside the monitor's own, and what it costs a step beside other libraries' watching.

    PYNN_DATA=folder python -m bench.watching_torch verdicts --output bench/results/watching_torch_verdicts.json
    python -m bench.watching_torch cost --output bench/results/watching_torch_cost.json

from the project folder, with PyTorch. The verdicts are those of cases of the fault corpus: pynn trains the network
under its monitor, and PyTorch trains the same one, from the same weights on the same minibatches, under `watch_torch`.
"""

import os

# One thread per process, also in NumPy's BLAS; set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import warnings
from pathlib import Path

import click
import numpy as np
import torch

import pynn
from pynn.utils.json_values import write_json

from .faults.cases import Fault
from .faults.corpus import CASES
from .faults.data import available
from .faults.training import train

#: Number of cases, and their seed: one of those that no threshold was tuned on.
CASES_COMPARED, SEED = 40, 5

LOSSES = {
    pynn.CrossEntropyLoss: lambda loss: torch.nn.CrossEntropyLoss(
        None if loss.weight is None else torch.tensor(loss.weight),
        label_smoothing=loss.label_smoothing,
        reduction=loss.reduction,
    ),
    pynn.BCEWithLogitsLoss: lambda loss: torch.nn.BCEWithLogitsLoss(reduction=loss.reduction),
    pynn.MSELoss: lambda loss: torch.nn.MSELoss(reduction=loss.reduction),
}
OPTIMIZERS = {
    pynn.SGD: (torch.optim.SGD, ("lr", "momentum", "weight_decay", "nesterov")),
    pynn.Adam: (torch.optim.Adam, ("lr", "betas", "eps", "weight_decay")),
    pynn.AdamW: (torch.optim.AdamW, ("lr", "betas", "eps", "weight_decay")),
    pynn.RMSprop: (torch.optim.RMSprop, ("lr", "alpha", "eps", "weight_decay", "momentum")),
    pynn.Adagrad: (torch.optim.Adagrad, ("lr", "lr_decay", "eps", "weight_decay")),
}


def built(name):
    """Return a run of a case, faulty if it can be."""
    case = CASES[name]
    return case.build(SEED, True) if isinstance(case, Fault) else case.build(SEED)


def in_torch(run):
    """Return network, loss and optimiser of a run as PyTorch's; None if PyTorch lacks a part, or a callback acts."""
    trainer = run.trainer
    plain = not run.callbacks and not trainer.regularizers and trainer.schedule is None
    if not plain or trainer.clip_norm or trainer.clip_value or type(trainer.loss) not in LOSSES:
        return None
    try:
        module = pynn.to_torch(trainer.model).train()
    except ValueError:
        return None
    kind, names = OPTIMIZERS[type(trainer.optimizer)]
    settings = {name: getattr(trainer.optimizer, name) for name in names}
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return module, LOSSES[type(trainer.loss)](trainer.loss), kind(trained, **settings)


def minibatches(run, epoch):
    """Yield the minibatches of an epoch as `Trainer.fit` makes them."""
    order = np.arange(len(run.x))
    if run.shuffle:
        order = np.random.default_rng([run.trainer.seed, epoch]).permutation(len(run.x))
    for start in range(0, len(order), run.batch_size):
        rows = order[start : start + run.batch_size]
        yield run.x[rows], run.y[rows]


def verdict_in_torch(run, parts, monitor):
    """Train a run in PyTorch under `watch_torch`; return the verdict."""
    module, loss, optimizer = parts
    dtype, model_loss = run.trainer.model.dtype, run.trainer.loss

    def tensors(x, y):
        target = model_loss.as_target(y, dtype)
        return torch.from_numpy(np.ascontiguousarray(x, dtype)), torch.from_numpy(target)

    data = {"train": tensors(run.x, run.y), "validation": tensors(*run.validation), "epochs": run.epochs}
    by_hand = run.feed is not None
    rng, step = np.random.default_rng(run.trainer.seed), 0
    with pynn.watch_torch(module, optimizer, loss, monitor=monitor, **({} if by_hand else data)) as watch:
        for epoch in range(run.epochs):
            batches = minibatches(run, epoch)
            if by_hand:
                order = rng.permutation(len(run.x))
                starts = range(0, len(order) - run.batch_size + 1, run.batch_size)
                rows = (order[start : start + run.batch_size] for start in starts)
                batches = ((run.x[row], run.y[row]) for row in rows)
            for x, y in batches:
                step += 1
                inputs, target = tensors(*(run.feed(step, x, y) if by_hand else (x, y)))
                optimizer.zero_grad()
                value = loss(module(inputs), target.reshape(len(target), -1) if target.is_floating_point() else target)
                if not torch.isfinite(value):  # where pynn's trainer raises
                    optimizer.step()
                    return watch.verdict
                value.backward()
                optimizer.step()
            if not by_hand:
                watch.epoch()
    return watch.verdict


def compare_verdicts(name, budget):
    """Return the symptoms of a case's verdict by pynn and by `watch_torch`."""
    run = built(name)
    ours = pynn.Monitor(on_problem="silent")
    parts = in_torch(run)
    train(run, ours)
    other = built(name)
    settings = {} if budget is None else {"budget": budget}
    watched = verdict_in_torch(other, parts, pynn.Monitor(on_problem="silent", **settings))
    return {
        "case": name,
        "causes": list(getattr(CASES[name], "causes", [])),
        "pynn": [finding.symptom for finding in ours.verdict],
        "torch": [finding.symptom for finding in watched],
    }


@click.group()
def main():
    """Measure `pynn.watch_torch`."""


@main.command()
@click.option("--only", multiple=True, help="A part of the names of cases.")
@click.option("--budget", type=float, help="Of the monitor in PyTorch; by default it watches every step.")
@click.option("--count", "wanted", default=CASES_COMPARED, show_default=True, help="Cases, spread over the corpus.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write the verdicts as JSON.")
def verdicts(only, budget, wanted, output):
    """Compare the first causes that both find in the corpus's cases."""
    torch.set_num_threads(1)
    pynn.set_num_threads(1)
    warnings.simplefilter("ignore")
    names = [name for name, case in CASES.items() if available(case.data) and in_torch(built(name)) is not None]
    chosen = [names[index] for index in np.linspace(0, len(names) - 1, min(wanted, len(names))).astype(int)]
    if only:
        chosen = [name for name in names if any(text in name for text in only)]
    with np.errstate(all="ignore"):
        found = [compare_verdicts(name, budget) for name in chosen]
    same = [row["pynn"][:1] == row["torch"][:1] for row in found]
    for row, equal in zip(found, same, strict=True):
        click.echo(f"{'  ' if equal else '! '}{row['case']}: {row['pynn']} / {row['torch']}")
    click.echo(f"same first cause in {sum(same)} of {len(same)} cases, of {len(names)} that PyTorch can run")
    if output is not None:
        figures = {"seed": SEED, "budget": budget, "same": sum(same), "cases": found}
        write_json(output, figures)


@main.command()
@click.option("--rounds", default=24, show_default=True)
@click.option("--only", default="BG", show_default=True, help="Workloads.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write the figures as JSON.")
def cost(rounds, only, output):
    """Measure steps under each library's watching, relative to plain ones; other workloads in the output stay."""
    from .torch_peers import compare  # makes PyTorch flush denormals, which is not for the verdicts

    torch.set_num_threads(1)
    pynn.set_num_threads(1)
    warnings.simplefilter("ignore")
    found = json.loads(output.read_text())["workloads"] if output is not None and output.exists() else {}
    for name in only:
        found[name] = {"rounds": rounds, "peers": {}}
        for peer, row in compare(name, rounds):
            click.echo(f"{name}  {peer:34}  {row['ratio']:.3f}  ({row['low']:.3f} to {row['high']:.3f})")
            found[name]["peers"][peer] = row
            if output is not None:  # after each, for the peers take minutes
                write_json(output, {"torch": torch.__version__, "workloads": found})


if __name__ == "__main__":
    main()
