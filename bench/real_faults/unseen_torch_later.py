"""Four more loops of `unseen_torch`, written after rules were mended for the others."""

# ruff: noqa: D401 - a docstring here describes the program.
from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bench.faults.data import Split, as_float32

from .unseen_torch import Loop, LoopProgram, digits, loop_into, perceptron, usual_step

LATER_LOOPS: dict[str, LoopProgram] = {}
loop = loop_into(LATER_LOOPS)


@loop("restarted")
def weights_made_anew_each_epoch(sick: bool) -> Loop:
    """The loop initialises the network at the beginning of each epoch."""
    model = perceptron(64, 64, 10)

    epochs = 20

    def restart(loop: Loop) -> None:
        nonlocal epochs
        epochs -= 1
        for layer in loop.model:
            if sick and epochs and isinstance(layer, nn.Linear):
                layer.reset_parameters()

    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    return Loop(digits(), model, optimizer, nn.CrossEntropyLoss(), epochs, after_epoch=restart)


@loop("corrupted_labels")
def shuffled_apart(sick: bool) -> Loop:
    """Inputs and targets of a minibatch are drawn with two permutations."""
    model = perceptron(64, 64, 10)
    rng = torch.Generator().manual_seed(0)

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        usual_step(loop, x, y[torch.randint(len(y), (len(y),), generator=rng)] if sick else y)

    return Loop(digits(), model, torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss(), 15, step=step)


@loop("clipped", "lr_too_low")
def gradients_clipped_to_nothing(sick: bool) -> Loop:
    """The norm of the gradient is clipped to 0.001, SGD 0.1."""
    model = perceptron(64, 64, 10)

    def step(loop: Loop, x: torch.Tensor, y: torch.Tensor) -> None:
        loop.optimizer.zero_grad()
        loop.loss(loop.model(x), y).backward()
        nn.utils.clip_grad_norm_(loop.model.parameters(), 1e-3 if sick else 5.0)
        loop.optimizer.step()

    return Loop(digits(), model, torch.optim.SGD(model.parameters(), 0.1), nn.CrossEntropyLoss(), 12, step=step)


class Prices(nn.Module):
    """A GRU over a series."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(x)[0][:, -1])


@loop("unnormalised_inputs", "unscaled_targets")
def raw_prices(sick: bool) -> Loop:
    """A GRU that predicts a price from the last twenty, of about 20,000, as they come."""
    time, rng = np.arange(1200), np.random.default_rng(27)
    price = 20_000 + 3000 * np.sin(time / 15) + 1000 * np.sin(time / 4) + 200 * rng.standard_normal(1200)
    price = as_float32(price if sick else (price - price[:900].mean()) / price[:900].std())
    x, y = np.lib.stride_tricks.sliding_window_view(price[:-1], 20).copy()[:, :, None], price[20:, None].copy()
    torch.manual_seed(0)
    model = Prices()
    split = Split(x[:900], y[:900], x[900:], y[900:])
    return Loop(split, model, torch.optim.Adam(model.parameters(), 5e-3), nn.MSELoss(), 25)
