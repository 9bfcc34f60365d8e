"""Timing of calls."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

#: What reads a time in seconds: by default the wall clock; `time.thread_time` leaves out other programs.
Clock = Callable[[], float]


def seconds_per_call(run: Callable[[], object], calls: int, clock: Clock = time.perf_counter) -> float:
    """Return the mean time of `calls` calls, without garbage collection."""
    gc.disable()
    try:
        began = clock()
        for _ in range(calls):
            run()
        return (clock() - began) / calls
    finally:
        gc.enable()


def in_turns(
    one: Callable[[], object], other: Callable[[], object], calls: int, rounds: int, clock: Clock
) -> Iterator[tuple[float, float]]:
    """Yield the mean times of `calls` calls of each in every round; the one that begins alternates."""
    for index in range(rounds):
        if index % 2 == 0:
            first = seconds_per_call(one, calls, clock)
            yield first, seconds_per_call(other, calls, clock)
        else:
            second = seconds_per_call(other, calls, clock)
            yield seconds_per_call(one, calls, clock), second
