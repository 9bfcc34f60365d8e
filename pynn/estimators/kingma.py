"""Adam in the form that scikit-learn uses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .. import ops
from ..nn.recording import replayable
from ..optim.optimizers import Adam

if TYPE_CHECKING:
    from ..nn.parameters import FlatParameters


class KingmaAdam(Adam):
    """Adam with the bias correction in the rate: lr sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps).

    This is the efficient form of Kingma and Ba 2015, section 2; `pynn.Adam` and PyTorch, whose eps is added to the
    corrected sqrt(v / (1 - beta2^t)), differ from it while t is small and gradients are near eps.

    Examples
    --------
    >>> KingmaAdam().lr
    0.001
    """

    def __init__(self, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(lr, betas, eps)
        # At this step the kernel's own correction is exactly 1.
        self.late = np.array([2**62], np.int64)

    def rate(self, lr: float) -> float:
        first, second = (1 - beta**self.steps for beta in self.betas)
        return lr * math.sqrt(second) / first

    @replayable
    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        ops.adam(
            flat.values,
            flat.grads,
            self.state["exp_avg"],
            self.state["exp_avg_sq"],
            bounds,
            rates,
            step=self.late,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            grad_scale=grad_scale,
            stats=self.stats,
        )
