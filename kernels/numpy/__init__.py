"""The NumPy backend: the specification of every kernel. Clear before fast; always available."""

from . import (
    activations,
    batchnorm,
    channels,
    conv,
    dropout,
    groupnorm,
    losses,
    matmul,
    optim,
    pooling,
    watch,
)

__all__ = [
    "activations",
    "batchnorm",
    "channels",
    "conv",
    "dropout",
    "groupnorm",
    "losses",
    "matmul",
    "optim",
    "pooling",
    "watch",
]
