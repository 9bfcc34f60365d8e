"""The Numba backend: the NumPy kernels as plain serial loops, compiled at their first use and cached on disk."""

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
