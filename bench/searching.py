"""Gain and overhead of searching; every part writes its figures to one JSON file.

    PYNN_DATA=folder python bench/searching.py coarse       # coarse to fine with early endings, against plain random
    PYNN_DATA=folder python bench/searching.py grid         # random against grid, equal budgets
    PYNN_DATA=folder python bench/searching.py parallel     # two processes against one; needs two idle processors
    python bench/searching.py kill                          # the driver killed 20 times, and the surviving trials
    python bench/searching.py overhead                      # overhead of a trial besides its training

The first two count steps as well as seconds: steps are the same on every machine.
"""

import json
import math
import os
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np

import pynn
from pynn import search
from pynn.utils.json_values import write_json

sys.path.append(str(Path(__file__).parents[1]))

from bench import killed_search  # the folder is not an installed package
from bench.killed_search import NOTES, build_noted, comparable, search_noted

OUTPUT = Path(__file__).parent / "results" / "searching.json"
REPETITIONS = 10


def load():
    """Return the figures in the file."""
    return json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}


def save(name, figures):
    """Store the figures of a part in the file, and print them."""
    found = load()
    found[name] = figures
    write_json(OUTPUT, found)
    print(json.dumps({key: value for key, value in figures.items() if key != "runs"}, indent=1))


def mnist(seed, train=2000, validation=2000):
    """Return random training and validation parts of MNIST, and the test set."""
    (x, y), (x_test, y_test) = pynn.datasets.load_mnist()
    rows = np.random.default_rng(seed).permutation(len(x))[: train + validation]
    x = x[rows].reshape(len(rows), -1).astype(np.float32) / 255
    x_test = x_test.reshape(len(x_test), -1).astype(np.float32) / 255
    return (x[:train], y[rows[:train]]), (x[train:], y[rows[train:]]), (x_test, y_test)


def digits(seed=0):
    """Return the digits, with a fifth for validation."""
    x, y = pynn.datasets.load_digits()
    x_train, x_validation, y_train, y_validation = pynn.datasets.train_test_split(x / 16, y, 0.2, seed)
    return (x_train, y_train), (x_validation, y_validation)


# Coarse to fine.

WIDE = {
    "lr": search.LogUniform(1e-5, 10.0),
    "weight_decay": search.LogUniform(1e-6, 10.0),
    "momentum": search.Uniform(0.0, 0.99),
    "width": search.Integer(16, 256, log=True),
}
#: Epochs of the longest trials, and of all trials of a plain search.
EPOCHS, TRIALS = 18, 30


def build_wide(params, inputs=64):
    """Return a trainer of a network with one hidden layer, for the given parameters."""
    width = params["width"]
    model = pynn.Sequential(pynn.Linear(inputs, width, init="he_normal"), pynn.ReLU(), pynn.Linear(width, 10))
    optimizer = pynn.SGD(params["lr"], momentum=params["momentum"], weight_decay=params["weight_decay"])
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer)


def build_pixels(params):
    """Return the same for MNIST."""
    return build_wide(params, 784)


#: Per problem: build function, data of a repetition, target validation accuracies, number of repetitions.
PROBLEMS = {
    "UCI digits": (build_wide, digits, (0.97, 0.975, 0.98), 60),
    "2000 images of MNIST": (build_pixels, lambda seed: mnist(seed)[:2], (0.90, 0.91, 0.92), 60),
    "10000 images of MNIST": (build_pixels, lambda seed: mnist(seed, 10_000)[:2], (0.95, 0.96, 0.965), 20),
}


def passages(problem, settings, data, seed):
    """Run a search; return steps and seconds to each target (or of the whole search), and whether it was reached."""
    build, _, targets, _ = PROBLEMS[problem]
    result = search.run(build, WIDE, *data, workers=1, seed=seed, **settings)
    done = {trial.number: trial.steps for trial in result.trials}
    found = {}
    for target in targets:
        steps = seconds = 0.0
        reached = False
        for trial in result.trials:
            steps += trial.steps - done.get(trial.continues, 0)
            seconds += trial.seconds
            reached = trial.score >= target
            if reached:
                break
        found[str(target)] = {"steps": steps, "seconds": seconds, "reached": reached}
    return found


