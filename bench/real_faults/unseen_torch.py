"""Faulty training loops in PyTorch, each with its healthy twin; most faults are of the loop, not of the network."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.faults import data
from bench.faults.data import Split

Step = Callable[["Loop", torch.Tensor, torch.Tensor], None]


def usual_step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
    """Take a step as every tutorial does."""
    loop.optimizer.zero_grad()
    loop.loss(loop.model(x), y).backward()
    loop.optimizer.step()


@dataclass
class Loop:
    """A training loop: its parts, and what it does with a minibatch and after an epoch."""

    split: Split
    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: nn.Module
    epochs: int
    batch_size: int = 32
    step: Step = usual_step
    after_epoch: Callable[[Loop], None] = field(default=lambda loop: None)

    def minibatches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the shuffled minibatches of an epoch."""
        x, y = torch.from_numpy(self.split.x), torch.from_numpy(self.split.y)
        order = torch.from_numpy(np.random.default_rng([0, epoch]).permutation(len(x)))
        for rows in order.split(self.batch_size):
            yield x[rows], y[rows]

    def train(self, watch: Any = None) -> str:
        """Train, and tell `watch` the ends of epochs; return how it ended."""
        self.model.train()
        for epoch in range(self.epochs):
            for x, y in self.minibatches(epoch):
                self.step(self, x, y)
                if not all(torch.isfinite(parameter).all() for parameter in self.model.parameters()):
                    return "not finite"
            self.after_epoch(self)
            if watch is not None:
                watch.epoch()
        return "finished"

    def score(self) -> float:
        """Return accuracy, or R2 for targets of amounts, on the validation part."""
        self.model.eval()
        with torch.no_grad():
            output = self.model(torch.from_numpy(self.split.xv)).double().numpy()
        y = self.split.yv
        if not np.isfinite(output).all():
            return 0.0
        if y.dtype.kind == "i":
            return float((output.argmax(axis=1) == y).mean())
        y = y.reshape(output.shape)
        return float(1 - np.mean((output - y) ** 2) / np.mean((y - y.mean()) ** 2))


@dataclass(frozen=True)
class LoopProgram:
    """A faulty loop: ``build(sick)`` returns it, or with ``sick=False`` its healthy twin."""

    name: str
    about: str
    tags: tuple[str, ...]
    build: Callable[[bool], Loop]


LOOPS: dict[str, LoopProgram] = {}


Build = Callable[[bool], Loop]


def loop_into(loops: dict[str, LoopProgram]) -> Callable[..., Callable[[Build], Build]]:
    """Return a function of the documented causes: a decorator that adds a function ``sick -> Loop`` to `loops`."""

    def loop(*tags: str) -> Callable[[Build], Build]:
        def add(build: Build) -> Build:
            loops[build.__name__] = LoopProgram(build.__name__, (build.__doc__ or "").strip(), tags, build)
            return build

        return add

    return loop


loop = loop_into(LOOPS)


def digits() -> Split:
    """The digits, centred and scaled."""
    split = data.digits(0)
    return split._replace(y=split.y.astype(np.int64), yv=split.yv.astype(np.int64))


def rows() -> Split:
    """The digits as eight rows of eight pixels."""
    split = digits()
    return split._replace(x=split.x.reshape(-1, 8, 8), xv=split.xv.reshape(-1, 8, 8))


