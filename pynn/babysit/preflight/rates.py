"""Learning-rate range test: short runs from the same start at many rates, compared by their gain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .case import Case, train, training_loss
from .fitting import constant_loss
from .report import Check, failed, noted, passed, warned

if TYPE_CHECKING:
    from ...training.trainer import Trainer

#: The lowest and highest rate to try, as powers of ten.
LOWEST, HIGHEST = -7, 2
#: Multiplications of one run beyond which it takes smaller batches.
RUN_WORK = 2e10
#: Minimum steps of a run, and examples of a batch that is made smaller.
FEWEST, SMALLEST = 12, 8
#: Runs' lengths after which a rate must have shown that it works.
PATIENCE = 5
#: A network gives every example the same if the standard deviation of its outputs is below this share of the first one.
COLLAPSED = 0.02
#: A rate that gains more than this share of the loss in a run is right, whatever others gain. One that gains less than
#: the second share is compared with all others.
PLAIN, CLEAR = 0.5, 0.05
#: If no rate gains more than this share of the loss, all are slow at first, and none is surely too low.
SLOW = 0.1
#: A schedule that counts in steps must not have decayed to nothing after this many, and this many epochs: with few
#: examples, more epochs may be a whole training.
LATER, LATER_EPOCHS = 200, 5


@dataclass
class Gain:
    """Loss reduction of runs of `steps` steps at one rate: one run per order of the same minibatches."""

    rate: float
    gains: list[float]
    steps: int

    @property
    def typical(self) -> float:
        """The median over the runs; minus infinity if most diverged."""
        return float(np.median(self.gains))


class RangeTest:
    """Runs the trainer's optimiser for some steps at a given rate, on a fresh copy without regularisation."""

    def __init__(self, case: Case) -> None:
        self.case = case
        affordable = int(RUN_WORK / (3 * FEWEST * case.multiplications))
        self.large = affordable < min(case.batch_size, case.size)
        self.batch = min(case.batch_size, case.size, max(SMALLEST, affordable))
        self.steps = case.steps(0.15 if case.convolves else 0.05, self.batch, FEWEST, 60 if self.batch >= 16 else 150)
        count = min(case.size, self.steps * self.batch)
        self.orders = [case.rows(count, stream=14 + i) for i in range(2)]
        self.still = [self._still(order) for order in self.orders[: 1 if self.large else 2]]
        self.start = float(np.mean(self.still))
        self.last = self.steps // 3
        self.before = float(np.mean([losses[-self.last :] for losses in self.still]))
        self.noise = float(np.std(self.still) / math.sqrt(self.steps))
        part = case.take(self.orders[0])
        self.constant = math.inf if case.own_loss else constant_loss(case, part)
        self.clear = max(3 * self.noise, 0.03 * abs(self.start))
        self._known: dict[float, Gain] = {}

    def gain(self, rate: float, *, sure: bool = False) -> Gain:
        """Return the gain at a rate; to be `sure`, in both orders, as a single run may be lucky.

        Runs of a large network cost too much for a second order.
        """
        known = self._known.setdefault(rate, Gain(rate, [], self.steps))
        for order in range(len(known.gains), len(self.still) if sure else 1):
            known.gains.append(self._gain(self.case.trial(lr=rate), order))
        return known

    def longer_gain(self, rate: float, clear: float) -> float:
        """Return the gain of a run that goes on until the gain is clear: the first steps may throw it off.

        There is none if the network then gives every example the same.
        """
        trainer, count, gain = self.case.trial(lr=rate), self.steps * self.batch, -math.inf
        order = self.case.rows(PATIENCE * count, stream=14)
        for part in range(PATIENCE):
            rows = np.roll(order, -part * count)[:count]
            losses = train(trainer, self.case.examples, rows, self.steps, self.batch)
            if len(losses) < self.steps or not np.isfinite(losses).all():
                gain = -math.inf
                break
            gain = self.before - float(np.mean(losses[-self.last :]))
            if gain > clear:
                break
        if self._spread(trainer) < COLLAPSED * self._spread(self.case.trial()):
            gain = min(gain, 0.0)
        self._known[rate] = Gain(rate, [gain], (part + 1) * self.steps)
        return gain

    def _spread(self, trainer: Trainer) -> float:
        """Return the standard deviation of the outputs over a batch."""
        prediction = training_loss(self.case, trainer, self.case.take(self.orders[0][: self.batch]))[1]
        return float(prediction.std(axis=0, dtype=np.float64).mean())

    def described(self, rate: float) -> str:
        """Return what a rate does, in words."""
        gain = self.gain(rate)
        change = f"{self.before - gain.typical:.4g}" if math.isfinite(gain.typical) else "no finite number"
        steps = f"{gain.steps} steps of {self.batch} examples"
        return f"lr {rate:.3g}: {steps} bring the loss from {self.before:.4g} to {change}"

    def adam(self, rate: float) -> float:
        """Return the gain of Adam at a rate."""
        gains = [self._gain(self.case.trial(adam=rate), order) for order in range(len(self.still))]
        return Gain(rate, gains, self.steps).typical

    def _gain(self, trainer: Trainer, order: int) -> float:
        """Return how much lower the losses are than without training, in the last third of the run."""
        losses = train(trainer, self.case.examples, self.orders[order], self.steps, self.batch)
        if len(losses) < self.steps or not np.isfinite(losses).all():
            return -math.inf
        return float(np.mean(self.still[order][-self.last :]) - np.mean(losses[-self.last :]))

    def _still(self, order: np.ndarray) -> list[float]:
        """Return the losses of the minibatches without training."""
        trainer, per_pass = self.case.trial(), max(1, len(order) // self.batch)
        parts = [self.case.take(order[i * self.batch :][: self.batch]) for i in range(min(per_pass, self.steps))]
        losses = [training_loss(self.case, trainer, part)[0] for part in parts]
        return [losses[step % len(losses)] for step in range(self.steps)]


def learning_rate(case: Case) -> Check:
    """Check that the trainer's rate is in or near the interval of rates that reduce the loss."""
    name = "learning rate"
    peak, warms_up = _peak(case)
    if peak == 0:
        return failed(name, "lr_too_low", "the learning rate is 0", "Give the optimiser a rate above 0.")
    test = RangeTest(case)
    steps, later = _later(case, peak)
    if later >= 1e-3 * peak and _surely_right(test, peak):
        return passed(name, test.described(peak))
    interval = _interval(test, peak)
    own, measured = test.gain(peak, sure=True), test.described(peak)
    if interval is None:
        return _without_interval(case, test, own, measured, warms_up)
    low, high, best = interval
    case.known.interval = (low, high)
    evidence = f"{measured}; between {low:.1g} and {high:.1g} they gain clearly"
    lower = "Lower the rate, or raise it slowly from a lower one (pynn.WarmupLR)."
    works = own.typical > 0.25 * best
    # A warm-up reaches rates that would fail at the start of training.
    if peak > high * (10 if warms_up else 1) and not works:
        loses = own.typical < -2 * test.noise
        case.known.rate_too_high = loses
        certain = loses and (peak > 30 * high or (peak > 2 * high and -own.typical > abs(test.start)))
        if certain and not warms_up:
            return failed(name, "lr_too_high", evidence, lower)
        if peak > 5 * high or loses:
            return warned(name, "lr_too_high", evidence, lower)
    if peak > 9 * high and own.typical < 0.5 * best and not warms_up:
        return warned(name, "lr_too_high", evidence, lower)
    if later < 1e-3 * peak and later < low / 10 and not case.known.trained:
        evidence += f"; the schedule has brought it down to {later:.2g} after {steps} steps"
        return warned(name, "lr_too_low", evidence, "Let the schedule count in epochs, or fall more slowly.")
    if peak < low and not case.known.trained:
        advice = f"Raise the rate: {math.sqrt(low * high):.1g} lies in the middle of the interval."
        if peak >= low / 10 or best < SLOW * abs(test.start):
            return noted(name, "lr_too_low", evidence, advice)
        return (failed if peak < low / 1000 else warned)(name, "lr_too_low", evidence, advice)
    return passed(name, evidence)


def _without_interval(case: Case, test: RangeTest, own: Gain, measured: str, warms_up: bool) -> Check:
    """Return the check if no rate gives the trainer's optimiser a clear gain."""
    name = "learning rate"
    if -own.typical > 2 * abs(test.start) + 10 * test.noise:
        case.known.rate_too_high = not warms_up
        lower = "Lower the rate, or raise it slowly from a lower one (pynn.WarmupLR)."
        return (warned if warms_up else failed)(name, "lr_too_high", measured, lower)
    adam = max(test.adam(rate) for rate in (1e-3, 1e-2))
    if adam > max(5 * test.noise, 0.3 * abs(test.start)) and own.typical < 0.05 * adam:
        evidence = f"{measured}, nor does it do better at any other rate, while Adam gains {adam:.4g}"
        return failed(
            name, "not_learning", evidence, "Look at the optimiser's settings, and at what clips its gradient."
        )
    return passed(name, f"{measured}; no rate gains enough in so few steps to give an interval")


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


def _surely_right(test: RangeTest, rate: float) -> bool:
    """Return whether a rate gains so much that the interval of rates need not be found."""
    clear = max(3 * test.noise, CLEAR * abs(test.start))
    if test.large:
        return test.longer_gain(rate, clear) > clear
    own = test.gain(rate).typical
    # A network that starts with a large loss gains much by giving a constant, which too high a rate brings about, too.
    if own < clear or test.before - own > test.constant - clear:
        return False
    if own > PLAIN * abs(test.start) and test.start > 0 and not test.case.own_loss:
        return True
    return own >= 0.25 * max(test.gain(10 * rate).typical, test.gain(rate / 10).typical)


def _decades(test: RangeTest, rate: float) -> list[Gain]:
    """Return the gains at a rate and at decades from it, upwards and downwards until they no longer matter."""
    found = [test.gain(rate)]
    for up in (True, False) if found[0].typical >= 0 else (False, True):
        ladder = range(1, math.ceil(HIGHEST - math.log10(rate)) + 1)
        if not up:
            ladder = range(-1, math.floor(LOWEST - math.log10(rate)) - 1, -1)
        for decade in ladder:
            found.append(test.gain(rate * 10.0**decade))
            best = max(gain.typical for gain in found)
            if best >= test.clear and found[-1].typical < (0.4 if up else 0.1) * best:
                break
    return sorted(found, key=lambda gain: gain.rate)


def _interval(test: RangeTest, rate: float) -> tuple[float, float, float] | None:
    """Return the lowest and highest rate with a clear gain, and the largest gain; None without a clear gain."""
    gains = _decades(test, rate)
    if not test.large:
        gains = _refined(test, gains)
    best = max(gains, key=lambda gain: gain.typical)
    if best.typical < test.clear:
        return None
    # Search from below: at far higher rates, huge weights may fit a few examples by chance.
    low = high = next(i for i, gain in enumerate(gains) if gain.typical > 0.6 * best.typical)
    while low > 0 and test.gain(gains[low - 1].rate, sure=True).typical > 0.1 * best.typical:
        low -= 1
    while high + 1 < len(gains) and test.gain(gains[high + 1].rate, sure=True).typical > 0.4 * best.typical:
        high += 1
    return gains[low].rate, gains[high].rate, best.typical


def _refined(test: RangeTest, coarse: list[Gain]) -> list[Gain]:
    """Return the gains with steps of 3x around the best decade and where gains begin, of runs in both orders."""
    position = max(range(len(coarse)), key=lambda i: coarse[i].typical)
    threshold = 0.1 * coarse[position].typical
    begin = next((i for i, gain in enumerate(coarse) if gain.typical > threshold), position)
    known = {gain.rate: gain for gain in coarse}
    for i in {begin - 1, begin, position - 1, position, position + 1}:
        if 0 <= i < len(coarse):
            for rate in (coarse[i].rate, coarse[i].rate * math.sqrt(10)):
                known[rate] = test.gain(rate, sure=True)
    return sorted(known.values(), key=lambda gain: gain.rate)
