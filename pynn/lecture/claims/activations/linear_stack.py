"""Without a non-linearity a stack of linear layers is one linear layer."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="Without a non-linearity a stack of linear layers is one linear layer.",
    source="CS231n, Neural Networks Part 1",
    setup="Five linear layers of 50 units, multiplied out to one matrix, in float64; and the spiral's three arms, "
    "learnt by three layers with and without ReLU between them.",
    bands=[
        Band("difference from one layer", at_most=1e-12, why="rounding of five float64 products"),
        Band(
            "accuracy on the spiral, linear", at_most=0.65, why="a line cannot separate arms; one layer gets near 0.5"
        ),
        Band("accuracy on the spiral, ReLU", 0.95, why="the notes' network with one hidden layer gets 0.98"),
    ],
    quick={"steps": 20},
)
def linear_stack(seed, steps=2000):
    pynn.manual_seed(seed)
    stack = pynn.Sequential(*(pynn.Linear(50, 50, dtype=np.float64) for _ in range(5)))
    weight, bias = np.eye(50), np.zeros(50)
    for layer in stack:
        weight, bias = weight @ layer.weight, bias @ layer.weight + layer.bias
    x = np.random.default_rng(seed).normal(size=(200, 50))
    figures = {"difference from one layer": np.abs(stack(x) - (x @ weight + bias)).max()}

    x, y = pynn.datasets.spiral(seed=seed)
    for name, between in (("linear", pynn.Flatten), ("ReLU", pynn.ReLU)):
        layers = [pynn.Linear(2, 64), between(), pynn.Linear(64, 64), between(), pynn.Linear(64, 3)]
        trainer = pynn.Trainer(pynn.Sequential(*layers), pynn.CrossEntropyLoss(), pynn.Adam(1e-2))
        for _ in range(steps):
            trainer.step(x, y)
        figures[f"accuracy on the spiral, {name}"] = trainer.evaluate(x, y)["accuracy"]
    return figures
