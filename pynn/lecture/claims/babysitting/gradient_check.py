"""Gradient check: centred differences, h = 1e-5, float64."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import network


def numeric(f, w, h, centred=True):
    """Return the gradient of f at w by differences."""
    gradient = np.empty_like(w[...])
    for index in np.ndindex(w.shape):
        value = w[index]
        w[index] = value + h
        above = f()
        w[index] = value - h if centred else value
        gradient[index] = (above - f()) / (2 * h if centred else h)
        w[index] = value
    return gradient


@experiment(
    claim="Centred differences with h = 1e-5 in float64 agree with the gradient to 1e-7 where the function is smooth "
    "and to 1e-4 where it has kinks.",
    source="CS231n, Neural Networks Part 3, Gradient checks",
    setup="10-20-4 on 8 random examples, the first weight matrix: tanh and ReLU; one-sided differences; float32. "
    "Relative error: the norm of the difference over the sum of the norms.",
    bands=[
        Band("error, tanh", at_most=1e-7, why="the lecture's bound"),
        Band("error, ReLU", at_most=1e-4, why="the lecture's bound"),
        Band("one-sided over centred", 100, why="h against h²: orders of magnitude"),
        Band("error, float32", 1e-4, why="in float32 the check would pass nothing"),
    ],
)
def gradient_check(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 10)), rng.integers(0, 4, 8)
    loss = pynn.CrossEntropyLoss()

    def error(activation, dtype=np.float64, centred=True):
        pynn.manual_seed(seed)
        model = network([10, 20, 4], activation, "lecun_normal").astype(dtype).train()
        model.backward(loss(model(x), y)[1])
        analytic = model[0].weight.grad.copy()
        found = numeric(lambda: loss(model(x), y)[0], model[0].weight, 1e-5, centred)
        return np.linalg.norm(analytic - found) / (np.linalg.norm(analytic) + np.linalg.norm(found))

    smooth = error(pynn.Tanh)
    return {
        "error, tanh": smooth,
        "error, ReLU": error(pynn.ReLU),
        "one-sided over centred": error(pynn.Tanh, centred=False) / smooth,
        "error, float32": error(pynn.Tanh, np.float32),
    }
