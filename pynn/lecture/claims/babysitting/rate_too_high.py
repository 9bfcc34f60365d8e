"""The learning rate is too high: the cost explodes or is NaN."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

RATES = (0.1, 1.0, 10.0, 100.0, 1000.0)


@experiment(
    claim="A NaN or exploding cost means that the learning rate is too high.",
    source="CS231n, lecture on training neural networks, part 1: babysitting",
    setup="64-100-100-10 on the digits, 3 epochs of SGD at rates from 0.1 to 1000; exploded: not finite, or beyond 3 "
    "times the first loss.",
    bands=[
        Band("exploded, 10 and more", 1.0, why="every rate a hundred times the usual one or more"),
        Band("exploded, 0.1", at_most=0.0, why="the usual rate does not"),
    ],
    lines=Lines("rate", "largest loss over the first", log=True, at=RATES),
    quick={"epochs": 1},
)
def rate_too_high(seed, epochs=3):
    data = digits(seed)
    growth = []
    for rate in RATES:
        pynn.manual_seed(seed)
        trainer = pynn.Trainer(network([64, 100, 100, 10], pynn.ReLU), pynn.CrossEntropyLoss(), pynn.SGD(rate))
        rng = np.random.default_rng(seed)
        losses = []
        try:
            for _ in range(epochs * 22):
                rows = rng.integers(0, len(data.x), 64)
                losses.append(trainer.step(data.x[rows], data.y[rows]))
        except pynn.NonFiniteError:
            losses.append(float("inf"))
        growth.append(max(losses) / losses[0])
    exploded = np.array(growth) > 3
    return {"growth": growth, "exploded, 10 and more": exploded[2:].mean(), "exploded, 0.1": exploded[0]}
