"""Slopes of a network's outputs along its parameters: by the backward pass, and by finite differences."""

import numpy as np

import pynn
from pynn.nn.random import Stream

#: Of the differences; one without a kink within it is enough.
STEPS = (1e-6, 1e-7, 3e-8, 1e-5)


def wrong_slopes(model, shape, rng, rows=6):
    """Return the trained parameters whose gradient no finite difference confirms, with both slopes.

    The slope is that of a random sum of the outputs, float64 in training mode, along a random direction.
    """
    x = rng.standard_normal((rows, *shape))

    def run():
        ctx = pynn.Context(training=True, random=Stream(5))  # dropout drops the same
        return model.forward(x, ctx), ctx

    y, ctx = run()
    dy = rng.standard_normal(y.shape)
    model.backward(dy.copy(), ctx)
    wrong = {}
    # By definition no gradient, though the outputs depend on it.
    padding = {
        id(layer.weight): layer.padding_idx
        for layer in model.all_layers()
        if isinstance(layer, pynn.Embedding) and layer.padding_idx is not None
    }
    for name, parameter in model.named_parameters():
        if parameter.frozen:
            continue
        direction, start = rng.standard_normal(parameter.shape), parameter.data.copy()
        if id(parameter) in padding:
            direction[padding[id(parameter)]] = 0
        analytic, measured = float(np.vdot(parameter.grad, direction)), []
        for step in STEPS:
            ends = []
            for signed in (step, -step):
                parameter.data[...] = start + signed * direction
                ends.append(float(np.vdot(run()[0], dy)))
            parameter.data[...] = start
            slope = (ends[0] - ends[1]) / (2 * step)
            rounding = 1e-15 * max(map(abs, ends)) / step
            if abs(slope - analytic) <= 1e-4 * max(abs(slope), abs(analytic)) + 10 * rounding + 1e-7:
                break
            measured.append(slope)
        else:
            wrong[name] = analytic, measured
    return wrong
