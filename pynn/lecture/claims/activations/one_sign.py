"""If all inputs are positive, the gradient on one unit's weights has one sign throughout."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import network, weight_gradients


def one_signed(gradient):
    """Return the share of units (columns) whose non-zero gradients all have one sign."""
    return np.mean((gradient >= 0).all(axis=0) | (gradient <= 0).all(axis=0))


@experiment(
    claim="With all inputs positive the gradient on one unit's weights has, per example, one sign throughout; over a "
    "batch this shows behind sigmoid layers rather than in the first layer.",
    source="CS231n, Neural Networks Part 1, Sigmoid; slides of lecture 6",
    setup="64-100-100-10 on pixels from 0 to 1, sigmoid and tanh, 5 epochs; the share of units whose weight gradients "
    "have one sign: in 50 single examples, and in 50 batches of 64.",
    bands=[
        Band("one example, behind sigmoid", 1.0, why="it follows from the product rule, without exception"),
        Band("batch, behind sigmoid", 0.5, why="half of the units: with 100 random signs it would be 2^-99"),
        Band(
            "batch, first layer", at_most=0.5, why="'rather than': less than half, though its inputs are positive too"
        ),
        Band("batch, behind tanh", at_most=0.1, why="zero-centred outputs should mix the signs"),
    ],
    quick={"epochs": 1},
    remark="Per example without exception; over a batch, in about half of the units, which is far beyond chance but "
    "not always more than half.",
)
def one_sign(seed, epochs=5):
    x, y = pynn.datasets.load_digits()
    x /= 16
    figures = {}
    for name, activation in (("sigmoid", pynn.Sigmoid), ("tanh", pynn.Tanh)):
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 10], activation, "xavier_normal")
        pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1, 0.9), seed=seed).fit(x, y, epochs=epochs)
        rng = np.random.default_rng(seed)
        for what, size in (("one example", 1), ("batch", 64)):
            rows = [rng.integers(0, len(x), size) for _ in range(50)]
            shares = np.mean([[one_signed(g) for g in weight_gradients(model, x[r], y[r])] for r in rows], axis=0)
            figures[f"{what}, behind {name}"] = shares[1]
            if name == "sigmoid":
                figures[f"{what}, first layer"] = shares[0]
    return figures
