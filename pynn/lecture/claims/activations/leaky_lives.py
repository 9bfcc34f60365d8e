"""Leaky ReLU, PReLU and ELU do not die."""

from contextlib import suppress

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

KINDS = {"leaky ReLU": pynn.LeakyReLU, "PReLU": pynn.PReLU, "ELU": pynn.ELU, "ReLU": pynn.ReLU}


def flat_share(model, x, kind):
    """Return the share of units whose slope is below 1e-3 for every example."""
    shares = []
    for layer in model:
        ctx = pynn.Context()
        y = layer.forward(x, ctx)
        if isinstance(layer, kind):
            shares.append(np.mean((np.abs(layer.backward(np.ones_like(y), ctx)) < 1e-3).all(axis=0)))
        x = y
    return np.mean(shares)


@experiment(
    claim="Leaky ReLU, PReLU and ELU do not die.",
    source="CS231n, Neural Networks Part 1, Leaky ReLU; Clevert et al. 2016 (ELU)",
    setup="64-100-100-10 on the digits, 10 epochs of SGD at 2, where many ReLU units die; the share of units whose "
    "slope is below 0.001 for every training example.",
    bands=[
        Band("dead, leaky ReLU", at_most=0.0, why="its slope is never below 0.01"),
        Band("dead, PReLU", at_most=0.01, why="its slope could be learnt to be 0, which is unlikely"),
        Band("dead, ELU", at_most=0.01, why="its slope is exp(x): dead only where all x are below -7"),
        Band("dead, ReLU", 0.05, why="the rate must be one that kills, or nothing is shown"),
    ],
    quick={"epochs": 1},
    remark="ELU dies, if it is thrown far enough: on the left its slope is exp(x), which a large update makes as "
    "good as 0. Leaky ReLU and PReLU do not.",
)
def leaky_lives(seed, epochs=10):
    data = digits(seed)
    figures = {}
    for name, kind in KINDS.items():
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 10], kind)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(2.0), seed=seed)
        with suppress(pynn.NonFiniteError):  # the weights are then those before that step
            trainer.fit(data.x, data.y, epochs=epochs)
        figures[f"dead, {name}"] = flat_share(model, data.x, kind)
    return figures
