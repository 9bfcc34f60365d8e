"""Learning-rate schedules: functions of the base rate and of the training progress.

A schedule is stateless, so a checkpoint stores no state for it. It counts finished epochs (like PyTorch's schedulers
stepped once per epoch) or, with ``by="step"``, optimiser steps. CS231n, Neural Networks Part 3, "Annealing the
learning rate".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..utils.config import Configurable
from ..utils.validation import choice, count, flag, fraction, instance, number

Unit = Literal["epoch", "step"]


class Schedule(Configurable):
    """Base class of schedules; a subclass defines ``at(base, count)``, the rate after `count` epochs or steps.

    Examples
    --------
    >>> import pynn
    >>> class Halving(pynn.Schedule):
    ...     def at(self, base, count):
    ...         return base * 0.5**count
    >>> Halving().at(0.1, 2)
    0.025
    """

    by: Unit = "epoch"

    def at(self, base: float, count: int) -> float:
        """Return the learning rate after `count` epochs or steps, from the optimiser's own rate `base`."""
        raise TypeError(f"{type(self).__name__} does not define at(self, base, count)")

    def rate(self, base: float, epoch: int, step: int) -> float:
        """Return the learning rate after `epoch` epochs and `step` steps in all."""
        return self.at(base, epoch if self.by == "epoch" else step)

    def momentum(self, epoch: int, step: int) -> float | None:
        """Return the momentum after `epoch` epochs and `step` steps in all, or None for the optimiser's own."""
        return None


UNITS = ("epoch", "step")
#: A rate below this fraction of the base rate changes no weight in float32.
NOTHING = 1e-9


