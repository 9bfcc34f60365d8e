"""Optimisers, learning rate schedules and regularisers."""

from .base import Optimizer
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .regularizers import L1, L2, MaxNorm, Regularizer
from .schedules import CosineAnnealingLR, ExponentialLR, Schedule, StepLR, WarmupLR

__all__ = [
    "L1",
    "L2",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "MaxNorm",
    "Optimizer",
    "RMSprop",
    "Regularizer",
    "Schedule",
    "StepLR",
    "WarmupLR",
]
