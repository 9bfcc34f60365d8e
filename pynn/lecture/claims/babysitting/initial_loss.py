"""The initial loss is what theory says."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import gaussian, network


@experiment(
    claim="The initial loss is what theory says: ln C for softmax over C classes, C - 1 for the hinge loss.",
    source="CS231n, Neural Networks Part 3, Before learning: sanity checks",
    setup="20-50-C with weights N(0, 0.01²), 500 random examples, C = 3, 10 and 100: the largest relative deviation.",
    bands=[
        Band("off ln C, softmax", at_most=0.01, why="scores of size 0.001 change the loss by less"),
        Band("off C - 1, hinge", at_most=0.01, why="the same"),
    ],
)
def initial_loss(seed):
    rng = np.random.default_rng(seed)
    pynn.manual_seed(seed)
    off = {"off ln C, softmax": 0.0, "off C - 1, hinge": 0.0}
    for classes in (3, 10, 100):
        x, y = rng.normal(size=(500, 20)), rng.integers(0, classes, 500)
        scores = network([20, 50, classes], pynn.ReLU, gaussian(0.01))(x)
        losses = {
            "off ln C, softmax": pynn.CrossEntropyLoss()(scores, y)[0] / np.log(classes),
            "off C - 1, hinge": pynn.HingeLoss()(scores, y)[0] / (classes - 1),
        }
        off = {name: max(off[name], abs(ratio - 1)) for name, ratio in losses.items()}
    return off
