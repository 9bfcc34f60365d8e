"""Whitening makes the covariance the identity."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment


@experiment(
    claim="Whitening (eps 1e-5) gives every direction the variance 1: the covariance becomes the identity.",
    source="CS231n, Neural Networks Part 2, PCA and Whitening",
    setup="2000 examples of 30 Gaussian features of spreads 0.5 to 5, mixed by a rotation; PCA whitening and ZCA.",
    bands=[
        Band("off the identity, PCA", at_most=1e-3, why="eps over the least variance, and float32 rounding"),
        Band("off the identity, ZCA", at_most=1e-3, why="eps over the least variance, and float32 rounding"),
        Band("off the identity before", 0.5, why="the features are mixed, or nothing is shown"),
    ],
)
def whitening(seed):
    rng = np.random.default_rng(seed)
    rotation = pynn.init.orthogonal((30, 30), rng=rng)
    x = (rng.normal(size=(2000, 30)) * np.linspace(0.5, 5, 30) @ rotation).astype(np.float32)
    return {
        "off the identity, PCA": off_identity(pynn.preprocessing.PCAWhiten().fit_transform(x)),
        "off the identity, ZCA": off_identity(pynn.preprocessing.ZCA().fit_transform(x)),
        "off the identity before": off_identity(x),
    }


def off_identity(x):
    """Return the largest difference between the covariance and the identity."""
    return np.abs(np.cov(x.astype(np.float64), rowvar=False) - np.eye(x.shape[1])).max()
