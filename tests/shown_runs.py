"""Runs for the views to show: what a Monitor offers, filled with made figures, so that odd runs are at hand."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

import pynn
from pynn.babysit import Thresholds
from pynn.babysit.findings import Finding, ranked
from pynn.training.history import History

BINS = 40


@dataclass
class Stats:
    steps: np.ndarray
    columns: dict
    per_layer: dict

    @property
    def layers(self):
        return list(self.per_layer)

    def copied(self):
        return self

    def __getitem__(self, name):
        return self.per_layer[name] if name in self.per_layer else self.columns[name]


@dataclass
class Run:
    """What the views read of a Monitor."""

    stats: Stats
    history: History
    snapshots: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    first_weights: np.ndarray | None = None
    input_shape: tuple = (64,)
    epochs_until: int = 0
    filter_shape: tuple = ()
    channels: set = field(default_factory=set)
    limits: Thresholds = field(default_factory=Thresholds)

    @property
    def verdict(self):
        return ranked(self.findings)


def histogram(values, low=None, high=None):
    low, high = (float(values.min()) if low is None else low), (float(values.max()) if high is None else high)
    counts = np.histogram(values, BINS, (low, high) if high > low else (low - 0.5, low + 0.5))[0]
    return SimpleNamespace(low=low, high=high, counts=counts.astype(np.int64))


def trained_run(**settings):
    """Return a monitor with these settings that watched a short real training."""
    pynn.manual_seed(0)
    x, y = pynn.datasets.load_digits()
    x = x / 16
    model = pynn.Sequential(pynn.Linear(64, 24), pynn.ReLU(), pynn.Linear(24, 16), pynn.Tanh(), pynn.Linear(16, 10))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    monitor = pynn.Monitor(on_problem="silent", **settings)
    trainer.fit(x[:1200], y[:1200], epochs=4, validation=(x[1200:], y[1200:]), callbacks=[monitor])
    return monitor


def empty_run():
    columns = {name: np.zeros(0) for name in ("loss", "lr", "accuracy", "input_norm")}
    return Run(Stats(np.zeros(0, np.int64), columns, {}), History())


def made_run(
    *,
    hidden=("1.ReLU", "3.ReLU"),
    rows=400,
    steps=4000,
    units=32,
    epochs=8,
    validation=True,
    accuracy=True,
    snapshots=24,
    inputs=64,
    findings=(),
    seed=0,
):
    """Return a run of a network with rectified `hidden` layers, each behind a layer of weights."""
    rng = np.random.default_rng(seed)
    at = np.unique(np.linspace(1, steps, rows).astype(np.int64))
    done = at / steps
    clean = 2.2 * np.exp(-4 * done) + 0.15
    columns = {
        "loss": clean * rng.lognormal(0, 0.25, len(at)),
        "input_norm": np.full(len(at), 8.0),
        "lr": 0.1 * 0.5 * (1 + np.cos(np.pi * done)) + 1e-5,
        "accuracy": np.clip(1 - clean / 2.5 + rng.normal(0, 0.03, len(at)), 0, 1)
        if accuracy
        else np.full(len(at), np.nan),
    }
    per_layer = {}
    for depth, name in enumerate([*hidden, "last.Linear"]):
        noise = rng.lognormal(0, 0.15, (6, len(at)))
        if name != "last.Linear":
            per_layer[f"{2 * depth}.Linear"] = weight_figures(done, depth, noise)
        dead = np.clip(0.3 * (depth == 1) * np.maximum(done - 0.2, 0), 0, 1)
        per_layer[name] = {
            "mean": 0.4 * noise[0] + 0.2 * depth,
            "std": (0.9 - 0.1 * depth + 0.4 * done) * noise[1],
            "zero_fraction": np.clip(0.5 * noise[2], 0, 1) if name != "last.Linear" else np.full(len(at), np.nan),
            "saturated_fraction": np.full(len(at), np.nan),
            "dead_fraction": dead,
            "gradient_rms": 1e-3 * 1.6**depth * np.exp(-done) * noise[3],
        }
        if name == "last.Linear":
            per_layer[name] |= weight_figures(done, depth, noise)
    history = made_history(epochs, validation, accuracy)
    taken = [
        made_snapshot(rng, int(step), [*hidden, "last.Linear"], units, step / steps)
        for step in np.linspace(1, steps, snapshots)
    ]
    weights = rng.normal(0, 0.1, (inputs, units)).astype(np.float32)
    return Run(Stats(at, columns, per_layer), history, taken, list(findings), weights, (inputs,), steps)


def made_history(epochs, validation, accuracy):
    history = History()
    for epoch in range(1, epochs + 1):
        row = {"loss": 2.2 * np.exp(-4 * epoch / epochs) + 0.2, "lr": 0.1, "seconds": 0.4}
        if accuracy:
            row["accuracy"] = 1 - row["loss"] / 2.5
        if validation:
            row |= {f"val_{key}": value * 1.05 for key, value in row.items() if key in ("loss", "accuracy")}
        history.append(epoch, row)
    return history


def weight_figures(done, depth, noise):
    return {
        "weight_norm": 5 + done,
        "gradient_norm": 0.5 * noise[4],
        "update_ratio": 2e-3 * 0.7**depth * (1.1 - done) * noise[5],
        "zigzag": np.clip(0.1 * noise[5], 0, 1),
    }


def made_snapshot(rng, step, layers, units, done):
    activations, gradients, active = {}, {}, {}
    for depth, name in enumerate(layers):
        outputs = rng.normal(0.1 * depth, 0.8 + 0.6 * done, 2000)
        activations[name] = histogram(np.maximum(outputs, 0) if name.endswith("ReLU") else outputs)
        gradients[name] = histogram(rng.normal(0, 1e-3 * (1.2 - done), 2000))
        if name.endswith("ReLU"):
            share = np.clip(np.random.default_rng(depth).uniform(-0.1, 0.9, units) + rng.normal(0, 0.05, units), 0, 1)
            share[: int(units * 0.3 * done * (depth == 1))] = 0
            active[name] = share.astype(np.float32)
    return SimpleNamespace(step=step, activations=activations, gradients=gradients, active=active)


def sick_findings():
    return [
        Finding(
            "dead_units",
            "3.ReLU",
            900,
            4000,
            "warning",
            "24% of 32 units were active for no example of 1,280",
            "lower the learning rate, or use LeakyReLU",
        ),
        Finding(
            "lr_too_high",
            None,
            400,
            1200,
            "error",
            "the loss rose to 3.1 times its best (0.41 to 1.27) within 60 steps",
            "divide the learning rate by 3: 0.03 instead of 0.1",
        ),
        Finding(
            "zigzag",
            "0.Linear",
            1500,
            1600,
            "info",
            "all inputs are positive: 61% of the units' gradients have one sign",
            "nothing, while the loss falls",
        ),
    ]
