"""Learning-rate range test: short runs from the same start at many rates, compared by their gain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .case import Case, train
from .report import Check, failed, passed, warned

#: The lowest rate; then in steps of 10x, and 3x around the ends of the interval.
EXPONENTS = range(-7, 3)
#: A schedule that counts in steps must not have decayed to nothing after this many, and this many epochs: with few
#: examples, more epochs may be a whole training.
LATER, LATER_EPOCHS = 200, 5


@dataclass
class Gain:
    """Loss reduction of short runs at one rate on the same minibatches; one run per order."""

    rate: float
    gains: list[float]

    @property
    def typical(self) -> float:
        """The median over the runs; minus infinity if most diverged."""
        return float(np.median(self.gains))


class RangeTest:
    """Runs the trainer's optimiser for some steps at a given rate, on a fresh copy without regularisation."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.batch = min(case.batch_size, case.size)
        self.steps = case.steps(0.15 if case.convolves else 0.05, self.batch, 15, 60 if self.batch >= 16 else 150)
        count = min(case.size, self.steps * self.batch)
        self.orders = [case.rows(count, stream=14 + i) for i in range(2)]
        self.still = [self._losses(0.0, order) for order in self.orders]
        self.start = float(np.mean(self.still))
        self.noise = float(np.std(self.still) / math.sqrt(self.steps))

    def gain(self, rate: float, orders: int, *, adam: bool = False) -> Gain:
        """Return the gain of runs at a rate, measured in their last third."""
        gains = []
        for order, still in zip(self.orders[:orders], self.still, strict=False):
            losses = self._losses(rate, order, adam)
            last = self.steps // 3
            whole = len(losses) == self.steps and np.isfinite(losses).all()
            gains.append(float(np.mean(still[-last:]) - np.mean(losses[-last:])) if whole else -math.inf)
        return Gain(rate, gains)

    def _losses(self, rate: float, order: np.ndarray, adam: bool = False) -> list[float]:
        trainer = self.case.trial(adam=rate) if adam else self.case.trial(lr=rate)
        if self.case.size < 2:
            return train(trainer, self.case.examples, order, self.steps, 1)
        return train(trainer, self.case.examples, order, self.steps, self.batch)


def learning_rate(case: Case) -> Check:
    """Check that the trainer's rate is in or near the interval of rates that reduce the loss."""
    name = "learning rate"
    peak, warms_up = _peak(case)
    if peak == 0:
        return failed(name, "lr_too_low", "the learning rate is 0", "Give the optimiser a rate above 0.")
    test = RangeTest(case)
    interval = _interval(test)
    own = test.gain(peak, 2)
    change = f"{test.start - own.typical:.4g}" if math.isfinite(own.typical) else "no finite number"
    told = f"lr {peak:.3g}: {test.steps} steps bring the loss from {test.start:.4g} to {change}"
    if interval is None:
        return _without_interval(case, test, own, told, warms_up)
    low, high, best = interval
    case.interval = (low, high)
    evidence = f"{told}; between {low:.1g} and {high:.1g} they gain clearly"
    lower = "Lower the rate, or raise it slowly from a lower one (pynn.WarmupLR)."
    works = own.typical > 0.25 * best
    # A warm-up reaches rates that would fail at the start of training.
    if peak > high * (10 if warms_up else 1) and not works:
        loses = own.typical < -2 * test.noise
        case.rate_too_high = loses
        certain = loses and (peak > 30 * high or (peak > 2 * high and -own.typical > abs(test.start)))
        if certain and not warms_up:
            return failed(name, "lr_too_high", evidence, lower)
        if peak > 5 * high or loses:
            return warned(name, "lr_too_high", evidence, lower)
    if peak > 9 * high and own.typical < 0.5 * best and not warms_up:
        return warned(name, "lr_too_high", evidence, lower)
    steps, later = _later(case, peak)
    if later < 1e-3 * peak and later < low / 10 and not case.trained:
        evidence += f"; the schedule has brought it down to {later:.2g} after {steps} steps"
        return warned(name, "lr_too_low", evidence, "Let the schedule count in epochs, or fall more slowly.")
    if peak < low and not case.trained:
        advice = f"Raise the rate: {math.sqrt(low * high):.1g} lies in the middle of the interval."
        if peak < low / 1000:
            return failed(name, "lr_too_low", evidence, advice)
        if peak < low / 10:
            return warned(name, "lr_too_low", evidence, advice)
    return passed(name, evidence)


