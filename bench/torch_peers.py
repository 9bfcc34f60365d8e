"""Training steps in PyTorch, plain and watched by pynn, Weights & Biases and Cockpit, alternating in one process."""

import contextlib
import gc
import os
import tempfile
import time

import numpy as np
import torch
from torch import nn

import pynn
from pynn.bench.cases import WORKLOADS
from pynn.bench.data import batch

#: Minimum seconds per block of a contestant, and untimed steps before: watching is dearer at the start of a run.
BLOCK, WARM_UP = 0.1, 1100


class Loop:
    """A training loop in PyTorch on one minibatch; subclasses are watched.

    Attributes
    ----------
    module, loss, optimizer
        PyTorch's.
    """

    def __init__(self, name):
        workload = WORKLOADS[name]
        x, y = batch(workload)
        self.x, self.y = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y)
        torch.manual_seed(0)
        self.module, self.loss = network(workload), nn.CrossEntropyLoss()
        parameters = self.module.parameters()
        if workload.optimizer == "adam":
            self.optimizer = torch.optim.Adam(parameters, 1e-3, fused=True)
        else:
            self.optimizer = torch.optim.SGD(parameters, 0.01, momentum=0.9, fused=True)

    def step(self):
        """Take a training step."""
        self.optimizer.zero_grad()
        self.loss(self.module(self.x), self.y).backward()
        self.optimizer.step()

    def close(self):
        """End watching."""


class ByPynn(Loop):
    """Watched by pynn as by default: within a tenth of the time."""

    budget = 0.1

    def __init__(self, name):
        super().__init__(name)
        monitor = pynn.Monitor(budget=self.budget, on_problem="silent")
        self.watch = pynn.watch_torch(self.module, self.optimizer, self.loss, monitor=monitor)

    def close(self):
        self.watch.close()


class ByPynnEachStep(ByPynn):
    """Watched by pynn in every step."""

    budget = None


class ByWandb(Loop):
    """Watched by Weights & Biases: histograms of gradients and parameters, without any network."""

    log_freq = 1000  # the default

    def __init__(self, name):
        super().__init__(name)
        import wandb

        os.environ["WANDB_SILENT"] = "true"
        self.run = wandb.init(mode="offline", dir=tempfile.mkdtemp())
        self.run.watch(self.module, self.loss, log="all", log_freq=self.log_freq)

    def step(self):
        self.optimizer.zero_grad()
        value = self.loss(self.module(self.x), self.y)
        value.backward()
        self.optimizer.step()
        self.run.log({"loss": float(value)})

    def close(self):
        self.run.unwatch(self.module)
        self.run.finish()


class ByWandbOften(ByWandb):
    """The same in every tenth step."""

    log_freq = 10


class ByCockpit(Loop):
    """Watched by Cockpit's cheapest set of instruments, in every step."""

    interval = 1

    def __init__(self, name):
        super().__init__(name)
        from backpack import extend
        from cockpit import Cockpit
        from cockpit.utils.configuration import configuration
        from cockpit.utils.schedules import linear

        extend(self.module)
        extend(self.loss)
        self.each = extend(nn.CrossEntropyLoss(reduction="none"))
        instruments = configuration("economy", track_schedule=linear(self.interval))
        self.cockpit = Cockpit(list(self.module.parameters()), quantities=instruments)
        self.steps = 0

    def step(self):
        self.optimizer.zero_grad()
        prediction = self.module(self.x)
        value = self.loss(prediction, self.y)
        info = {
            "batch_size": len(self.x),
            "individual_losses": self.each(prediction, self.y),
            "loss": value,
            "optimizer": self.optimizer,
        }
        with self.cockpit(self.steps, info=info):
            value.backward(create_graph=self.cockpit.create_graph(self.steps))
        self.optimizer.step()
        self.steps += 1


class ByCockpitSeldom(ByCockpit):
    """The same in every tenth step."""

    interval = 10


PEERS = {
    "pynn, budget 0.1": ByPynn,
    "pynn, every step": ByPynnEachStep,
    "wandb.watch, every 1000 steps": ByWandb,
    "wandb.watch, every 10 steps": ByWandbOften,
    "Cockpit economy, every step": ByCockpit,
    "Cockpit economy, every 10 steps": ByCockpitSeldom,
}


def network(workload):
    """Return a benchmark's network."""
    layers = []
    for index, stage in enumerate(workload.stages):
        last = index == len(workload.stages) - 1
        if stage.image:
            layers.append(nn.Conv2d(stage.inputs, stage.outputs, 3, padding=1))
        else:
            if layers and isinstance(layers[-1], nn.MaxPool2d):
                layers.append(nn.Flatten())
            layers.append(nn.Linear(stage.inputs, stage.outputs))
        if not last:
            if workload.batchnorm:
                layers.append((nn.BatchNorm2d if stage.image else nn.BatchNorm1d)(stage.outputs))
            layers.append({"relu": nn.ReLU, "tanh": nn.Tanh}[workload.activation]())
            if stage.image:
                layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def seconds_per_step(loop, steps):
    """Return the mean processor time of `steps` steps in this thread, without garbage collection."""
    gc.disable()
    try:
        began = time.thread_time()
        for _ in range(steps):
            loop.step()
        return (time.thread_time() - began) / steps
    finally:
        gc.enable()


def compare(name, rounds):
    """Yield each installed peer with the ratio of a watched step to a plain one: median and quartiles."""
    for peer, kind in PEERS.items():
        with contextlib.suppress(ImportError):
            yield peer, ratios(name, kind, rounds)


def ratios(name, kind, rounds):
    """Return the ratio of a step watched by `kind` to a plain one."""
    plain, watched = Loop(name), kind(name)
    try:
        steps = max(10, round(BLOCK / seconds_per_step(plain, 3)))
        for _ in range(min(WARM_UP, 5 * steps)):
            plain.step()
            watched.step()
        values = []
        for index in range(rounds):
            order = (plain, watched) if index % 2 == 0 else (watched, plain)
            seconds = {id(loop): seconds_per_step(loop, steps) for loop in order}
            values.append(seconds[id(watched)] / seconds[id(plain)])
    finally:
        watched.close()
    low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
    return {"ratio": middle, "low": low, "high": high}
