"""With all weights zero every unit computes and learns the same."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import network


@experiment(
    claim="With all weights zero every unit computes the same and gets the same gradient: nothing is learnt.",
    source="CS231n, Neural Networks Part 2, Weight Initialization, Pitfall: all zero",
    setup="64-100-100-10 on the digits, 10 epochs of SGD with momentum, ReLU and tanh, all weights 0; and ReLU with "
    "all weights 0.1, which lets a gradient through.",
    bands=[
        Band("accuracy, ReLU", at_most=0.15, why="one of ten classes, and the largest has a share of 10%"),
        Band("accuracy, tanh", at_most=0.15, why="the same"),
        Band("difference between units, zero", at_most=0.0, why="the same, bit for bit"),
        Band("difference between units, 0.1", at_most=1e-5, why="the same but for rounding"),
    ],
    quick={"epochs": 1},
)
def zero_init(seed, epochs=10):
    data = digits(seed)
    figures = {}
    for name, activation, init in (
        ("tanh", pynn.Tanh, "zeros"),
        ("ReLU", pynn.ReLU, "zeros"),
        ("constant", pynn.ReLU, lambda shape: np.full(shape, 0.1)),
    ):
        model = network([64, 100, 100, 10], activation, init)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.01, momentum=0.9), seed=seed)
        trainer.fit(data.x, data.y, epochs=epochs)
        figures[f"accuracy, {name}"] = trainer.evaluate(data.x, data.y)["accuracy"]
        weights = np.concatenate([model[0].weight, model[2].weight])  # a column is a unit
        figures[f"difference between units, {name}"] = np.ptp(weights, axis=1).max()
    return {
        "accuracy, ReLU": figures["accuracy, ReLU"],
        "accuracy, tanh": figures["accuracy, tanh"],
        "accuracy, 0.1": figures["accuracy, constant"],
        "difference between units, zero": figures["difference between units, ReLU"],
        "difference between units, 0.1": figures["difference between units, constant"],
    }
