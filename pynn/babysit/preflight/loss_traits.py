"""What a loss does with outputs and targets, found by evaluating it: so a loss of the user's own is understood too."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from ...nn.losses import MSELoss
from .case import Case

if TYPE_CHECKING:
    from ...nn.loss import Result

#: Number of examples whose loss is evaluated.
EXAMPLES = 32
#: Different targets that are labels.
FEW_LABELS = 10


class LossTraits:
    """What the loss of a case does, at outputs between 0 and 1, which every loss takes.

    A loss that cannot be evaluated at such outputs has no trait.
    """

    def __init__(self, case: Case) -> None:
        self.loss = case.loss
        self.dtype = case.model.dtype
        self.rng = case.generator(16)
        self.target = case.take(case.rows(EXAMPLES, stream=17)).y
        self.outputs = self.rng.uniform(0.1, 0.9, (len(self.target), *case.output_shape[1:]))
        self.classes = self.outputs.shape[1] if self.outputs.ndim == 2 else 1

    def _at(self, outputs: np.ndarray, target: np.ndarray | None = None) -> Result | None:
        """Return loss and gradient, or None if they cannot be computed."""
        target = self.target if target is None else target
        try:
            value, gradient = self.loss.forward(np.ascontiguousarray(outputs, self.dtype), target, None)
        except Exception:  # a loss of the user's own may refuse these outputs
            return None
        if gradient is None or not np.isfinite(value) or not np.isfinite(gradient).all():
            return None
        return float(value), gradient.astype(np.float64)

    @functools.cached_property
    def _here(self) -> Result | None:
        here = self._at(self.outputs)
        return here if here is not None and np.any(here[1]) else None  # without a slope, nothing tells what it does

    def _unchanged(self, other: Result | None, gradient_factor: float | np.ndarray | None = 1.0) -> bool:
        """Return whether another evaluation gives the same loss, and the same gradient times a factor."""
        if self._here is None or other is None:
            return False
        (value, gradient), (value_there, gradient_there) = self._here, other
        assert gradient is not None
        assert gradient_there is not None
        if abs(value - value_there) > 1e-4 * max(abs(value), 1e-6):
            return False
        expected = gradient if gradient_factor is None else gradient * gradient_factor
        return bool(np.abs(gradient_there - expected).max() <= 1e-3 * max(np.abs(expected).max(), 1e-30))

    @property
    def pairs(self) -> bool:
        """Whether each output is compared with its own target: whether it matters which target is whose."""
        first = np.broadcast_to(self.target[:1], self.target.shape).copy()
        if len(np.unique(self.target, axis=0)) < 2 or self._unchanged(self._at(self.outputs, first)):
            return True  # nothing to exchange, or a loss that does not look at the targets
        exchanged = np.roll(self.target, 1, axis=0)
        return not self._unchanged(self._at(self.outputs, exchanged))

    @property
    def ignored_label(self) -> float | None:
        """A target whose examples have no slope, whatever the output, though those of others have; None without one."""
        if self.target.size != len(self.target) or len(labels := np.unique(self.target)) > FEW_LABELS:
            return None
        slope = np.zeros(len(self.target))
        for outputs in (self.outputs, 1 - self.outputs, -2 * self.outputs):
            if (result := self._at(outputs)) is not None and result[1] is not None:
                slope = np.maximum(slope, np.abs(result[1]).reshape(len(slope), -1).max(axis=1))
        of_label = [float(slope[self.target.reshape(-1) == label].max()) for label in labels]
        return float(labels[int(np.argmin(of_label))]) if min(of_label) == 0 < max(of_label) else None

    @property
    def shift_free(self) -> bool:
        """Whether the loss ignores what is added to all outputs of an example, as one with a softmax inside does."""
        shift = self.rng.standard_normal((len(self.outputs), 1))
        return self.classes > 1 and self._unchanged(self._at(self.outputs + shift))

    @property
    def batch_shift_free(self) -> bool:
        """Whether the loss ignores what is added to one output of all examples: a softmax over the batch."""
        shift = self.rng.standard_normal((1, self.classes))
        return self.classes > 1 and not self.shift_free and self._unchanged(self._at(self.outputs + shift))

    @property
    def scale_free(self) -> bool:
        """Whether the loss divides the outputs of an example by their sum."""
        factor = self.rng.uniform(0.6, 1.1, (len(self.outputs), 1))
        return self.classes > 1 and self._unchanged(self._at(self.outputs * factor), 1 / factor)

    @property
    def takes_log(self) -> bool:
        """Whether the loss is the logarithm of the outputs as they are: half the output, twice the slope."""
        half = self._at(self.outputs / 2)
        if self._here is None or half is None or self.scale_free:
            return False
        gradient, gradient_there = self._here[1], half[1]
        assert gradient is not None
        assert gradient_there is not None
        falling = gradient < -1e-6 * np.abs(gradient).max()
        if not falling.any():
            return False
        return bool(np.abs(gradient_there[falling] / gradient[falling] - 2).max() < 1e-3)

    @property
    def squares(self) -> bool:
        """Whether the loss is a squared error: its slope is in proportion to the distance from the targets."""
        if isinstance(self.loss, MSELoss):
            return True
        if self.target.shape != self.outputs.shape:
            return False
        target, away = self.target.astype(np.float64), 3 * (self.outputs - 0.5)
        slopes = [None if result is None else result[1] for result in map(self._at, (target + away, target - 2 * away))]
        if slopes[0] is None or slopes[1] is None or not slopes[0].any():
            return False
        along = slopes[0] * away
        straight = np.abs(slopes[1] + 2 * slopes[0]).max() < 1e-3 * np.abs(slopes[1]).max()
        return bool(straight and np.ptp(along / away**2) < 1e-3 * np.abs(along / away**2).max())
