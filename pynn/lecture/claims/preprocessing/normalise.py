"""Normalise features of different scales."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.networks import network


@experiment(
    claim="Features of different scales should be normalised to a standard deviation of 1.",
    source="CS231n, Neural Networks Part 2, Data Preprocessing",
    setup="Ten overlapping clouds in 20 dimensions, each feature times 10^uniform(-2, 2); 20-64-10 with ReLU, 20 "
    "epochs of Adam at the best of three rates. Validation accuracy.",
    bands=[
        Band("accuracy gained", 0.05, why="a gain that nobody would give away"),
        Band("largest |std - 1|", at_most=1e-3, why="float32 rounding"),
    ],
    quick={"epochs": 1},
)
def normalise(seed, epochs=20):
    x, y = pynn.datasets.blobs(2000, classes=10, features=20, std=8.0, seed=seed)
    x *= (10 ** np.random.default_rng(seed).uniform(-2, 2, 20)).astype(np.float32)
    x, xv, y, yv = pynn.datasets.train_test_split(x, y, seed=seed)
    standardize = pynn.preprocessing.Standardize().fit(x)
    accuracy = {}
    for name, train, held_out in (("raw", x, xv), ("normalised", standardize.transform(x), standardize.transform(xv))):
        accuracy[name] = 0.0
        for rate in (1e-3, 3e-3, 1e-2):
            pynn.manual_seed(seed)
            trainer = pynn.Trainer(
                network([20, 64, 10], pynn.ReLU), pynn.CrossEntropyLoss(), pynn.Adam(rate), seed=seed
            )
            trainer.fit(train, y, epochs=epochs)
            accuracy[name] = max(accuracy[name], trainer.evaluate(held_out, yv)["accuracy"])
    spread = standardize.transform(x).std(axis=0, dtype=np.float64)
    return {
        "accuracy gained": accuracy["normalised"] - accuracy["raw"],
        "largest |std - 1|": np.abs(spread - 1).max(),
        "accuracy, raw": accuracy["raw"],
        "accuracy, normalised": accuracy["normalised"],
    }
