"""The Numba backend: the NumPy kernels as plain serial loops, compiled at their first use and cached on disk."""

from . import activations, batchnorm, dropout, losses, matmul, optim, watch

__all__ = ["activations", "batchnorm", "dropout", "losses", "matmul", "optim", "watch"]
