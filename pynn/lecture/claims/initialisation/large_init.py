"""Weights N(0,1): nearly all units saturate at -1 or 1."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.networks import gaussian, network, outputs


@experiment(
    claim="With weights N(0,1) nearly all units of ten tanh layers saturate at -1 or 1.",
    source="CS231n, lecture on training neural networks, part 1: weight initialization",
    setup="Ten tanh layers of 500 units on 1000 inputs N(0,1); the share of outputs beyond 0.99.",
    bands=[
        Band(
            "least share saturated", 0.85, why="pre-activations of spread 22: 90% lie beyond the 2.65 that makes 0.99"
        ),
        Band("least share, Xavier", at_most=0.05, why="with proper weights hardly any are"),
    ],
    lines=Lines("layer", "share of outputs beyond 0.99"),
    quick={"units": 100},
)
def large_init(seed, units=500):
    x = np.random.default_rng(seed).normal(size=(1000, units)).astype(np.float32)
    shares = {}
    for name, init in (("N(0,1)", gaussian(1.0)), ("Xavier", "lecun_normal")):
        pynn.manual_seed(seed)
        model = network([units] * 11 + [10], pynn.Tanh, init)
        shares[name] = [float(np.mean(np.abs(y) > 0.99)) for y in outputs(model, x, pynn.Tanh)]
    return shares | {"least share saturated": min(shares["N(0,1)"]), "least share, Xavier": min(shares["Xavier"])}
