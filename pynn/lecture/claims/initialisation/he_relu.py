"""He weights hold with ReLU."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.networks import network, outputs, rms


@experiment(
    claim="With He weights, std sqrt(2/fan_in), the activations hold through ReLU layers.",
    source="CS231n, lecture on training neural networks, part 1; He et al. 2015",
    setup="Ten ReLU layers of 500 units on 1000 inputs N(0,1).",
    bands=[
        Band("mean square, factor per layer", 0.9, 1.1, why="1, and the chance of 500 random units"),
        Band("rms, layer 10 over layer 1", 0.6, 1.6, why="nine such factors"),
    ],
    lines=Lines("layer", "rms of the outputs", log=True),
    quick={"units": 100},
)
def he_relu(seed, units=500):
    pynn.manual_seed(seed)
    x = np.random.default_rng(seed).normal(size=(1000, units)).astype(np.float32)
    model = network([units] * 11 + [10], pynn.ReLU, "he_normal")
    sizes = [rms(y) for y in outputs(model, x, pynn.ReLU)]
    ratio = sizes[-1] / sizes[0]
    return {"He": sizes, "mean square, factor per layer": ratio ** (2 / 9), "rms, layer 10 over layer 1": ratio}
