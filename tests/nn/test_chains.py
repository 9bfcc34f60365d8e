"""Gradients of chains of layers: what is fused, or known to cancel, changes nothing."""

import itertools

import numpy as np
import pytest

import pynn
from pynn.nn.random import Stream

FIRST = {
    "Linear": (lambda: pynn.Linear(3, 4, dtype="float64"), (3,)),
    "Conv1d": (lambda: pynn.Conv1d(3, 4, 3, dtype="float64"), (3, 6)),
    "Conv2d": (lambda: pynn.Conv2d(3, 4, 3, dtype="float64"), (3, 5, 6)),
    "ConvTranspose2d": (lambda: pynn.ConvTranspose2d(3, 4, 2, dtype="float64"), (3, 4, 3)),
    "Maxout": (lambda: pynn.Maxout(3, 4, dtype="float64"), (3,)),
    "a chain": (lambda: pynn.Sequential(pynn.Linear(3, 4, dtype="float64")), (3,)),
    "Residual": (lambda: pynn.Residual(pynn.Linear(3, 3, dtype="float64"), pynn.Linear(3, 3, dtype="float64")), (3,)),
}
BETWEEN = {
    "nothing": lambda width: (),
    "ReLU": lambda width: (pynn.ReLU(),),
    "Tanh": lambda width: (pynn.Tanh(),),
    "GELU": lambda width: (pynn.GELU(),),
    "Hardtanh": lambda width: (pynn.Hardtanh(-2, 2),),
    "PReLU": lambda width: (pynn.PReLU(width, dtype="float64"),),
    "Dropout": lambda width: (pynn.Dropout(0.3),),
    "Identity, ReLU": lambda width: (pynn.Identity(), pynn.ReLU()),
}
NORMS = {
    "BatchNorm": lambda width, places: (pynn.BatchNorm2d if places == 2 else pynn.BatchNorm1d)(width, dtype="float64"),
    "GroupNorm": lambda width, places: pynn.GroupNorm(1, width, dtype="float64"),
}


def slopes(model, shape, rng):
    """Return the slope along a random direction of each parameter, by the backward pass and by finite differences."""
    x = rng.standard_normal((6, *shape))

    def run():
        ctx = pynn.Context(training=True, random=Stream(5))
        return model.forward(x, ctx), ctx

    y, ctx = run()
    dy = rng.standard_normal(y.shape)
    model.backward(dy, ctx)
    found = {}
    for name, parameter in model.named_parameters():
        direction, start = rng.standard_normal(parameter.shape), parameter.data.copy()
        analytic = float(np.vdot(parameter.grad, direction))
        ends = []
        for step in (1e-6, -1e-6):
            parameter.data[...] = start + step * direction
            ends.append(float(np.vdot(run()[0], dy)))
        parameter.data[...] = start
        found[name] = analytic, (ends[0] - ends[1]) / 2e-6
    return found


@pytest.mark.parametrize("order", ["before the norm", "behind it"])
@pytest.mark.parametrize(("first", "between", "norm"), list(itertools.product(FIRST, BETWEEN, NORMS)))
def test_gradients_of_a_layer_an_activation_and_a_norm(first, between, norm, order, backend, rng):
    make, shape = FIRST[first]
    width = 3 if first == "Residual" else 4
    middle, last = BETWEEN[between](width), NORMS[norm](width, len(shape) - 1)
    pynn.manual_seed(0)
    model = pynn.Sequential(make(), *((*middle, last) if order == "before the norm" else (last, *middle)))
    for parameter in model.parameters():
        parameter[...] = parameter.data + 0.3 * rng.standard_normal(parameter.shape)
    for name, (analytic, numeric) in slopes(model, shape, rng).items():
        assert analytic == pytest.approx(numeric, rel=1e-5, abs=1e-6), name
