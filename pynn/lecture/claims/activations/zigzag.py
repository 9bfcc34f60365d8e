"""Inputs that are all positive make the updates zig-zag."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="If the gradients on a unit's weights have one sign throughout, the updates zig-zag.",
    source="CS231n, Neural Networks Part 1, Sigmoid",
    setup="One unit with 20 inputs learns a linear function of mixed signs, example by example; inputs uniform in [0, "
    "1] against the same inputs less 1/2. Steps until the squared error is 1% of the target's variance, each at the "
    "best of seven rates; and how much longer the path of the weights is than the straight way.",
    bands=[
        Band("steps, positive over centred", 1.5, why="a slowdown that is worth centring for"),
        Band("detour, positive over centred", 1.2, why="a zig-zag is a detour; a fifth longer can be seen"),
    ],
    quick={"most": 50},
)
def zigzag(seed, most=4000):
    rng = np.random.default_rng(seed)
    inputs, slope = rng.random((most, 20)), rng.normal(size=(20, 1))
    best = {}
    for name, shift in (("positive", 0.0), ("centred", 0.5)):
        x = inputs - shift
        y = x @ slope
        runs = [learn(x, y, rate) for rate in 0.32 / 2.0 ** np.arange(7)]
        best[name] = min(runs)
    return {
        "steps, positive over centred": best["positive"][0] / best["centred"][0],
        "detour, positive over centred": best["positive"][1] / best["centred"][1],
    }


def learn(x, y, rate):
    """Return the number of steps, and the length of the weights' path over the distance from start to end."""
    model = pynn.Sequential(pynn.Linear(20, 1, bias=False, init="zeros"))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(rate))
    weight = model[0].weight
    length = 0.0
    for step in range(len(x)):
        before = weight[...].copy()
        if trainer.step(x[step : step + 1], y[step : step + 1]) > 1e6:
            return float("inf"), float("inf")  # the rate is too high
        length += np.linalg.norm(weight - before)
        if step % 10 == 0 and trainer.evaluate(x[:500], y[:500])["loss"] < 0.01 * y.var():
            break
    return step + 1, length / np.linalg.norm(weight)
