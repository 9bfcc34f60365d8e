"""The NumPy backend: the specification of every kernel. Clear before fast; always available."""

from . import activations, batchnorm, dropout, losses, matmul, optim, watch

__all__ = ["activations", "batchnorm", "dropout", "losses", "matmul", "optim", "watch"]
