"""The layers. Each is thin: shapes, parameters, one call forward, one call back."""

from .activations import ELU, GELU, SELU, LeakyReLU, PReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .base import Layer
from .batchnorm import BatchNorm1d
from .linear import Linear
from .maxout import Maxout
from .shaping import Dropout, Flatten

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "BatchNorm1d",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "Linear",
    "Maxout",
    "PReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
]
