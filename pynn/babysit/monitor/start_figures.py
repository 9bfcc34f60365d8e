"""How a run began: its weights and signals before training could change them much."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .network_facts import Weights
    from .window import Window

#: Share of the weights' norm by which the first step of a run may change them.
GENTLE = 0.05


@dataclass
class StartFigures:
    """Figures of the weights before training, and of the first window.

    Attributes
    ----------
    gains : dict of str to float
        Gain of the weights, by layer; see `Weights.gain`.
    usual_norms : dict of str to float
        Norms of the weights with which signals would keep their variance.
    norms : dict of str to float
    saturated, active : dict of str to float
        Share of a layer's outputs that were saturated, or positive.
    spread : dict of str to float
        Standard deviation of a layer's outputs over the examples.
    largest_input : float
        `Window.largest_input`.
    alike : set of str
        Hidden layers in which at least half of the units shared their weights with another unit.
    gentle_lr : float
        The rate at which the first step would have changed weights by at most the share `GENTLE`.
    """

    gains: dict[str, float]
    usual_norms: dict[str, float]
    norms: dict[str, float] = field(default_factory=dict)
    saturated: dict[str, float] = field(default_factory=dict)
    active: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    largest_input: float = math.nan
    alike: set[str] = field(default_factory=set)
    gentle_lr: float = math.inf

    @classmethod
    def of(cls, weights: Sequence[Weights]) -> StartFigures:
        """Return the figures of the weights before training."""
        # A column of weights that preserves the variance of signals has a norm of about 1.
        usual = {each.name: math.sqrt(each.units) for each in weights}
        return cls({each.name: each.gain for each in weights}, usual)

    def look_at(self, window: Window) -> None:
        """Find the figures of the first window."""
        self.norms = {name: figures.norm for name, figures in window.weights.items()}
        self.saturated = {name: output.saturated for name, output in window.outputs.items()}
        self.active = {name: output.active for name, output in window.outputs.items()}
        self.largest_input = window.largest_input
        steps = [
            self.relative(name, figures.ratio, figures.norm)
            for name, figures in window.weights.items()
            if not math.isnan(figures.ratio)
        ]
        largest = max(steps, default=0.0)
        self.gentle_lr = GENTLE * window.lr / largest if largest > 0 else math.inf

    def relative(self, name: str, ratio: float, norm: float) -> float:
        """Return an update ratio relative to at least the norm at the start, or a fifth of the usual norm."""
        return ratio * norm / max(norm, self.norms.get(name, 0.0), 0.2 * self.usual_norms.get(name, 0.0), 1e-30)
