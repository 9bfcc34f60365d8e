"""It is not covariate shift as such: batch norm helps even if the shift is put back."""

import numpy as np

import pynn
from pynn.lecture import Band, Lines, experiment
from pynn.lecture.data import digits


class Shift(pynn.Layer):
    """Scale and shift each feature at random, anew at every training step: covariate shift made to order."""

    def __init__(self, features, seed):
        super().__init__()
        self.features, self.seed = features, seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x, ctx):
        if not ctx.training:
            return x
        ctx.scale = self.rng.uniform(0.5, 1.5, self.features).astype(x.dtype)
        return x * ctx.scale + self.rng.uniform(-0.5, 0.5, self.features).astype(x.dtype)

    def backward(self, dy, ctx):
        return dy * ctx.scale


def hidden(kind, width, seed):
    """Return the layers of one hidden layer."""
    layers = [pynn.Linear(width, 100, init=lambda shape: pynn.init.normal(shape, 0.1))]
    if kind != "plain":
        layers.append(pynn.BatchNorm1d(100))
    if kind == "batch norm and shift":
        layers.append(Shift(100, seed))
    return [*layers, pynn.Sigmoid()]


@experiment(
    claim="Batch norm works not because it removes covariate shift: with random shifts put in behind it, it still "
    "trains better than no batch norm.",
    source="CS231n, notes on batch normalization; the test is Santurkar et al. 2018, figure 2",
    setup="64-100-100-100-100-10 with sigmoids, weights N(0, 0.1²), 15 epochs of SGD with momentum at 0.1: plain, with "
    "batch norm, and with batch norm and random scales and shifts behind it, anew at every step.",
    bands=[
        Band("accuracy, shifted less plain", 0.1, why="still clearly better than without"),
        Band("accuracy, batch norm less shifted", at_most=0.1, why="and most of the gain is kept"),
    ],
    lines=Lines("epoch", "training loss"),
    quick={"epochs": 1},
)
def bn_not_covariate_shift(seed, epochs=15):
    data = digits(seed)
    curves, accuracy = {}, {}
    for kind in ("plain", "batch norm", "batch norm and shift"):
        pynn.manual_seed(seed)
        layers = [layer for i in range(4) for layer in hidden(kind, 100 if i else 64, seed + i)]
        model = pynn.Sequential(*layers, pynn.Linear(100, 10, init="xavier_normal"))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1, momentum=0.9), seed=seed)
        curves[kind] = trainer.fit(data.x, data.y, epochs=epochs, batch_size=64)["loss"]
        accuracy[kind] = trainer.evaluate(data.x, data.y)["accuracy"]
    return curves | {
        "accuracy, shifted less plain": accuracy["batch norm and shift"] - accuracy["plain"],
        "accuracy, batch norm less shifted": accuracy["batch norm"] - accuracy["batch norm and shift"],
    }
