"""Penalties and constraints on the weights; biases, batch norm and PReLU slopes are excluded.

Unlike an optimiser's weight decay, a penalty is part of the loss that training reports. CS231n, Neural Networks Part 2,
"Regularization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..utils.config import Configurable
from ..utils.validation import number

if TYPE_CHECKING:
    from ..nn.parameters import FlatParameters


class Regularizer(Configurable):
    """Base class of all regularisers."""

    def add_gradient(self, flat: FlatParameters) -> float:
        """Add the penalty's gradient to that of the parameters and return the penalty."""
        return 0.0

    def constrain(self, flat: FlatParameters) -> None:
        """Project the weights onto the constraint after an update."""


class L1(Regularizer):
    """coefficient * sum |w|: drives weights to exactly 0."""

    def __init__(self, coefficient: float) -> None:
        self.coefficient = number(coefficient, "coefficient", minimum=0)

    def add_gradient(self, flat: FlatParameters) -> float:
        return ops.add_penalty(flat.values, flat.grads, flat.weight_bounds(), l1=self.coefficient)


class L2(Regularizer):
    """coefficient / 2 * sum w^2: the gradient is coefficient * w, as with SGD's weight decay."""

    def __init__(self, coefficient: float) -> None:
        self.coefficient = number(coefficient, "coefficient", minimum=0)

    def add_gradient(self, flat: FlatParameters) -> float:
        return ops.add_penalty(flat.values, flat.grads, flat.weight_bounds(), l2=self.coefficient)


class MaxNorm(Regularizer):
    """Limit the norm of each unit's incoming weights, a column of the matrix, to `limit`; larger ones are rescaled."""

    def __init__(self, limit: float) -> None:
        self.limit = number(limit, "limit", above=0)

    def constrain(self, flat: FlatParameters) -> None:
        for _, parameter, _, _ in flat.slots:
            if parameter.decay and parameter.ndim == 2 and not parameter.frozen:
                ops.clip_column_norms(parameter.data, self.limit)