def perceptron(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for given, made in itertools.pairwise(sizes):
        layers += [nn.Linear(given, made), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@loop("accumulated_gradients")
def gradients_not_zeroed(sick: bool) -> Loop:
    """The loop never calls zero_grad, SGD 0.1."""
    model = perceptron(64, 64, 10)

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        loop.loss(loop.model(x), y).backward()
        loop.optimizer.step()

    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    return Loop(digits(), model, optimizer, nn.CrossEntropyLoss(), 10, step=step if sick else usual_step)


@loop("frozen")
def optimizer_of_another_model(sick: bool) -> Loop:
    """The model was made anew after the optimiser had taken the parameters of the first."""
    first = perceptron(64, 64, 10)
    model = perceptron(64, 64, 10) if sick else first
    return Loop(digits(), model, torch.optim.Adam(first.parameters(), 1e-3), nn.CrossEntropyLoss(), 10)


@loop("frozen")
def loss_made_anew(sick: bool) -> Loop:
    """The loss is wrapped into a new tensor that requires a gradient: none reaches the network."""
    model = perceptron(64, 64, 10)

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        loop.optimizer.zero_grad()
        torch.tensor(loop.loss(loop.model(x), y).item(), requires_grad=True).backward()
        loop.optimizer.step()

    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    return Loop(digits(), model, optimizer, nn.CrossEntropyLoss(), 10, step=step if sick else usual_step)


class Listed(nn.Module):
    """Hidden layers in a Python list, whose parameters nobody sees, or in a ModuleList."""

    def __init__(self, registered: bool) -> None:
        super().__init__()
        hidden = [nn.Linear(10, 16), nn.Linear(16, 16), nn.Linear(16, 16)]
        self.hidden = nn.ModuleList(hidden) if registered else hidden
        self.last = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.last(x)


@loop("unregistered")
def layers_in_a_list(sick: bool) -> Loop:
    """Hidden layers in a plain list: the optimiser gets only the last layer's parameters."""
    torch.manual_seed(0)
    model = Listed(not sick)
    return Loop(data.friedman(0), model, torch.optim.Adam(model.parameters(), 5e-3), nn.MSELoss(), 30)


@loop("shape_broadcast", "corrupted_labels")
def squares_of_a_broadcast(sick: bool) -> Loop:
    """Outputs (n, 1) and targets (n,) in a squared error, which PyTorch broadcasts to (n, n)."""
    split = data.friedman(0)
    if sick:
        split = split._replace(y=split.y[:, 0].copy(), yv=split.yv[:, 0].copy())
    model = perceptron(10, 64, 1)
    return Loop(split, model, torch.optim.Adam(model.parameters(), 3e-3), nn.MSELoss(), 25)


@loop("decays_too_soon")
def schedule_stepped_per_batch(sick: bool) -> Loop:
    """A schedule of epochs is stepped after each minibatch."""
    model = perceptron(64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        usual_step(loop, x, y)
        schedule.step()

    if sick:
        return Loop(digits(), model, optimizer, nn.CrossEntropyLoss(), 12, step=step)
    return Loop(digits(), model, optimizer, nn.CrossEntropyLoss(), 12, after_epoch=lambda loop: schedule.step())


class Encoded(nn.Module):
    """A narrow encoder, whose result may be detached, and a head."""

    def __init__(self, detached: bool) -> None:
        super().__init__()
        self.detached = detached
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6), nn.Tanh())
        self.head = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        code = self.encoder(x)
        return self.head(code.detach() if self.detached else code)


@loop("no_slope", "frozen")
def encoder_detached(sick: bool) -> Loop:
    """The encoder's result is detached before the head: the encoder does not learn."""
    torch.manual_seed(0)
    model = Encoded(sick)
    return Loop(digits(), model, torch.optim.Adam(model.parameters(), 3e-3), nn.CrossEntropyLoss(), 20)


class Attention(nn.Module):
    """A transformer over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.place = nn.Parameter(0.1 * torch.randn(8, 32))
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x) + self.place).mean(dim=1))


@loop("lr_too_high")
def transformer_too_fast(sick: bool) -> Loop:
    """A transformer with Adam at 0.03."""
    torch.manual_seed(0)
    model = Attention()
    return Loop(rows(), model, torch.optim.Adam(model.parameters(), 0.03 if sick else 1e-3), nn.CrossEntropyLoss(), 6)


class Recurrent(nn.Module):
    """An LSTM over the rows of an image, whose last state is read."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 32, batch_first=batch_first)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


@loop("batch_taken_for_time")
def batch_taken_for_time(sick: bool) -> Loop:
    """An LSTM without batch_first: the examples of a minibatch are taken for the steps of a sequence."""
    torch.manual_seed(0)
    model = Recurrent(not sick)
    return Loop(rows(), model, torch.optim.Adam(model.parameters(), 5e-3), nn.CrossEntropyLoss(), 12)


class LongMemory(nn.Module):
    """A plain recurrent network of rectifiers over a long sequence."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(4, 32, nonlinearity="relu", batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


@loop("exploding_gradient", "bad_init")
def recurrence_that_grows(sick: bool) -> Loop:
    """A recurrent network of rectifiers over 16 groups of pixels, whose recurrent weights start 2.5 times too large."""
    split = digits()
    split = split._replace(x=split.x.reshape(-1, 16, 4), xv=split.xv.reshape(-1, 16, 4))
    torch.manual_seed(0)
    model = LongMemory(2.5 if sick else 1.0)
    return Loop(split, model, torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss(), 20)
