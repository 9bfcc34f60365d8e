"""Remedies where the network's output, the loss and the targets do not belong together."""

from __future__ import annotations

from collections.abc import Iterator

from ...nn.layers import Dropout, Flatten
from ...nn.loss import FunctionLoss, Loss
from ...nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from ...utils.config import is_own
from .blueprint import Blueprint
from .judge import Kind
from .settings import new_loss
from .trials import Remedy

USUAL: dict[Kind, type[Loss]] = {"classes": CrossEntropyLoss, "binary": BCEWithLogitsLoss, "values": MSELoss}


def outputs(blueprint: Blueprint, kind: Kind) -> Iterator[Remedy]:
    """Yield the usual loss and the network without its last activation: both together, then each alone."""
    loss, plain = list(usual_loss(blueprint, kind)), list(without_last(blueprint))
    yield from (first + second for first in plain for second in loss)
    yield from (*loss, *plain)


def usual_loss(blueprint: Blueprint, kind: Kind) -> Iterator[Remedy]:
    """Yield pynn's usual loss in place of a custom one, or of one of values for classes."""
    loss = blueprint.loss
    own = isinstance(loss, FunctionLoss) or is_own(loss)
    if own or (kind == "classes" and loss.output_kind == "values"):
        instead = USUAL[kind]()
        old = "the loss of your own" if own else type(loss).__name__
        yield new_loss(f"{type(instead).__name__} instead of {old}", instead)


def without_last(blueprint: Blueprint) -> Iterator[Remedy]:
    """Yield the network without a final layer that has no parameters, such as a redundant softmax."""
    last = blueprint.layers[-1]
    if len(blueprint.layers) > 1 and not last.parameters() and not isinstance(last, Flatten | Dropout):
        name = type(last).__name__
        yield Remedy(f"without {name} at the end", f"leave out {name}()", "own layers", _drop_last)


def _drop_last(blueprint: Blueprint) -> None:
    del blueprint.layers[-1]
