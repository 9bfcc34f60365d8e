"""PyTorch's optimisers as pynn's, for what a monitor asks of them: rate, momentum, weight decay, and their kind."""

from __future__ import annotations

from typing import Any

from ..optim.base import Optimizer
from ..optim.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

#: Kinds by name; any other optimiser counts as one that divides by the size of past gradients.
_KINDS: dict[str, type[Optimizer]] = {"SGD": SGD, "AdamW": AdamW, "RMSprop": RMSprop, "Adagrad": Adagrad}


def optimizer_like(optimizer: Any) -> Optimizer:
    """Return an optimiser with the settings of the first parameter group, named as PyTorch's."""
    group = optimizer.param_groups[0]
    name = type(optimizer).__name__
    kind = _KINDS.get(name, AdamW if group.get("decoupled_weight_decay") else Adam)
    settings: dict[str, Any] = {"weight_decay": float(group.get("weight_decay", 0.0))}
    if "momentum" in group and kind in (SGD, RMSprop):
        settings["momentum"] = float(group["momentum"])
    named: type[Optimizer] = type(name, (kind,), {"__module__": __name__})
    return named(float(group["lr"]), **settings)


def updated(optimizer: Any) -> set[int]:
    """Return the ids of the tensors that an optimiser updates."""
    return {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
