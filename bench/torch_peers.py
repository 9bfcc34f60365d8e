"""Training steps in PyTorch, plain and watched by pynn, Weights & Biases and Cockpit, alternating in one process."""

import contextlib
import os
import tempfile
import time

import numpy as np
import torch
from torch import nn

import pynn
from pynn.bench.cases import WORKLOADS
from pynn.bench.contestants.torch import make_optimizer, network
from pynn.bench.data import batch
from pynn.bench.timing import in_turns, seconds_per_call

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
        self.x, self.y = (torch.from_numpy(array) for array in batch(workload))
        self.module, self.loss = network(workload), nn.CrossEntropyLoss()
        self.optimizer = make_optimizer(workload.optimizer, list(self.module.parameters()))

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


def compare(name, rounds):
    """Yield each installed peer with the ratio of a watched step to a plain one: median and quartiles."""
    for peer, kind in PEERS.items():
        with contextlib.suppress(ImportError):
            yield peer, ratios(name, kind, rounds)


def ratios(name, kind, rounds):
    """Return the ratio of a step watched by `kind` to a plain one, in processor time of this thread."""
    plain, watched = Loop(name), kind(name)
    try:
        steps = max(10, round(BLOCK / seconds_per_call(plain.step, 3, time.thread_time)))
        for _ in range(min(WARM_UP, 5 * steps)):
            plain.step()
            watched.step()
        values = [other / own for own, other in in_turns(plain.step, watched.step, steps, rounds, time.thread_time)]
    finally:
        watched.close()
    low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
    return {"ratio": middle, "low": low, "high": high}
