"""Batch norm gives each feature mean 0 and variance 1 over the minibatch."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="Batch norm normalises each feature over the minibatch to mean 0 and variance 1.",
    source="Ioffe & Szegedy 2015, algorithm 1",
    setup="100 features of means and spreads from 0.01 to 100, a batch of 64, float32.",
    bands=[
        Band("largest |mean|", at_most=1e-4, why="float32 rounding of inputs a hundred spreads from 0"),
        Band(
            "largest |variance - 1|", at_most=0.15, why="eps = 1e-5 beside the least variance, (0.01)² = 1e-4, takes 9%"
        ),
        Band("largest |variance - 1|, spread above 0.1", at_most=0.002, why="eps takes a thousandth of (0.1)²"),
    ],
)
def bn_normalises(seed):
    rng = np.random.default_rng(seed)
    spread = 10 ** rng.uniform(-2, 2, 100)
    x = (spread * (rng.normal(size=(64, 100)) + rng.normal(size=100))).astype(np.float32)
    y = pynn.Sequential(pynn.BatchNorm1d(100)).train()(x).astype(np.float64)
    off = np.abs(y.var(axis=0) - 1)
    return {
        "largest |mean|": np.abs(y.mean(axis=0)).max(),
        "largest |variance - 1|": off.max(),
        "largest |variance - 1|, spread above 0.1": off[x.std(axis=0) > 0.1].max(),
    }
