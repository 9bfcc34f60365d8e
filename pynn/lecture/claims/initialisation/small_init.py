"""Small random numbers: activations shrink to nothing in ten tanh layers, and so do the weights' gradients."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.networks import gaussian, network, outputs, rms, weight_gradients


@experiment(
    claim="With weights 0.01 N(0,1) the activations of ten tanh layers of 500 units shrink to 0, and so do the "
    "gradients of the weights, which are multiplied by them.",
    source="CS231n, lecture on training neural networks, part 1: weight initialization",
    setup="The lecture's network on 1000 inputs N(0,1), forward; backward from random targets of 10 classes. The rms "
    "of the weights' gradients is held against that with Xavier weights.",
    bands=[
        Band("spread, layer 10 over layer 1", at_most=1e-4, why="0.01 sqrt(500) = 0.22 per layer makes 0.22^9 = 1e-6"),
        Band(
            "weight gradients over Xavier's", at_most=1e-3, why="the largest of all layers; three orders of magnitude"
        ),
    ],
    lines=Lines("layer", "standard deviation of the outputs", log=True),
    quick={"units": 100},
)
def small_init(seed, units=500):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(1000, units)).astype(np.float32), rng.integers(0, 10, 1000)
    spreads, gradients = {}, {}
    for name, init in (("0.01 N(0,1)", gaussian(0.01)), ("Xavier", "lecun_normal")):
        pynn.manual_seed(seed)
        model = network([units] * 11 + [10], pynn.Tanh, init)
        spreads[name] = [float(layer.std()) for layer in outputs(model, x, pynn.Tanh)]
        gradients[name] = [rms(gradient) for gradient in weight_gradients(model, x, y)[:10]]
    small = spreads["0.01 N(0,1)"]
    ratios = np.divide(gradients["0.01 N(0,1)"], gradients["Xavier"])
    return spreads | {
        "spread, layer 10 over layer 1": small[-1] / small[0],
        "weight gradients over Xavier's": ratios.max(),
    }
