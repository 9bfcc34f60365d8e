"""A search that several drivers run together: each trial by the driver that claims it in their store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .store import Store
    from .trial import Trial

#: Seconds between two looks at the store, and to wait for other drivers before any trial has ended.
LOOK, PATIENCE = 0.2, 2.0


class Others:
    """The trials of a stage that other drivers run.

    A driver that has nothing else to do waits for them as long as the longest trial so far has taken, and then runs one
    itself: its driver may be gone, and if it is not, both get the same result, bit for bit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trials: dict[int, Trial] = {}

    def __bool__(self) -> bool:
        return bool(self._trials)

    def claim(self, trial: Trial) -> bool:
        """Return whether this driver is to run the trial; if not, another one does."""
        if self._store.claim(trial.number):
            return True
        self._trials[trial.number] = trial
        return False

    def ended(self, stop: Callable[[], bool]) -> list[Trial]:
        """Wait for trials of other drivers and return those that have ended; none if this driver is to run one."""
        until = time.monotonic() + max((trial.seconds for trial in self._store.trials.values()), default=PATIENCE)
        while not stop() and time.monotonic() < until:
            self._store.refresh()
            ended = sorted(number for number in self._trials if number in self._store.trials)
            if ended:
                return [self._store.trials[self._trials.pop(number).number] for number in ended]
            time.sleep(LOOK)
        return []

    def take_over(self) -> Trial:
        """Return a trial that this driver is to run too."""
        return self._trials.pop(min(self._trials))
