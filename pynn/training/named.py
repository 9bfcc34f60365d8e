"""Hidden layers, losses, optimisers and schedules by the names that commands and recipes give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from ..nn import layers
from ..nn.loss import Loss
from ..nn.losses import CrossEntropyLoss, FocalLoss, HingeLoss, MSELoss, MultiMarginLoss
from ..nn.regression_losses import HuberLoss, L1Loss, QuantileLoss
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

#: The losses of classes, from the classes' weights or None, and those of amounts, from the unit of the targets: the
#: first of each is the usual one. A quantile is that in "quantile=0.9".
CLASS_LOSSES: dict[str, Callable[[Sequence[float] | None], Loss]] = {
    "cross_entropy": CrossEntropyLoss,
    "focal": lambda weights: FocalLoss(alpha=weights),
    "hinge": lambda _: HingeLoss(),
    "multi_margin": lambda _: MultiMarginLoss(),
}
AMOUNT_LOSSES: dict[str, Callable[[float], Loss]] = {
    "mse": lambda _: MSELoss(),
    "l1": lambda _: L1Loss(),
    "huber": lambda unit: HuberLoss(delta=unit),
    "quantile": lambda _: QuantileLoss(),
}
#: Losses that take weights of the classes.
WEIGHTED_LOSSES = ("cross_entropy", "focal")

#: Each optimiser with its default learning rate and weight decay.
OPTIMIZERS: dict[str, tuple[Callable[..., optim.Optimizer], float, float]] = {
    "sgd": (lambda **rates: optim.SGD(momentum=0.9, **rates), 0.05, 1e-4),
    "nesterov": (lambda **rates: optim.SGD(momentum=0.9, nesterov=True, **rates), 0.05, 1e-4),
    "adagrad": (optim.Adagrad, 0.02, 1e-4),
    "rmsprop": (optim.RMSprop, 1e-3, 1e-4),
    "adam": (optim.Adam, 3e-3, 1e-4),
    "adamw": (optim.AdamW, 3e-3, 1e-2),
}


def make_hidden_layers(
    features: int, widths: Sequence[int], activation: str, *, batchnorm: bool, dropout: float
) -> list[layers.Layer]:
    """Return fully connected layers of these widths, each followed by batch norm, activation and dropout.

    Examples
    --------
    >>> [type(layer).__name__ for layer in make_hidden_layers(4, (8,), "relu", batchnorm=True, dropout=0)]
    ['Linear', 'BatchNorm1d', 'ReLU']
    """
    make_activation, init = ACTIVATIONS[activation]
    chain: list[layers.Layer] = []
    for before, width in pairwise((features, *widths)):
        chain.append((layers.Maxout if make_activation is None else layers.Linear)(before, width, init=init))
        if batchnorm:
            chain.append(layers.BatchNorm1d(width))
        if make_activation is not None:
            chain.append(make_activation())
        if dropout:
            chain.append(layers.Dropout(dropout))
    return chain


def make_optimizer(name: str, lr: float | None = None, weight_decay: float | None = None) -> optim.Optimizer:
    """Return the optimiser of a name; a rate or weight decay of None is its default.

    Examples
    --------
    >>> make_optimizer("adagrad", weight_decay=0.0).lr
    0.02
    """
    make, usual_lr, usual_decay = OPTIMIZERS[name]
    return make(lr=usual_lr if lr is None else lr, weight_decay=usual_decay if weight_decay is None else weight_decay)


def make_schedule(name: str, epochs: int) -> schedules.Schedule | None:
    """Return the schedule of a name: "cosine", "step", or "none"."""
    if name == "cosine":
        return schedules.CosineAnnealingLR(epochs)
    return schedules.StepLR(max(1, -(-epochs // 3))) if name == "step" else None


def make_loss(
    name: str | None, *, classes: bool, class_weight: Sequence[float] | None = None, unit: float = 1.0
) -> Loss:
    """Return the loss of a name; None is the usual one.

    Parameters
    ----------
    name : str or None
        One of `CLASS_LOSSES` or `AMOUNT_LOSSES`; a quantile other than the median is "quantile=0.9".
    classes : bool
        Whether the targets are classes, not amounts.
    class_weight : sequence of float, optional
    unit : float
        The size of an error from which "huber" grows linearly: 1 for targets that the network sees standardized.

    Raises
    ------
    ValueError
        If the loss does not fit the targets or the weights; the message names those that do.

    Examples
    --------
    >>> make_loss(None, classes=True)
    CrossEntropyLoss(weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0)
    >>> make_loss("quantile=0.9", classes=False).quantile
    0.9
    """
    known = CLASS_LOSSES if classes else AMOUNT_LOSSES
    name = next(iter(known)) if name is None else name
    if not classes and name.startswith("quantile="):
        return QuantileLoss(_quantile(name))
    if name not in known:
        what = "classes" if classes else "amounts"
        raise ValueError(f"the loss {name!r} is not one of those for {what}: {', '.join(known)}")
    if not classes:
        return AMOUNT_LOSSES[name](unit)
    if class_weight is not None and name not in WEIGHTED_LOSSES:
        raise ValueError(f"the loss {name!r} takes no class weights; expected {' or '.join(WEIGHTED_LOSSES)}")
    return CLASS_LOSSES[name](class_weight)


def _quantile(name: str) -> float:
    try:
        quantile = float(name.removeprefix("quantile="))
    except ValueError:
        quantile = 0.0
    if not 0 < quantile < 1:
        raise ValueError(f"the loss {name!r} has no number between 0 and 1 after the =, such as quantile=0.9")
    return quantile
