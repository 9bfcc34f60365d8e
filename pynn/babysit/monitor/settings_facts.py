"""What the rules know about a run's settings: optimiser, penalties and loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...nn.losses import MSELoss
from ...optim.optimizers import SGD, AdamW
from ...optim.regularizers import L1, L2, MaxNorm

if TYPE_CHECKING:
    from ...nn.loss import Loss
    from .watchable import Watchable


@dataclass
class SettingsFacts:
    """The settings of a run.

    Attributes
    ----------
    adaptive : bool
        Whether the optimiser divides by the size of past gradients.
    decoupled : bool
        Whether weight decay is no part of the gradient, as in AdamW.
    momentum : float
    l2 : float
        Weight decay: coefficient of w in the gradient, from optimiser and regularisers.
    l1, max_norm : float
        Coefficient and limit of these regularisers; 0 and infinity if absent.
    squares : bool
        Whether the loss is a squared error.
    class_weights : tuple of float
        The loss's weights of the classes; empty without any.
    average_decay : float
        That of an exponential average of the weights; 0 without one.
    restores : bool
        Whether a callback restores the weights of the best epoch; known once an epoch has ended.
    """

    adaptive: bool
    decoupled: bool
    momentum: float
    l2: float
    l1: float
    max_norm: float
    squares: bool
    class_weights: tuple[float, ...]
    average_decay: float
    restores: bool = False

    @classmethod
    def of(cls, trainer: Watchable) -> SettingsFacts:
        """Return the facts of a trainer's settings."""
        optimizer, penalties = trainer.optimizer, trainer.regularizers
        return cls(
            adaptive=not isinstance(optimizer, SGD),
            decoupled=isinstance(optimizer, AdamW),
            momentum=float(getattr(optimizer, "momentum", 0.0)),
            l2=optimizer.weight_decay + sum(p.coefficient for p in penalties if isinstance(p, L2)),
            l1=sum(p.coefficient for p in penalties if isinstance(p, L1)),
            max_norm=min((p.limit for p in penalties if isinstance(p, MaxNorm)), default=math.inf),
            squares=isinstance(trainer.loss, MSELoss),
            class_weights=_class_weights(trainer.loss),
            average_decay=float(getattr(trainer.averaging, "decay", 0.0)),
        )

    @property
    def penalised(self) -> bool:
        """Whether there is a penalty on the weights."""
        return self.l2 > 0 or self.l1 > 0 or self.max_norm < math.inf

    @property
    def penalty(self) -> str:
        """Name of the strongest penalty on the weights."""
        return "weight decay" if self.l2 else "L1 penalty" if self.l1 else "limit on the norm"

    @property
    def strongest_penalty(self) -> str:
        """The strongest penalty on the weights, with its strength."""
        return f"{self.penalty} {self.l2 or self.l1 or self.max_norm:g}"


def _class_weights(loss: Loss) -> tuple[float, ...]:
    """Return the weights of the classes in a loss, no and yes in one with `pos_weight`; empty without any."""
    weight, positive = (getattr(loss, name, None) for name in ("weight", "pos_weight"))
    weight = (1.0, np.mean(positive)) if positive is not None else weight
    return () if weight is None else tuple(np.ravel(weight).tolist())
