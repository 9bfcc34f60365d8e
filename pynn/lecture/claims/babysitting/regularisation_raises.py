"""More regularisation raises the initial loss."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network

STRENGTHS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)


@experiment(
    claim="More regularisation raises the initial loss.",
    source="CS231n, Neural Networks Part 3, Before learning: sanity checks",
    setup="64-100-10 on 500 digits; the first loss with an L2 penalty of 0, 1e-4, ... 0.1.",
    bands=[
        Band("least rise from one to the next", 1e-6, why="it must rise each time"),
        Band("rise against r/2 sum w²", 0.999, 1.001, why="what the penalty is, in float32"),
    ],
    lines=Lines("strength", "first loss", at=STRENGTHS),
)
def regularisation_raises(seed):
    data = digits(seed)
    losses = []
    for strength in STRENGTHS:
        pynn.manual_seed(seed)
        model = network([64, 100, 10], pynn.ReLU)
        squares = sum(np.square(layer.weight, dtype=np.float64).sum() for layer in (model[0], model[2]))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), regularizers=[pynn.L2(strength)])
        losses.append(trainer.step(data.x[:500], data.y[:500]))
    rise = (losses[-1] - losses[0]) / (STRENGTHS[-1] / 2 * squares)
    return {
        "first loss": losses,
        "least rise from one to the next": np.diff(losses).min(),
        "rise against r/2 sum w²": rise,
    }