def checked_rate(schedule: Schedule, base: float, epoch: int, step: int) -> float:
    """Return a schedule's rate; raise ValueError unless it is finite and at least 0, as not all code of users gives."""
    try:
        rate = schedule.rate(base, epoch, step)
    except OverflowError:  # of a user's power
        rate = math.inf
    if isinstance(rate, float) and 0 <= rate < math.inf:  # the text of the error takes longer than the rate
        return rate
    return number(_plain(rate), f"the rate of {schedule!r} after {epoch} epochs and {step} steps", minimum=0)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def idle_epochs(schedule: Schedule, base: float, epoch: int, epochs: int, steps: int, batches: int) -> int:
    """Return how many of the next `epochs` epochs, counted from the end, have a rate of practically 0.

    `epoch` epochs and `steps` steps are already finished; an epoch has `batches` batches, 0 if unknown. Raises
    ValueError if the first rate is invalid; a later one is refused when its step comes, if the fit gets there.
    """

    def rate(index: int) -> float:
        first = steps + index * batches
        return max(checked_rate(schedule, base, epoch + index, step) for step in {first, first + batches // 2})

    def is_idle(index: int) -> bool:
        try:
            return rate(index) <= NOTHING * base
        except (ValueError, ArithmeticError):
            return False

    if epochs:
        rate(0)
    idle = 0
    while base > 0 and idle < epochs and is_idle(epochs - 1 - idle):
        idle += 1
    return idle


def _decayed(base: float, gamma: float, times: int) -> float:
    """Return base * gamma^times, infinite if the power is too large for a float."""
    try:
        return base * gamma**times
    except OverflowError:
        return math.inf if base else 0.0


def _half_cosine(first: float, last: float, done: float) -> float:
    """Return what goes from `first` to `last` along half a cosine, given the share that is done."""
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


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
        return _decayed(base, self.gamma, count // self.step_size)


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
        return _decayed(base, self.gamma, count)


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
        return _half_cosine(base, self.eta_min, min(count, self.T_max) / self.T_max)


class CosineAnnealingWarmRestarts(Schedule):
    """Half a cosine from base to eta_min over T_0, again over T_0 T_mult, and so on (Loshchilov & Hutter 2017, SGDR).

    Examples
    --------
    >>> restarts = CosineAnnealingWarmRestarts(T_0=2, T_mult=2)
    >>> [round(restarts.at(1.0, n), 3) for n in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    def __init__(self, T_0: int, T_mult: int = 1, eta_min: float = 0.0, *, by: Unit = "epoch") -> None:
        self.T_0 = count(T_0, "T_0")
        self.T_mult = count(T_mult, "T_mult")
        self.eta_min = number(eta_min, "eta_min", minimum=0)
        self.by = choice(by, "by", UNITS)

    def at(self, base: float, count: int) -> float:
        length = self.T_0
        if self.T_mult == 1:
            count %= length
        while count >= length:
            count -= length
            length *= self.T_mult
        return _half_cosine(base, self.eta_min, count / length)


class OneCycleLR(Schedule):
    """A rise from max_lr / div_factor to max_lr, then a fall to far below the start (Smith & Topin 2018).

    Meanwhile the momentum falls from max_momentum to base_momentum, and rises again. The optimiser's own rate and
    momentum do not matter, and after `total_steps` both stay as they are.

    Parameters
    ----------
    max_lr : float
    total_steps : int
        Steps of the whole run, epochs times batches; with ``by="epoch"``, its epochs.
    pct_start : float
        In (0, 1): the share of the rise.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Whether to set the momentum, too: of `SGD` and `RMSprop`, which need one above 0, or beta1 of `Adam`.
    base_momentum, max_momentum : float
        In [0, 1): the momentum at the largest rate, and at the first and the last one.
    div_factor, final_div_factor : float
        The first rate is max_lr / div_factor, and the last one the first / final_div_factor.
    three_phase : bool
        Whether to fall back to the first rate as slowly as the rise, and then to the last one.

    Examples
    --------
    >>> cycle = OneCycleLR(0.5, total_steps=10, pct_start=0.5, anneal_strategy="linear", div_factor=5)
    >>> [round(cycle.at(1.0, n), 2) for n in (0, 2, 4, 9)]
    [0.1, 0.3, 0.5, 0.0]
    >>> [round(cycle.momentum(0, n), 2) for n in (0, 2, 4, 9)]
    [0.95, 0.9, 0.85, 0.95]
    """

    def __init__(
        self,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        *,
        by: Unit = "step",
    ) -> None:
        self.max_lr = number(max_lr, "max_lr", above=0)
        self.total_steps = count(total_steps, "total_steps")
        self.pct_start = fraction(pct_start, "pct_start")
        self.anneal_strategy = choice(anneal_strategy, "anneal_strategy", ("cos", "linear"))
        self.cycle_momentum = flag(cycle_momentum, "cycle_momentum")
        self.base_momentum = fraction(base_momentum, "base_momentum", one=False)
        self.max_momentum = fraction(max_momentum, "max_momentum", one=False)
        self.div_factor = number(div_factor, "div_factor", above=0)
        self.final_div_factor = number(final_div_factor, "final_div_factor", above=0)
        self.three_phase = flag(three_phase, "three_phase")
        self.by = choice(by, "by", UNITS)

    def at(self, base: float, count: int) -> float:
        first = self.max_lr / self.div_factor
        return self._annealed(count, first, (self.max_lr, first, first / self.final_div_factor))

    def momentum(self, epoch: int, step: int) -> float | None:
        if not self.cycle_momentum:
            return None
        count, high = epoch if self.by == "epoch" else step, self.max_momentum
        return self._annealed(count, high, (self.base_momentum, high, high))

    def _annealed(self, count: int, value: float, targets: tuple[float, float, float]) -> float:
        """Return what starts at `value` and goes to the first target, perhaps back to the second, and to the last."""
        start, rise, smooth = 0.0, self.pct_start * self.total_steps, self.anneal_strategy == "cos"
        phases = list(zip((rise - 1, 2 * rise - 2, self.total_steps - 1), targets, strict=True))
        for end, target in phases if self.three_phase else (phases[0], phases[2]):
            if count <= end:
                done = (count - start) / (end - start) if end > start else 1.0
                return _half_cosine(value, target, done) if smooth else value + (target - value) * done
            start, value = end, target
        return value


class LambdaLR(Schedule):
    """base * lr_lambda(count), with a function of your own.

    A file holds no code, so `Trainer.save` raises TypeError; a subclass of `Schedule` can be saved, and named in
    `Trainer.resume` (``custom=``).

    Examples
    --------
    >>> LambdaLR(lambda epoch: 1 / (1 + epoch)).at(1.0, 3)
    0.25
    """

    def __init__(self, lr_lambda: Callable[[int], float], *, by: Unit = "epoch") -> None:
        if not callable(lr_lambda):
            raise TypeError(f"lr_lambda is {lr_lambda!r}; expected a function of the number of epochs or steps")
        self.lr_lambda = lr_lambda
        self.by = choice(by, "by", UNITS)

    def config(self) -> dict[str, Any]:
        raise TypeError("a LambdaLR cannot be saved: a file holds no function; write a subclass of pynn.Schedule")

    def at(self, base: float, count: int) -> float:
        return base * number(_plain(self.lr_lambda(count)), f"the factor of {self!r} at {count}")


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

    def momentum(self, epoch: int, step: int) -> float | None:
        return None if self.then is None else self.then.momentum(epoch, step)
