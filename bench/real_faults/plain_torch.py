"""Eight more of `plain`: training loops in PyTorch, each with its healthy twin."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from bench.faults.data import Split

from . import plain_sets as sets
from .unseen_torch import Loop, LoopProgram, loop_into, perceptron

PLAIN_LOOPS: dict[str, LoopProgram] = {}
loop = loop_into(PLAIN_LOOPS)


def convolutions(tail: Sequence[nn.Module] = ()) -> nn.Sequential:
    """Two convolutions with pooling, and two linear layers, for the images of shapes."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 32), nn.ReLU(), nn.Linear(32, 4), *tail,
    )  # fmt: skip


def squashed(squash: Callable[[], nn.Module], *sizes: int) -> nn.Sequential:
    """Linear layers with an activation between them."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for given, made in itertools.pairwise(sizes):
        layers += [nn.Linear(given, made), squash()]
    return nn.Sequential(*layers[:-1])


@loop("redundant_softmax")
def softmax_before_cross_entropy(sick: bool) -> Loop:
    """A softmax layer before the cross-entropy that includes one, convolutions, SGD."""
    model = convolutions([nn.Softmax(1)] if sick else [])
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    return Loop(sets.shapes(), model, optimizer, nn.CrossEntropyLoss(), 5)


@loop("unnormalised_inputs")
def degrees_into_tanhs(sick: bool) -> Loop:
    """Latitudes and longitudes in degrees into two layers of tanh."""
    split: Split = sets.airports_raw() if sick else sets.airports()
    model = squashed(nn.Tanh, 2, 32, 32, sets.STATES)
    return Loop(split, model, torch.optim.Adam(model.parameters(), 3e-3), nn.CrossEntropyLoss(), 30)


@loop("lr_too_high")
def adam_of_a_fifth(sick: bool) -> Loop:
    """Adam with a rate of 0.2, convolutions."""
    model = convolutions()
    optimizer = torch.optim.Adam(model.parameters(), 0.2 if sick else 2e-3)
    return Loop(sets.shapes(), model, optimizer, nn.CrossEntropyLoss(), 10)


@loop("lr_too_low", "too_few_epochs")
def slow_descent(sick: bool) -> Loop:
    """SGD with a rate of 0.0001, meant as 0.1, no momentum."""
    model = perceptron(6, 32, sets.COMMON)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4 if sick else 0.1)
    return Loop(sets.common_weather(), model, optimizer, nn.CrossEntropyLoss(), 20)


@loop("vanishing_gradient", "wrong_hidden_activation")
def seven_sigmoids(sick: bool) -> Loop:
    """Seven hidden layers of sigmoids, Adam."""
    model = squashed(nn.Sigmoid if sick else nn.ReLU, 4, 32, 32, 32, 32, 32, 32, 32, 3)
    return Loop(sets.shells(), model, torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss(), 25)


@loop("symmetric_init", "bad_init")
def weights_of_zero(sick: bool) -> Loop:
    """All weights and biases start at 0."""
    model = perceptron(4, 32, 32, 3)
    if sick:
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
    return Loop(sets.shells(), model, torch.optim.Adam(model.parameters(), 3e-3), nn.CrossEntropyLoss(), 20)


@loop("over_regularisation")
def weight_decay_of_one(sick: bool) -> Loop:
    """A weight decay of 1 in SGD."""
    model = perceptron(3, 32, 32, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9, weight_decay=1.0 if sick else 1e-4)
    return Loop(sets.roll(), model, optimizer, nn.MSELoss(), 30)


@loop("wrong_loss_reduction", "lr_too_high")
def summed_cross_entropy(sick: bool) -> Loop:
    """Cross-entropies summed over batches of 64, SGD 0.1."""
    model = perceptron(2, 64, 64, sets.STATES)
    loss = nn.CrossEntropyLoss(reduction="sum" if sick else "mean")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    return Loop(sets.airports(), model, optimizer, loss, 30, 64)
