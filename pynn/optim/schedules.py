"""Learning-rate schedules: functions of the base rate and of the training progress.

A schedule is stateless, so a checkpoint stores no state for it. It counts finished epochs (like PyTorch's schedulers
stepped once per epoch) or, with ``by="step"``, optimiser steps. CS231n, Neural Networks Part 3, "Annealing the
learning rate".
"""

from __future__ import annotations

import math
from typing import Literal

from ..utils.config import Configurable
from ..utils.validation import choice, count, instance, number

Unit = Literal["epoch", "step"]


class Schedule(Configurable):
    """Base class of schedules; a subclass defines ``at(base, count)``, the rate after `count` epochs or steps."""

    by: Unit = "epoch"

    def at(self, base: float, count: int) -> float:
        """Return the learning rate after `count` epochs or steps, from the optimiser's own rate `base`."""
        raise TypeError(f"{type(self).__name__} does not define at(self, base, count)")

    def rate(self, base: float, epoch: int, step: int) -> float:
        """Return the learning rate after `epoch` epochs and `step` steps in all."""
        return self.at(base, epoch if self.by == "epoch" else step)


UNITS = ("epoch", "step")
#: A rate below this fraction of the base rate changes no weight in float32.
NOTHING = 1e-9


def idle_epochs(schedule: Schedule, base: float, epoch: int, epochs: int, steps: int, batches: int) -> int:
    """Return how many of the next `epochs` epochs, counted from the end, have a rate of practically 0.

    `epoch` epochs and `steps` steps are already finished; an epoch has `batches` batches, 0 if unknown. Raises
    ValueError if the first rate is invalid.
    """

    def rate(index: int) -> float:
        first = steps + index * batches
        return max(schedule.rate(base, epoch + index, step) for step in {first, first + batches // 2})

    if epochs and not 0 <= rate(0) < math.inf:
        raise ValueError(f"{schedule!r} returns a rate of {rate(0)} after {epoch} epochs; expected at least 0")
    idle = 0
    while base > 0 and idle < epochs and rate(epochs - 1 - idle) <= NOTHING * base:
        idle += 1
    return idle


class StepLR(Schedule):
    """base * gamma^(count // step_size).

    Examples
    --------
    >>> StepLR(step_size=10, gamma=0.5).at(1.0, 25)
    0.25
    """

    def __init__(self, step_size: int, gamma: float = 0.1, *, by: Unit = "epoch") -> None:
        self.step_size = count(step_size, "step_size")
        self.gamma = number(gamma, "gamma", minimum=0)
        self.by = choice(by, "by", UNITS)

    def at(self, base: float, count: int) -> float:
        return base * self.gamma ** (count // self.step_size)


class ExponentialLR(Schedule):
    """base * gamma^count.

    Examples
    --------
    >>> ExponentialLR(gamma=0.5).at(1.0, 3)
    0.125
    """

    def __init__(self, gamma: float, *, by: Unit = "epoch") -> None:
        self.gamma = number(gamma, "gamma", minimum=0)
        self.by = choice(by, "by", UNITS)

    def at(self, base: float, count: int) -> float:
        return base * self.gamma**count


class CosineAnnealingLR(Schedule):
    """Half a cosine from base to eta_min over T_max, then constant at eta_min (Loshchilov & Hutter 2017).

    Examples
    --------
    >>> CosineAnnealingLR(T_max=10).at(1.0, 5)
    0.5
    """

    def __init__(self, T_max: int, eta_min: float = 0.0, *, by: Unit = "epoch") -> None:
        self.T_max = count(T_max, "T_max")
        self.eta_min = number(eta_min, "eta_min", minimum=0)
        self.by = choice(by, "by", UNITS)

    def at(self, base: float, count: int) -> float:
        done = min(count, self.T_max) / self.T_max
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * done)) / 2


class WarmupLR(Schedule):
    """A linear rise from base / steps to base over the first steps (Goyal et al. 2017), then another schedule.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    then : Schedule, optional
        The schedule after the warm-up; it counts from the start of training. By default the rate stays constant.

    Examples
    --------
    >>> warmup = WarmupLR(4, then=StepLR(10))
    >>> [warmup.rate(1.0, epoch=0, step=s) for s in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(self, steps: int, then: Schedule | None = None) -> None:
        self.steps = count(steps, "steps")
        self.then = None if then is None else instance(then, "then", Schedule)

    def rate(self, base: float, epoch: int, step: int) -> float:
        later = base if self.then is None else self.then.rate(base, epoch, step)
        return later * min(1.0, (step + 1) / self.steps)
