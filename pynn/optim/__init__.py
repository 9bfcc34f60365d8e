"""Optimisers, learning rate schedules and regularisers."""

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
    "L1",
    "L2",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
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
