"""What searches in the tests build, as functions that other processes find by name; and how to run and compare them."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import numpy as np

import pynn
from pynn import search

SPACE = {"lr": search.LogUniform(1e-4, 1.0), "width": search.Integer(4, 32, log=True)}


def data(rows=240):
    x, y = pynn.datasets.blobs(n=rows, classes=3, seed=0)
    x = (x / x.std()).astype(np.float32)
    split = 2 * rows // 3
    return (x[:split], y[:split]), (x[split:], y[split:])


def network(params):
    width = params.get("width", 8)
    return pynn.Sequential(pynn.Linear(2, width, init="he_normal"), pynn.ReLU(), pynn.Linear(width, 3))


def build(params):
    return pynn.Trainer(network(params), pynn.CrossEntropyLoss(), pynn.SGD(params["lr"], momentum=0.9))


def build_with_dropout(params):
    """Return a trainer whose continuation needs all that a checkpoint holds."""
    model = pynn.Sequential(
        pynn.Linear(2, 16), pynn.BatchNorm1d(16), pynn.ReLU(), pynn.Dropout(0.2), pynn.Linear(16, 3)
    )
    schedule = pynn.CosineAnnealingLR(6)
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(params["lr"]), schedule=schedule, seed=3)


def images():
    """Return rows of the data as patterns of 1x4x4 pixels."""
    (x, y), (xv, yv) = data()
    patterns = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    return ((x @ patterns).reshape(-1, 1, 4, 4), y), ((xv @ patterns).reshape(-1, 1, 4, 4), yv)


def build_for_images(params):
    """Return a trainer of a residual network, one of whose layers is the user's own."""
    width = params["width"]
    inner = pynn.Sequential(pynn.Conv2d(width, width, 3, padding=1), pynn.BatchNorm2d(width), Doubling())
    model = pynn.Sequential(
        pynn.Conv2d(1, width, 3, padding=1),
        pynn.ReLU(),
        pynn.Residual(inner),
        pynn.Dropout2d(0.1),
        pynn.AdaptiveAvgPool2d(2),
        pynn.Flatten(),
        pynn.Linear(4 * width, 3),
    )
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(params["lr"]), seed=3)


def build_or_raise(params):
    if params["lr"] > 0.01:
        raise RuntimeError(f"no such device for {params['lr'] > 0.01}")
    return build(params)


class Doubling(pynn.Layer):
    """A layer of the user's own."""

    def forward(self, x, ctx):
        return 2 * x

    def backward(self, dy, ctx):
        return 2 * dy


def own_loss(prediction, target):
    difference = prediction - np.eye(3, dtype=prediction.dtype)[target]
    return float(np.square(difference).mean()), 2 * difference / difference.size


def build_own(params):
    """Return a trainer of which a checkpoint alone cannot be resumed: a layer and a loss of the user's own."""
    model = pynn.Sequential(pynn.Linear(2, 8), Doubling(), pynn.Linear(8, 3))
    return pynn.Trainer(model, own_loss, pynn.SGD(params["lr"]))


def build_and_die(params):
    """Kill the process at certain parameters, every time."""
    if params["kind"] == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return build({"lr": 0.1})


def build_and_die_once(params):
    """Kill the process at certain parameters, the first time."""
    note = Path(params["kind"])
    if note.name == "deadly" and not note.exists():
        note.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    return build({"lr": 0.1})


def build_slowly(params):
    """Note that a trial has begun, and take some time."""
    with open(os.environ.get("PYNN_TEST_NOTE", os.devnull), "a") as file:
        file.write(f"{os.getpid()} {params['lr']!r}\n")
    time.sleep(0.15)
    return build(params)


def search_slowly(folder):
    """Search in two processes, a search that a test kills."""
    return search.run(build_slowly, SPACE, *data(), trials=12, epochs=2, workers=2, folder=folder, seed=5)


def build_telling(params):
    """Say in an error what computes, and with how many threads."""
    raise RuntimeError(f"{pynn.get_backend()} with {pynn.get_num_threads()} threads")


def find(make=build, space=SPACE, **settings):
    settings = {"workers": 1} | ({} if "stages" in settings else {"trials": 6, "epochs": 2}) | settings
    return search.run(make, space, *data(), **settings)


def timeless(trial):
    """Return a trial without what differs from run to run."""
    history = {name: column for name, column in trial.history.items() if name != "seconds"}
    return dataclasses.replace(trial, seconds=0.0, history=history)


def same(a, b):
    # repr, because NaN is not equal to itself
    return [repr(timeless(trial)) + repr(timeless(trial).history) for trial in a.trials] == [
        repr(timeless(trial)) + repr(timeless(trial).history) for trial in b.trials
    ]


def share_of_the_first_class(truth, values):
    """Return a metric of one's own: the mean probability of class 0."""
    return float(values[:, 0].mean())
