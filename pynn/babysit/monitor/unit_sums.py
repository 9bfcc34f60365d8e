"""Sums per unit of a layer, which tell its dead units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Minimum examples and steps of a window that decides whether units are dead.
DEAD_EXAMPLES, DEAD_STEPS = 1000, 20


@dataclass
class UnitSums:
    """Sums per unit of a layer in the current window; `active` is the activity in the last complete window.

    A channel has `places` positions; it is dead if it is active at none of them.
    """

    rectifies: bool
    sums: np.ndarray
    examples: int = 0
    steps: int = 0
    places: int = 1
    active: np.ndarray | None = None

    def add(self, sums: np.ndarray, examples: int, steps: int) -> None:
        """Add the sums over `steps` steps, which had `examples` examples in all."""
        self.sums += sums
        self.examples += examples
        self.steps += steps

    @property
    def complete(self) -> bool:
        return self.examples >= DEAD_EXAMPLES and self.steps >= DEAD_STEPS

    @property
    def spread(self) -> float:
        """Root mean square over the units of the standard deviation over examples and positions."""
        count = max(self.examples * self.places, 1)
        mean = self.sums[0] / count
        return float(np.sqrt(np.maximum(self.sums[1] / count - mean * mean, 0).mean()))

    def close(self) -> float:
        """Return the share of units that were dead in the current window, and begin the next one."""
        dead = float(np.mean(self.sums[2] == 0))
        self.active = (self.sums[2] / (self.examples * self.places)).astype(np.float32)
        self.sums[...] = 0
        self.examples = self.steps = 0
        return dead
