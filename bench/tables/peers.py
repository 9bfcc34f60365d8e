"""The contestants other than pynn, all with their defaults; those of scikit-learn on standardized inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

#: Learns from inputs and targets, predicts for other inputs; targets are class indices or float64.
Contestant = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def peer(name: str, task: str) -> Contestant:
    """Return a contestant: "mlp", "mlp early stopping", "linear", "boosting" or "realmlp".

    Networks regress on standardized targets, without which MLPRegressor fails on prices.
    """
    regression = task == "regression"
    if name == "realmlp":
        return _realmlp(regression)

    def predict(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        estimator: Any = make_pipeline(StandardScaler(), _estimator(name, regression, seed))
        if regression:
            estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of networks that have not converged
            return np.asarray(estimator.fit(x, y).predict(x_test))

    return predict


def _estimator(name: str, regression: bool, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if name == "linear":
        return Ridge() if regression else LogisticRegression(max_iter=1000)
    if name == "boosting":
        return (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(random_state=seed)
    network = MLPRegressor if regression else MLPClassifier
    return network(early_stopping=name == "mlp early stopping", random_state=seed)


def _realmlp(regression: bool) -> Contestant:
    """Return RealMLP-TD-S of pytabkit, which scales inputs and targets itself (Holzmueller et al. 2024)."""

    def predict(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
        from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

        network = RealMLP_TD_S_Regressor if regression else RealMLP_TD_S_Classifier
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies
            estimator = network(random_state=seed, n_threads=1, device="cpu", verbosity=0).fit(x, y)
            return np.asarray(estimator.predict(x_test)).reshape(len(x_test))

    return predict