def times_less(runs, name, target, unit, draws=2000):
    """Return the cost ratio of plain random search to a strategy, with a 95% bootstrap interval.

    The expected cost, with a restart after each failed search, is the sum over all searches divided by the number of
    successful ones.
    """
    table = np.array(
        [[[run[n][target][unit], run[n][target]["reached"]] for n in ("plain random", name)] for run in runs], float
    )

    def ratio(rows):
        need, reached = rows.sum(axis=0).T
        return float(need[0] / reached[0] / (need[1] / reached[1])) if reached.all() else math.nan

    rng = np.random.default_rng(0)
    drawn = [ratio(table[rng.integers(0, len(table), len(table))]) for _ in range(draws)]
    low, high = np.nanpercentile(drawn, (2.5, 97.5)).tolist()
    return {"times less": ratio(table), "low": low, "high": high, "reached": table[:, :, 1].sum(axis=0).tolist()}


STRATEGIES = {
    "plain random": {"trials": TRIALS, "epochs": EPOCHS, "end_early": False},
    "random, hopeless trials end early": {"trials": TRIALS, "epochs": EPOCHS},
    "coarse to fine": {"stages": search.coarse_to_fine(TRIALS, EPOCHS), "end_early": False},
    "coarse to fine, hopeless trials end early": {"stages": search.coarse_to_fine(TRIALS, EPOCHS)},
}


@click.group()
def main():
    """Measure the gain and overhead of searching."""
    warnings.simplefilter("ignore", search.SearchWarning)


def repetition(problem, seed):
    """Run all strategies on the data of a seed, in a separate process."""
    warnings.simplefilter("ignore", search.SearchWarning)
    pynn.set_num_threads(1)
    data = PROBLEMS[problem][1](seed)
    return {name: passages(problem, settings, data, seed) for name, settings in STRATEGIES.items()}


@main.command()
@click.option("--only", type=click.Choice(list(PROBLEMS)), multiple=True, help="Figures of the others are kept.")
def coarse(only):
    """Measure the cost of reaching an accuracy, with one repetition per processor at a time."""
    figures = load().get("coarse", {})
    summary, runs = figures.get("summary", {}), figures.get("runs", {})
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for problem in only or PROBLEMS:
            *_, targets, repetitions = PROBLEMS[problem]
            found = runs[problem] = list(pool.map(repetition, [problem] * repetitions, range(repetitions)))
            print(f"{problem}: {repetitions} repetitions", flush=True)
            summary[problem] = {
                str(target): {
                    name: {unit: times_less(found, name, str(target), unit) for unit in ("steps", "seconds")}
                    for name in list(STRATEGIES)[1:]
                }
                for target in targets
            }
    save("coarse", {"summary": summary, "trials": TRIALS, "epochs": EPOCHS, "runs": runs})


# Random against grid.

#: Trials of each search; a grid of five parameters has 3 x 3 x 2 x 2 x 2.
BUDGET, SHORT = 72, 4


def shifted(seed):
    """Return a space whose important ranges shift slightly per repetition, so a grid may hit or miss."""
    shift = np.random.default_rng(seed).uniform(-0.5, 0.5, 2)
    return {
        "lr": search.LogUniform(10.0 ** (-5 + shift[0]), 10.0 ** (1 + shift[0])),
        "weight_decay": search.LogUniform(10.0 ** (-6 + shift[1]), 10.0 ** (0 + shift[1])),
        "slope": search.Uniform(0.0, 0.1),
        "width": search.Integer(90, 110),
        "smoothing": search.Uniform(0.0, 0.02),
    }


def build_flat(params):
    """Return a trainer for which slope, width and label smoothing hardly matter in their ranges."""
    width = params["width"]
    model = pynn.Sequential(
        pynn.Linear(784, width, init="he_normal"), pynn.LeakyReLU(params["slope"]), pynn.Linear(width, 10)
    )
    loss = pynn.CrossEntropyLoss(label_smoothing=params["smoothing"])
    return pynn.Trainer(model, loss, pynn.SGD(params["lr"], weight_decay=params["weight_decay"]))


def both_samplers(seed):
    """Return the figures of a random and of a grid search on the same data."""
    train, validation, test = mnist(seed)
    results = {
        sampler: search.run(
            build_flat, shifted(seed), train, validation,
            trials=BUDGET, epochs=SHORT, sampler=sampler, seed=seed, workers=1, end_early=False,
        )
        for sampler in ("random", "grid")
    }  # fmt: skip
    best = max(result.best.score for result in results.values())
    return {
        sampler: {
            "trials": len(result.trials),
            "validation": result.best.score,
            "test": result.best_trainer().evaluate(*test)["accuracy"],
            "within one percent of the best": sum(trial.score >= best - 0.01 for trial in result.ranked),
            "importance": result.importance(),
        }
        for sampler, result in results.items()
    }


