"""Adam in the form that scikit-learn uses."""

from __future__ import annotations

import math

import numpy as np

from ..optim.optimizers import Adam


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
        self._late = np.array([2**62], np.int64)

    def rate(self, lr: float) -> float:
        steps = self.counter.item()
        first, second = 1 - self.current_momentum.item() ** steps, 1 - self.betas[1] ** steps
        return lr * math.sqrt(second) / first

    @property
    def corrected_step(self) -> np.ndarray:
        return self._late
