"""Prepare data for training: centre, scale, decorrelate, whiten.

Transformers compute their statistics with `fit` (or incrementally with `partial_fit`) and apply them with `transform`.
Fit them only to the training data, and apply them to validation and test data. They follow scikit-learn's conventions
and work in its pipelines, but do not depend on it.
"""

from .base import NotFittedError, Transformer
from .channels import ChannelCenter, ChannelStandardize
from .decorrelate import PCA, ZCA, PCAWhiten
from .pipeline import Pipeline
from .scaling import Center, MinMax, Standardize
from .serialize import from_state, to_state

__all__ = [
    "PCA",
    "ZCA",
    "Center",
    "ChannelCenter",
    "ChannelStandardize",
    "MinMax",
    "NotFittedError",
    "PCAWhiten",
    "Pipeline",
    "Standardize",
    "Transformer",
    "from_state",
    "to_state",
]