def _without_interval(case: Case, test: RangeTest, own: Gain, told: str, warms_up: bool) -> Check:
    """Return the check if no rate gives the trainer's optimiser a clear gain."""
    name = "learning rate"
    if -own.typical > 2 * abs(test.start) + 10 * test.noise:
        case.rate_too_high = not warms_up
        lower = "Lower the rate, or raise it slowly from a lower one (pynn.WarmupLR)."
        return (warned if warms_up else failed)(name, "lr_too_high", told, lower)
    adam = max(test.gain(rate, 2, adam=True).typical for rate in (1e-3, 1e-2))
    if adam > max(5 * test.noise, 0.3 * abs(test.start)) and own.typical < 0.05 * adam:
        evidence = f"{told}, nor does it do better at any other rate, while Adam gains {adam:.4g}"
        return failed(
            name, "not_learning", evidence, "Look at the optimiser's settings, and at what clips its gradient."
        )
    return passed(name, f"{told}; no rate gains enough in so few steps to give an interval")


def _peak(case: Case) -> tuple[float, bool]:
    """Return the highest rate of the schedule, and whether it begins far below that."""
    trainer = case.trainer
    base, schedule = trainer.optimizer.lr, trainer.schedule
    if schedule is None:
        return base, False
    per_epoch = max(1, -(-case.size // case.batch_size))
    epochs = range(trainer.epoch, trainer.epoch + 100)
    rates = [schedule.rate(base, epoch, trainer.steps + (epoch - trainer.epoch) * per_epoch) for epoch in epochs]
    rates += [schedule.rate(base, trainer.epoch, trainer.steps + step) for step in range(0, 2000, 10)]
    return max(rates), rates[0] < 0.5 * max(rates)


def _later(case: Case, peak: float) -> tuple[int, float]:
    """Return a number of steps, and the highest rate of the schedule after it; the epoch is held fixed."""
    trainer = case.trainer
    schedule = trainer.schedule
    first = min(LATER, LATER_EPOCHS * max(1, -(-case.size // case.batch_size)))
    if schedule is None:
        return first, peak
    base, epoch, steps = trainer.optimizer.lr, trainer.epoch, trainer.steps
    return first, max(schedule.rate(base, epoch, steps + more) for more in range(first, 20 * LATER, LATER // 4))


def _interval(test: RangeTest) -> tuple[float, float, float] | None:
    """Return the lowest and highest rate with a clear gain, and the largest gain; None without a clear gain."""
    coarse = [test.gain(10.0**exponent, 1) for exponent in EXPONENTS]
    around = max(coarse, key=lambda gain: gain.typical)
    known = {gain.rate: gain for gain in coarse}
    position = coarse.index(around)
    # Steps of 3x around the best decade and where gains begin, with both orders.
    threshold = 0.1 * around.typical
    begin = next((i for i, gain in enumerate(coarse) if gain.typical > threshold), position)
    for i in sorted({begin - 1, begin, position - 1, position, position + 1}):
        if 0 <= i < len(coarse):
            for rate in (coarse[i].rate, coarse[i].rate * math.sqrt(10)):
                known[rate] = test.gain(rate, 2)
    gains = sorted(known.values(), key=lambda gain: gain.rate)
    best = max(gains, key=lambda gain: gain.typical)
    if best.typical < max(3 * test.noise, 0.03 * abs(test.start)):
        return None
    # Search from below: at far higher rates, huge weights may fit a few examples by chance.
    low = high = next(i for i, gain in enumerate(gains) if gain.typical > 0.6 * best.typical)
    while low > 0 and _sure(test, gains, low - 1) > 0.1 * best.typical:
        low -= 1
    while high + 1 < len(gains) and _sure(test, gains, high + 1) > 0.4 * best.typical:
        high += 1
    return gains[low].rate, gains[high].rate, best.typical


def _sure(test: RangeTest, gains: list[Gain], index: int) -> float:
    """Return the gain of a rate in both orders: a single run may be lucky."""
    if len(gains[index].gains) < len(test.orders):
        gains[index] = test.gain(gains[index].rate, len(test.orders))
    return gains[index].typical
