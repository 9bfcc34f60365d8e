"""How often to watch, so that the cost of watching stays within a budget."""

from __future__ import annotations

import math
import time


class Pace:
    """Chooses how often to watch steps, to look at rows and to evaluate epochs, so that the cost stays within a budget.

    Each of the three gets a third of the budget. The pace times every watched step and the step before it, because an
    occasionally watched step is slower than one of many: its buffers are not in the caches.

    Parameters
    ----------
    budget : float
        The share of the training time that watching may take.
    minimum : int
        Minimum interval between watched steps.
    """

    #: After SAMPLE timings of each kind, the pace chooses a new interval. If the budget allows one below MIN_EVERY, the
    #: next HOLD steps are not timed.
    SAMPLE, HOLD = 24, 1000
    #: Minimum interval between watched steps while steps are timed: it contains an unwatched step, a watched step, and
    #: the step whose start ends the second timing.
    MIN_EVERY = 4

    def __init__(self, budget: float, minimum: int) -> None:
        self.share = budget / 3
        self.minimum = minimum
        self.every = max(minimum, self.MIN_EVERY)
        self.next = 0  # steps before this one are neither watched nor timed
        self.look = 5e-4  # seconds of the last look; the first, which is slower, does not count
        self._plain = math.nan  # seconds of an unwatched step
        self._began = 0.0
        self._phase = 0
        self._times: tuple[list[float], list[float]] = ([], [])  # of unwatched and of watched steps
        self._start = time.perf_counter()
        self._evaluated = self._evaluation = 0.0

    def due(self, steps: int) -> bool:
        """Record the start of a step, which is not before `next`; return whether to watch the step."""
        now = time.perf_counter()
        if not self._began:  # the first loss is that of the initial weights; the first step is too slow to be timed
            self._began, self.next = now, steps + 1
            return True
        if self._phase > 0:
            self._times[self._phase - 1].append(now - self._began)
        self._began, self._phase = now, (self._phase + 1) % 3
        self.next = steps + 1
        if self._phase == 0:
            if len(self._times[1]) >= self.SAMPLE:
                self._decide()
            self.next = steps + self.every - 2
        return self._phase == 2

    def _decide(self) -> None:
        # The lower quartile of unwatched steps and the upper quartile of watched steps overestimate the cost a little.
        off, on = (sorted(times)[len(times) * part // 4] for times, part in zip(self._times, (1, 3), strict=True))
        self._times[0].clear()
        self._times[1].clear()
        self._plain = off
        every = max(math.ceil((on - off) / (self.share * off)), self.minimum)
        self.every = every if every <= self.minimum else max(every, self.MIN_EVERY)

    @property
    def between_looks(self) -> float:
        """Minimum number of steps until the next look."""
        return 2.0 * self.SAMPLE if math.isnan(self._plain) else self.look / (self.share * self._plain)

    def evaluates(self) -> bool:
        """Return whether the budget allows evaluating a finished epoch."""
        return (
            self._evaluated + self._evaluation <= self.share * (time.perf_counter() - self._start)
            or not self._evaluated
        )

    def evaluated(self, seconds: float) -> None:
        """Record how long the evaluation of an epoch took."""
        self._evaluation = seconds
        self._evaluated += seconds
