"""Batch norm can undo itself: the layer loses no capacity."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="Scale and shift can undo the normalisation: gamma = sqrt(var), beta = mean restores the identity.",
    source="Ioffe & Szegedy 2015, section 3",
    setup="50 features of spread 3 around 5, a batch of 64, float64, gamma = sqrt(var + eps).",
    bands=[Band("largest difference from x", at_most=1e-12, why="float64 rounding")],
)
def bn_identity(seed):
    x = np.random.default_rng(seed).normal(5, 3, size=(64, 50))
    layer = pynn.BatchNorm1d(50, dtype=np.float64)
    layer.weight[...] = np.sqrt(x.var(axis=0) + layer.eps)
    layer.bias[...] = x.mean(axis=0)
    return {"largest difference from x": np.abs(pynn.Sequential(layer).train()(x) - x).max()}
