"""scikit-learn's estimators on pynn's networks: perceptrons with scikit-learn's parameters, and any network.

Needs scikit-learn, the extra "sklearn".
"""

from importlib.util import find_spec

if find_spec("sklearn") is None:
    raise ImportError('estimators need scikit-learn: pip install "pynn-kernels[sklearn]"')

from .classifier import MLPClassifier
from .network import NetworkClassifier, NetworkRegressor
from .regressor import MLPRegressor
from .tabular import TabularClassifier, TabularRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "TabularClassifier",
    "TabularRegressor",
]
