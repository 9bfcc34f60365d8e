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
import random
import signal
import subprocess
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
from pynn.utils.files import write_atomically

OUTPUT = Path(__file__).parent / "results" / "searching.json"
REPETITIONS = 10


def load():
    """Return the figures in the file."""
    return json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}


def save(name, figures):
    """Store the figures of a part in the file, and print them."""
    found = load()
    found[name] = figures
    write_atomically(OUTPUT, (json.dumps(found, indent=1) + "\n").encode())
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


@main.command("grid")
@click.option("--repetitions", default=REPETITIONS)
def grid_command(repetitions):
    """Compare random and grid search with equal budgets."""
    runs = []
    for seed in range(repetitions):
        train, validation, test = mnist(seed)
        found = {}
        for sampler in ("random", "grid"):
            result = search.run(
                build_flat, shifted(seed), train, validation,
                trials=BUDGET, epochs=SHORT, sampler=sampler, seed=seed, workers=1, end_early=False,
            )  # fmt: skip
            held_out = result.best_trainer().evaluate(*test)["accuracy"]
            scores = [trial.score for trial in result.ranked]
            found[sampler] = {
                "trials": len(result.trials),
                "validation": result.best.score,
                "test": held_out,
                "within one percent of the best": 0,
                "scores": scores,
                "importance": result.importance(),
            }
        best = max(found[sampler]["validation"] for sampler in found)
        for sampler in found:
            near = sum(score >= best - 0.01 for score in found[sampler].pop("scores"))
            found[sampler]["within one percent of the best"] = near
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
            records[workers] = [json.dumps(without_time(trial.as_record())) for trial in result.trials]
        same += [one == two for one, two in zip(*records.values(), strict=True)]
        efficiencies.append(seconds[1] / (2 * seconds[2]))
        times.append(seconds)
        print(seconds, efficiencies[-1], flush=True)
    figures = {"efficiency": float(np.median(efficiencies)), "rounds": efficiencies, "seconds": times}
    save("parallel", figures | {"trials": len(same), "the same in one process and in two": sum(same)})


# The driver killed.


def build_noted(params):
    """Return a trainer, and record in a file that a trial has begun."""
    line = json.dumps([os.getpid(), params]) + "\n"
    handle = os.open(os.environ["PYNN_BENCH_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)
    model = pynn.Sequential(pynn.Linear(64, 32, init="he_normal"), pynn.ReLU(), pynn.Linear(32, 10))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(params["lr"], weight_decay=params["weight_decay"]))


@main.command(hidden=True)
@click.argument("folder")
def driven(folder):
    """Search; to be killed."""
    kill_search(folder)


def kill_search(folder):
    """Run the search that is killed, or goes on."""
    space = {"lr": search.LogUniform(1e-4, 10.0), "weight_decay": search.LogUniform(1e-6, 1.0)}
    stages = (search.Stage(260, 5), search.Stage(40, 15, survivors=40))
    return search.run(build_noted, space, *digits(), stages=stages, workers=2, folder=folder, seed=7)


def stored(folder):
    """Return the trials in a folder's journal, read without a lock."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = Path(folder) / "trials.journal"
    if not path.exists():
        return {}
    whole = path.read_bytes()
    copy = Path(folder) / "copy.journal"
    copy.write_bytes(whole[: whole.rfind(b"\n") + 1])
    try:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(copy)))
        studies = optuna.get_all_study_names(storage)
        if not studies:
            return {}
        trials = optuna.load_study(study_name=studies[0], storage=storage).get_trials()
    finally:
        copy.unlink()
    records = [json.loads(trial.user_attrs["pynn.trial"]) for trial in trials]
    numbers = [record["number"] for record in records]
    assert len(set(numbers)) == len(numbers), "a trial is stored twice"
    return {record["number"]: record for record in records}


def without_time(record):
    """Return a record without fields that differ between runs."""
    history = {name: column for name, column in record["history"].items() if name != "seconds"}
    return {name: value for name, value in record.items() if name != "seconds"} | {"history": history}


@main.command()
@click.option("--kills", default=20)
@click.option("--seed", default=0)
def kill(kills, seed):
    """Kill the driver at random moments; count finished trials that are lost or run again."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder, notes = Path(scratch) / "killed", Path(scratch) / "notes"
        environment = os.environ | {"PYNN_BENCH_NOTES": str(notes)}
        lost = again = killed = 0
        known, rows = {}, []
        while killed < kills:
            notes.unlink(missing_ok=True)
            process = subprocess.Popen([sys.executable, __file__, "driven", str(folder)], env=environment)
            limit = time.monotonic() + 60
            while not notes.exists() and process.poll() is None and time.monotonic() < limit:
                time.sleep(0.01)  # it counts only if trials run
            time.sleep(chance.uniform(0.0, 0.1))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.2)  # its workers end with it
            killed += 1
            now = stored(folder)
            lost += sum(number not in now for number in known)
            begun = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
            # The driver itself builds only the best network, at the end.
            again += sum(needlessly(known, params) for pid, params in begun if pid != process.pid)
            rows.append({"ended before": len(known), "ended after": len(now), "begun": len(begun)})
            known = now
        notes.unlink(missing_ok=True)
        os.environ["PYNN_BENCH_NOTES"] = str(notes)
        resumed = kill_search(folder)
        whole = kill_search(Path(scratch) / "whole")
        same = [
            json.dumps(without_time(a.as_record())) == json.dumps(without_time(b.as_record()))  # NaN is not NaN
            for a, b in zip(resumed.trials, whole.trials, strict=True)
        ]
    figures = {
        "kills": killed,
        "trials": len(same),
        "finished trials lost": lost,
        "run again after they finished": again,
    }
    save("kill", figures | {"the same as in a search that was not killed": sum(same), "runs": rows})


def needlessly(known, params):
    """Return whether a trial with these parameters began after all trials with them had ended."""
    ended = [record for record in known.values() if record["params"] == params]
    # A survivor's parameters run twice, once per stage.
    continued = {record["continues"] for record in known.values()}
    return bool(ended) and all(record["stage"] == 1 or record["number"] in continued for record in ended)


# Overhead.


@main.command()
@click.option("--trials", default=100)
def overhead(trials):
    """Measure the overhead per trial besides its epochs, with a folder: in this process, and in another one."""
    found = {}
    data = digits()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PYNN_BENCH_NOTES"] = str(Path(scratch) / "notes")
        space = {"lr": search.LogUniform(1e-3, 1.0), "weight_decay": search.LogUniform(1e-6, 1e-2)}
        from concurrent.futures import ProcessPoolExecutor

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
