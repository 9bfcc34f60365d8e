"""Which networks are cross-fitted to a small table: chosen by ``bench/tables`` on its part for tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

#: Tables with more rows than this can spare a part to validate and to test one network.
MOST_ROWS = 5000
FOLDS = 5
#: Standardized inputs are compressed into (-LIMIT, LIMIT).
LIMIT = 8.0
#: Maximum number of steps of a network, within a minimum and a maximum of epochs; patience as a share of the epochs.
STEPS, EPOCHS, PATIENCE = 5000, (30, 150), 0.2
#: Maximum number of first-layer units of the additive network.
MOST_BENDS = 400
#: Options that shape the network: if one is given, only the network that it describes is trained.
SHAPING = ("hidden", "batchnorm")


@dataclass(frozen=True)
class Recipe:
    """A kind of network, and how it is trained.

    Attributes
    ----------
    name : str
    hidden : tuple of int
        Widths of the hidden layers.
    knots : int
        If not 0, the first layer starts with `knots` ReLUs for each input that is not an indicator, which bend at its
        quantiles. Without hidden layers, the network is then a sum of functions of one input each, piecewise linear
        at the start.
    skip : bool
        Whether a linear path around the hidden layers is added.
    dropout : float
    optimizer, lr, weight_decay, schedule, epochs, batch_size
        A `lr` or `weight_decay` of None is the optimizer's usual one.
    early_stopping : bool
        Whether training stops after `patience` epochs without a lower loss on the fold, and the best weights are kept.
    """

    name: str
    hidden: tuple[int, ...] = ()
    knots: int = 0
    skip: bool = False
    dropout: float = 0.0
    input_dropout: float = 0.0
    batchnorm: bool = False
    activation: str = "relu"
    optimizer: str = "adamw"
    lr: float | None = 3e-3
    weight_decay: float | None = 1e-2
    schedule: str = "none"
    epochs: int = 100
    batch_size: int = 32
    early_stopping: bool = True
    patience: int = 20


KINDS = (
    Recipe("linear", lr=1e-2),
    Recipe("additive", knots=8, skip=True, dropout=0.2, weight_decay=2e-2),
    Recipe("narrow", hidden=(32,), skip=True, dropout=0.2),
    # Piecewise linear encodings of the numbers, then a hidden layer (Gorishniy et al. 2022). On 29 tables, this fifth
    # kind raised R2 and accuracy by 0.002, and the mean rank among five libraries from 1.74 to 1.60.
    Recipe("encoded", hidden=(64,), knots=8, skip=True, dropout=0.2),
    Recipe("deep", hidden=(64, 64), dropout=0.2),
)


def recipes(rows: int, given: Mapping[str, Any]) -> list[Recipe]:
    """Return the kinds of networks to cross-fit to a table.

    Parameters
    ----------
    rows : int
    given : mapping
        The fields of `Recipe` that the user chose; None, or absent, means that the recipe decides. With `hidden` or
        `batchnorm` there is one kind only, the network that the user describes; an optimizer without a rate or weight
        decay brings its own.

    Examples
    --------
    >>> [recipe.name for recipe in recipes(300, {})]
    ['linear', 'additive', 'narrow', 'encoded', 'deep']
    >>> recipes(300, {"hidden": (16,), "lr": 0.1})[0].lr
    0.1
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    epochs = chosen.get("epochs", _epochs(rows, chosen.get("batch_size", Recipe.batch_size)))
    kinds = (Recipe("given", hidden=(64, 64), dropout=0.2),) if any(name in chosen for name in SHAPING) else KINDS
    made = [replace(kind, epochs=epochs, patience=max(5, round(PATIENCE * epochs))) for kind in kinds]
    if "optimizer" in chosen:
        made = [replace(kind, lr=None, weight_decay=None) for kind in made]
    return [replace(kind, **chosen) for kind in made]


def _epochs(rows: int, batch_size: int) -> int:
    fewest, most = EPOCHS
    return max(fewest, min(most, round(STEPS * batch_size / rows)))
