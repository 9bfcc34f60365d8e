"""Histograms of activations and gradients per layer tell a bad start from a good one."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits
from pynn.lecture.networks import gaussian, network

EDGES = np.linspace(-1, 1, 22)


@experiment(
    claim="Histograms of activations and gradients, layer by layer, show a bad initialisation: values all at 0 or at "
    "the ends of the range.",
    source="CS231n, Neural Networks Part 3, Activation/gradient distributions per layer",
    setup="Five tanh layers of 100 on 500 digits, weights N(0, 0.01²), N(0, 1) and Xavier's: a histogram of 21 bins "
    "from -1 to 1 of the last layer's outputs, and the smallest over the largest gradient (rms) of the layers' "
    "outputs.",
    bands=[
        Band("in the middle bin, N(0, 0.01²)", 0.95, why="nearly all within 0.05 of 0"),
        Band("in the outer bins, N(0, 1)", 0.7, why="most beyond 0.9"),
        Band("in the largest bin, Xavier", at_most=0.25, why="spread over the range"),
        Band("gradients, least over largest, Xavier", 0.1, why="none dies out"),
        Band("gradients, least over largest, N(0, 0.01²)", at_most=1e-3, why="0.1 per layer"),
    ],
    lines=Lines(
        "output", "share of the outputs of layer 5", at=[f"{middle:.2g}" for middle in (EDGES[1:] + EDGES[:-1]) / 2]
    ),
)
def histograms(seed):
    data = digits(seed)
    shares, flow = {}, {}
    for name, init in (("N(0, 0.01²)", gaussian(0.01)), ("N(0, 1)", gaussian(1.0)), ("Xavier", "lecun_normal")):
        pynn.manual_seed(seed)
        model = network([64, 100, 100, 100, 100, 100, 10], pynn.Tanh, init)
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.0))
        monitor = pynn.Monitor(on_problem="silent")
        monitor.watch(trainer)
        trainer.step(data.x[:500], data.y[:500])
        monitor.unwatch()
        tanhs = [layer for layer in monitor.stats.layers if layer.endswith("Tanh")]
        shares[name] = histogram(model, data.x[:500])
        sizes = [monitor.stats[layer]["gradient_rms"][0] for layer in tanhs]
        flow[name] = min(sizes) / max(sizes)
    return shares | {
        "in the middle bin, N(0, 0.01²)": shares["N(0, 0.01²)"][10],
        "in the outer bins, N(0, 1)": shares["N(0, 1)"][0] + shares["N(0, 1)"][-1],
        "in the largest bin, Xavier": shares["Xavier"].max(),
        "gradients, least over largest, Xavier": flow["Xavier"],
        "gradients, least over largest, N(0, 0.01²)": flow["N(0, 0.01²)"],
    }


def histogram(model, x):
    """Return the share of the last hidden layer's outputs in each bin."""
    for layer in model.layers[:-1]:
        x = layer.forward(x, pynn.Context())
    return np.histogram(x, EDGES)[0] / x.size
