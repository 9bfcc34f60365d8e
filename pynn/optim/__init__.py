"""Optimisers, learning rate schedules and regularisers."""

from .averaging import EMA, SWA, Averaging
from .base import Optimizer
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .regularizers import L1, L2, MaxNorm, Regularizer
from .schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    OneCycleLR,
    Schedule,
    StepLR,
    WarmupLR,
)

__all__ = [
    "EMA",
    "L1",
    "L2",
    "SGD",
    "SWA",
    "Adagrad",
    "Adam",
    "AdamW",
    "Averaging",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LambdaLR",
    "MaxNorm",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "Regularizer",
    "Schedule",
    "StepLR",
    "WarmupLR",
]
