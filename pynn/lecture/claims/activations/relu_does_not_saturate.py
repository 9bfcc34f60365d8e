"""ReLU does not saturate for x > 0."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="ReLU does not saturate for x > 0.",
    source="CS231n, Neural Networks Part 1, ReLU",
    setup="The slopes of ReLU, sigmoid and tanh at 1000 random x, and the smallest slope at those above 10 (up to "
    "10^6).",
    bands=[
        Band("least slope, ReLU", 1.0, 1.0, why="its slope is 1, exactly"),
        Band("largest slope, sigmoid", at_most=1e-4, why="s (1 - s) at 10 is 4.5e-5"),
        Band("largest slope, tanh", at_most=1e-4, why="1 - tanh² at 10 is 8e-9"),
    ],
)
def relu_does_not_saturate(seed):
    x = 10 ** np.random.default_rng(seed).uniform(1, 6, 1000)
    ones = np.ones_like(x)
    return {
        "least slope, ReLU": pynn.ops.relu_backward(ones, x).min(),
        "largest slope, sigmoid": pynn.ops.sigmoid_backward(ones, pynn.ops.sigmoid(x)).max(),
        "largest slope, tanh": pynn.ops.tanh_backward(ones, pynn.ops.tanh(x)).max(),
    }
