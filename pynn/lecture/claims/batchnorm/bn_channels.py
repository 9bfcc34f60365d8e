"""Batch norm stands before the non-linearity; for images its statistics are per channel."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="Batch norm stands between the linear layer and the non-linearity, where it makes the bias superfluous; for "
    "images the statistics are per channel, over N, H and W.",
    source="Ioffe & Szegedy 2015, section 3.2",
    setup="A step of 20-30-5 with batch norm: the gradient of the bias in front of it. And 32 images of 4 channels, "
    "6x6, as rows of pixels: mean and variance per channel.",
    bands=[
        Band("gradient of the bias", 0.0, 0.0, why="the mean that is subtracted takes the bias with it"),
        Band("output without the bias", at_most=1e-5, why="the same but for float32 rounding"),
        Band("largest |mean| of a channel", at_most=1e-5, why="float32 rounding"),
        Band("largest |variance - 1| of a channel", at_most=1e-3, why="eps beside variances of 1 and more"),
    ],
)
def bn_channels(seed):
    pynn.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(64, 20)).astype(np.float32), rng.integers(0, 5, 64)
    model = pynn.Sequential(pynn.Linear(20, 30), pynn.BatchNorm1d(30), pynn.ReLU(), pynn.Linear(30, 5)).train()
    output = model(x)
    model.backward(pynn.CrossEntropyLoss()(output, y)[1])
    gradient = np.abs(model[0].bias.grad).max()
    model[0].bias[...] = 0

    images = rng.normal(3, 2, size=(32, 4, 6, 6)).astype(np.float32)
    rows = images.transpose(0, 2, 3, 1).reshape(-1, 4)
    normalized = pynn.Sequential(pynn.BatchNorm1d(4)).train()(rows).astype(np.float64)
    return {
        "gradient of the bias": gradient,
        "output without the bias": np.abs(model(x) - output).max(),
        "largest |mean| of a channel": np.abs(normalized.mean(axis=0)).max(),
        "largest |variance - 1| of a channel": np.abs(normalized.var(axis=0) - 1).max(),
    }
