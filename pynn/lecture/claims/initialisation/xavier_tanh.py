"""Xavier weights: activations keep their spread through tanh layers."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.networks import network, outputs


@experiment(
    claim="With Xavier weights, std 1/sqrt(fan_in), activations keep their spread through tanh layers.",
    source="CS231n, lecture on training neural networks, part 1; Glorot & Bengio 2010",
    setup="Ten tanh layers of 500 units on 1000 inputs N(0,1).",
    bands=[
        Band("spread, layer 10 over layer 1", 0.3, 1.2, why="the lecture's own figures, 0.63 and 0.23, make 0.36"),
    ],
    lines=Lines("layer", "standard deviation of the outputs"),
    quick={"units": 100},
)
def xavier_tanh(seed, units=500):
    pynn.manual_seed(seed)
    x = np.random.default_rng(seed).normal(size=(1000, units)).astype(np.float32)
    model = network([units] * 11 + [10], pynn.Tanh, "lecun_normal")
    spreads = [float(y.std()) for y in outputs(model, x, pynn.Tanh)]
    return {"Xavier": spreads, "spread, layer 10 over layer 1": spreads[-1] / spreads[0]}
