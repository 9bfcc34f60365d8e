"""Batch norm simplifies whitening twice: per feature, and per minibatch."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits


@experiment(
    claim="Batch norm is whitening with two simplifications: each feature for itself, and by the minibatch instead of "
    "the whole set.",
    source="Ioffe & Szegedy 2015, section 3",
    setup="16 random projections of the digits: the largest correlation of two features behind batch norm and behind "
    "whitening of the whole set; how far the means of batches of 64 lie from that of the set.",
    bands=[
        Band("correlation, batch norm", 0.3, why="correlations are left as they were"),
        Band("correlation, whitening", at_most=0.01, why="none is left"),
        Band("batch mean off the set's, in std", 0.08, 0.17, why="1/sqrt(64) = 0.125, give or take a third"),
    ],
)
def bn_simplifies(seed):
    x = digits(seed).x
    rng = np.random.default_rng(seed)
    x = (x @ rng.normal(size=(64, 16))).astype(np.float32)
    normalized = pynn.Sequential(pynn.BatchNorm1d(16)).train()(x)
    whitened = pynn.preprocessing.PCAWhiten().fit_transform(x)
    means = [normalized[rng.permutation(len(x))[:64]].mean(axis=0) for _ in range(50)]
    return {
        "correlation, batch norm": largest_correlation(normalized),
        "correlation, whitening": largest_correlation(whitened),
        "batch mean off the set's, in std": np.std(means),
    }


def largest_correlation(x):
    """Return the largest correlation of two features."""
    return np.abs(np.corrcoef(x, rowvar=False) - np.eye(x.shape[1])).max()
