"""The gradient of batch norm goes through mean and variance by the chain rule."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import network


class FixedStatistics(pynn.BatchNorm1d):
    """A batch norm whose backward pass forgets that mean and variance depend on x."""

    def backward(self, dy, ctx):
        self.weight.grad[...] = (dy * (ctx.x - ctx.mean) * ctx.rstd).sum(axis=0)
        self.bias.grad[...] = dy.sum(axis=0)
        return dy * self.weight * ctx.rstd


@experiment(
    claim="Batch norm's backward pass goes by the chain rule through mean and variance.",
    source="Ioffe & Szegedy 2015, section 3",
    setup="8-16-16-4 with batch norm and tanh, 20 examples: the gradient against centred differences in float64, as "
    "it is and with mean and variance taken as constants.",
    bands=[
        Band("relative error", at_most=1e-7, why="the lecture's bound for smooth functions"),
        Band("relative error, constants", 1e-2, why="a wrong gradient is seen at once"),
    ],
)
def bn_gradient(seed):
    pynn.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 8)), rng.integers(0, 4, 20)
    right = network([8, 16, 16, 4], pynn.Tanh, "lecun_normal", batchnorm=True)
    wrong = pynn.Sequential(pynn.Linear(8, 16), FixedStatistics(16), pynn.Tanh(), pynn.Linear(16, 4))
    figures = {}
    for name, model in (("relative error", right), ("relative error, constants", wrong)):
        checks = pynn.gradcheck(model, pynn.CrossEntropyLoss(), x, y)
        # A bias in front of batch norm has the gradient 0, which has no relative error.
        figures[name] = max(check.error for check in checks if check.difference > 1e-9 or check.error < 1e-3)
    return figures
