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

#: An optimiser update is one compiled call that allocates nothing: it is made wholly or not at all.
WHOLE_UPDATES = True
