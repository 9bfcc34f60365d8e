"""PCA decorrelates the data."""

import numpy as np

import pynn
from pynn.lecture import Band, experiment
from pynn.lecture.data import digits


@experiment(
    claim="In the eigenbasis of the covariance the data are decorrelated, and few axes hold most of the variance.",
    source="CS231n, Neural Networks Part 2, PCA and Whitening",
    setup="The digits' training part, turned by PCA.",
    bands=[
        Band("largest covariance left", at_most=1e-4, why="float32 rounding, against the mean variance"),
        Band("largest covariance before", 0.1, why="pixels of digits are correlated, or nothing is shown"),
        Band("variance in half of the axes", 0.95, why="what makes PCA useful to reduce dimensions"),
    ],
)
def pca_decorrelates(seed):
    x = digits(seed).x
    turned = pynn.preprocessing.PCA().fit_transform(x)
    variances = np.sort(turned.var(axis=0, dtype=np.float64))[::-1]
    return {
        "largest covariance left": largest_covariance(turned),
        "largest covariance before": largest_covariance(x),
        "variance in half of the axes": variances[: len(variances) // 2].sum() / variances.sum(),
    }


def largest_covariance(x):
    """Return the largest covariance of two features over the mean variance."""
    covariance = np.cov(x.astype(np.float64), rowvar=False)
    variances = np.diag(covariance)
    return np.abs(covariance - np.diag(variances)).max() / variances.mean()
