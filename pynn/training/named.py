"""Activations, optimisers and schedules by the names that commands and recipes give them."""

from __future__ import annotations

from collections.abc import Callable

from ..nn import layers
from ..optim import optimizers as optim
from ..optim import schedules

#: Each activation, and the initialisation that preserves the variance of its signals; maxout takes the place of Linear.
ACTIVATIONS: dict[str, tuple[Callable[[], layers.Layer] | None, str]] = {
    "relu": (layers.ReLU, "he_normal"),
    "leaky_relu": (layers.LeakyReLU, "he_normal"),
    "prelu": (layers.PReLU, "he_normal"),
    "elu": (layers.ELU, "he_normal"),
    "selu": (layers.SELU, "lecun_normal"),
    "tanh": (layers.Tanh, "lecun_normal"),
    "sigmoid": (layers.Sigmoid, "xavier_normal"),
    "softplus": (layers.Softplus, "he_normal"),
    "gelu": (layers.GELU, "he_normal"),
    "silu": (layers.SiLU, "he_normal"),
    "mish": (layers.Mish, "he_normal"),
    "hardswish": (layers.Hardswish, "he_normal"),
    "celu": (layers.CELU, "he_normal"),
    "relu6": (layers.ReLU6, "he_normal"),
    "softsign": (layers.Softsign, "lecun_normal"),
    "hardtanh": (layers.Hardtanh, "lecun_normal"),
    "hardsigmoid": (layers.Hardsigmoid, "xavier_normal"),
    "logsigmoid": (layers.LogSigmoid, "he_normal"),
    "maxout": (None, "lecun_normal"),
}

#: Each optimiser with its default learning rate and weight decay.
OPTIMIZERS: dict[str, tuple[Callable[..., optim.Optimizer], float, float]] = {
    "sgd": (lambda **rates: optim.SGD(momentum=0.9, **rates), 0.05, 1e-4),
    "nesterov": (lambda **rates: optim.SGD(momentum=0.9, nesterov=True, **rates), 0.05, 1e-4),
    "adagrad": (optim.Adagrad, 0.02, 1e-4),
    "rmsprop": (optim.RMSprop, 1e-3, 1e-4),
    "adam": (optim.Adam, 3e-3, 1e-4),
    "adamw": (optim.AdamW, 3e-3, 1e-2),
}


def make_schedule(name: str, epochs: int) -> schedules.Schedule | None:
    """Return the schedule of a name: "cosine", "step", or "none"."""
    if name == "cosine":
        return schedules.CosineAnnealingLR(epochs)
    return schedules.StepLR(max(1, -(-epochs // 3))) if name == "step" else None
