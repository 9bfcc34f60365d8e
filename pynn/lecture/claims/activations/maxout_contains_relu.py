"""Maxout contains ReLU and leaky ReLU."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="Maxout contains ReLU (one piece zero) and leaky ReLU (one piece a hundredth of the other).",
    source="CS231n, Neural Networks Part 1, Maxout",
    setup="A linear layer 30-20 and a Maxout layer of two pieces set accordingly, on 500 random inputs in float64.",
    bands=[
        Band("difference from ReLU", at_most=1e-13, why="the rounding of one float64 product"),
        Band("difference from leaky ReLU", at_most=1e-13, why="the rounding of one float64 product"),
    ],
)
def maxout_contains_relu(seed):
    pynn.manual_seed(seed)
    linear = pynn.Linear(30, 20, dtype=np.float64)
    maxout = pynn.Maxout(30, 20, pieces=2, dtype=np.float64)
    x = np.random.default_rng(seed).normal(size=(500, 30))
    figures = {}
    for name, slope, kind in (("ReLU", 0.0, pynn.ReLU), ("leaky ReLU", 0.01, pynn.LeakyReLU)):
        maxout.weight[...] = np.hstack([linear.weight, slope * linear.weight])
        maxout.bias[...] = np.hstack([linear.bias, slope * linear.bias])
        z = linear.forward(x, pynn.Context())
        expected = kind().forward(z, pynn.Context())
        figures[f"difference from {name}"] = np.abs(maxout.forward(x, pynn.Context()) - expected).max()
    return figures