@main.command("grid")
@click.option("--repetitions", default=REPETITIONS)
def grid_command(repetitions):
    """Compare random and grid search with equal budgets."""
    runs = []
    for seed in range(repetitions):
        found = both_samplers(seed)
        runs.append(found)
        print(seed, {name: (f["validation"], f["test"]) for name, f in found.items()}, flush=True)
    gains = {part: [run["random"][part] - run["grid"][part] for run in runs] for part in ("validation", "test")}
    names = runs[0]["random"]["importance"]
    save(
        "grid",
        {
            "trials": BUDGET,
            "random": {part: float(np.mean([run["random"][part] for run in runs])) for part in gains},
            "grid": {part: float(np.mean([run["grid"][part] for run in runs])) for part in gains},
            "gain": {part: float(np.mean(values)) for part, values in gains.items()},
            "standard error": {part: float(np.std(v, ddof=1) / math.sqrt(len(v))) for part, v in gains.items()},
            "random better": {part: sum(value > 0 for value in values) for part, values in gains.items()},
            "repetitions": repetitions,
            "importance": {name: float(np.mean([run["random"]["importance"][name] for run in runs])) for name in names},
            "runs": runs,
        },
    )  # fmt: skip


# Two processes.


@main.command()
@click.option("--rounds", default=3)
def parallel(rounds):
    """Measure the parallel efficiency of two processes, T1 / (2 T2), including their start.

    Both must give the same trials, bit for bit.
    """
    *data, _ = mnist(0, 4000)
    pynn.set_num_threads(1)
    efficiencies, times, same = [], [], []
    for seed in range(rounds):
        seconds, records = {}, {}
        for workers in (1, 2):
            began = time.perf_counter()
            result = search.run(
                build_pixels, WIDE, *data, trials=48, epochs=20, seed=seed, workers=workers, end_early=False
            )
            seconds[workers] = time.perf_counter() - began
            records[workers] = [comparable(trial) for trial in result.trials]
        same += [one == two for one, two in zip(*records.values(), strict=True)]
        efficiencies.append(seconds[1] / (2 * seconds[2]))
        times.append(seconds)
        print(seconds, efficiencies[-1], flush=True)
    figures = {"efficiency": float(np.median(efficiencies)), "rounds": efficiencies, "seconds": times}
    save("parallel", figures | {"trials": len(same), "the same in one process and in two": sum(same)})


# The driver killed: see killed_search.py.


@main.command(hidden=True)
@click.argument("folder")
def driven(folder):
    """Search; to be killed."""
    search_noted(folder, digits())


@main.command()
@click.option("--kills", default=20)
@click.option("--seed", default=0)
def kill(kills, seed):
    """Kill the driver at random moments; count finished trials that are lost or run again."""
    save("kill", killed_search.figures(kills, seed, [sys.executable, __file__, "driven"], digits()))


# Overhead.


@main.command()
@click.option("--trials", default=100)
def overhead(trials):
    """Measure the overhead per trial besides its epochs, with a folder: in this process, and in another one."""
    found = {}
    data = digits()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[NOTES] = str(Path(scratch) / "notes")
        space = {"lr": search.LogUniform(1e-3, 1.0), "weight_decay": search.LogUniform(1e-6, 1e-2)}
        for name, size in (("here", None), ("in another process", 1)):
            pool = None if size is None else ProcessPoolExecutor(size)
            if pool is not None:
                search.run(build_noted, space, *data, trials=2, epochs=1, workers=1, executor=pool)  # starts it
            began = time.perf_counter()
            result = search.run(
                build_noted, space, *data, trials=trials, epochs=5, workers=1, executor=pool,
                folder=Path(scratch) / name, end_early=False,
            )  # fmt: skip
            wall = time.perf_counter() - began
            trained = sum(sum(trial.history["seconds"]) for trial in result.trials)
            found[name] = {"ms": 1000 * (wall - trained) / trials, "training ms": 1000 * trained / trials}
            if pool is not None:
                pool.shutdown()
    save("overhead", {"trials": trials} | found)


if __name__ == "__main__":
    main()
