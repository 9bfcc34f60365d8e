"""Penalties and constraints on the weights; biases, batch norm and PReLU slopes are excluded.

Unlike an optimiser's weight decay, a penalty is part of the loss that training reports. CS231n, Neural Networks Part 2,
"Regularization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import ops
from ..utils.config import Configurable
from ..utils.validation import number

if TYPE_CHECKING:
    from ..nn.parameters import FlatParameters, Parameter


class Regularizer(Configurable):
    """Base class of all regularisers.

    Examples
    --------
    >>> import pynn
    >>> isinstance(pynn.L2(0.1), pynn.Regularizer)
    True
    """

    def add_gradient(self, flat: FlatParameters) -> float:
        """Add the penalty's gradient to that of the parameters and return the penalty."""
        return 0.0

    def constrain(self, flat: FlatParameters) -> None:
        """Project the weights onto the constraint after an update."""


class L1(Regularizer):
    """``coefficient * sum |w|``: drives weights to exactly 0.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(2, 2))
    >>> model[0].weight[...] = [[1.0, -1.0], [2.0, -2.0]]
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), regularizers=[pynn.L1(1.0)])
    >>> loss = trainer.step(np.zeros((4, 2)), np.zeros(4, int))
    >>> model[0].weight.data
    array([[ 0.9, -0.9],
           [ 1.9, -1.9]], dtype=float32)
    """

    def __init__(self, coefficient: float) -> None:
        self.coefficient = number(coefficient, "coefficient", minimum=0)

    def add_gradient(self, flat: FlatParameters) -> float:
        return ops.add_penalty(flat.values, flat.grads, flat.weight_bounds(), l1=self.coefficient)


class L2(Regularizer):
    """coefficient / 2 * sum w^2: the gradient is coefficient * w, as with SGD's weight decay.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(2, 2))
    >>> model[0].weight[...] = [[1.0, -1.0], [2.0, -2.0]]
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), regularizers=[pynn.L2(1.0)])
    >>> loss = trainer.step(np.zeros((4, 2)), np.zeros(4, int))
    >>> model[0].weight.data
    array([[ 0.9, -0.9],
           [ 1.8, -1.8]], dtype=float32)
    """

    def __init__(self, coefficient: float) -> None:
        self.coefficient = number(coefficient, "coefficient", minimum=0)

    def add_gradient(self, flat: FlatParameters) -> float:
        return ops.add_penalty(flat.values, flat.grads, flat.weight_bounds(), l2=self.coefficient)


class MaxNorm(Regularizer):
    """Limit the Euclidean norm of each unit's incoming weights to `limit`; larger ones are rescaled after an update.

    A unit's incoming weights are a column of a `Linear` or `Maxout` layer's matrix; a filter of a convolution, all its
    input channels (those of its group) and places; what an output channel of a transposed convolution sums; and a row
    of an embedding's table. So it is as Keras's ``MaxNorm`` with ``axis=0`` for matrices, ``axis=[0, 1, 2]`` for
    convolutions and ``axis=1`` for embeddings. Of a `Parameter` of your own, `Parameter.unit_axis` says which dimension
    numbers the units. Vectors, such as biases, and parameters whose `decay` is False are not limited.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), regularizers=[pynn.MaxNorm(0.5)])
    >>> history = trainer.fit(x, y, epochs=2)
    >>> float((model[0].weight.data ** 2).sum(axis=0).max()) < 0.26
    True
    """

    def __init__(self, limit: float) -> None:
        self.limit = number(limit, "limit", above=0)

    def constrain(self, flat: FlatParameters) -> None:
        for _, parameter, _, _ in flat.slots:
            if not parameter.decay or parameter.ndim < 2 or parameter.frozen:
                continue
            if parameter.ndim == 2 and parameter.unit_axis in (None, 1) and parameter.groups == 1:
                ops.clip_column_norms(parameter.data, self.limit)
            else:
                _clip_unit_norms(parameter, self.limit)


def _clip_unit_norms(parameter: Parameter, limit: float) -> None:
    """Limit the norms of units that are no columns: as columns of a copy."""
    groups, unit = parameter.groups, (parameter.unit_axis or 0) % parameter.ndim
    parts = parameter.data.reshape(groups, -1, *parameter.shape[1:])
    units = np.moveaxis(parts, (0, unit + 1), (-2, -1))
    columns = np.ascontiguousarray(units.reshape(-1, groups * units.shape[-1]))
    ops.clip_column_norms(columns, limit)
    units[...] = columns.reshape(units.shape)
