"""Timing contestants against each other so that a noisy machine hurts all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def compare(
    contestants: dict[str, Callable[[], object]], *, rounds: int = 15, block_seconds: float = 0.05
) -> dict[str, list[float]]:
    """Return seconds per call of each contestant, one figure per round.

    Every round runs each contestant for a block of at least `block_seconds`, starting with another one each time;
    ratios of figures of the same round are what counts.
    """
    names = list(contestants)
    calls = {name: _calls_per_block(contestants[name], block_seconds) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            began = time.perf_counter()
            for _ in range(calls[name]):
                contestants[name]()
            seconds[name].append((time.perf_counter() - began) / calls[name])
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, against: str) -> tuple[float, float, float]:
    """Return how many times faster `name` is: the median over the rounds, and the quartiles."""
    ratios = [theirs / ours for ours, theirs in zip(seconds[name], seconds[against], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def _calls_per_block(function: Callable[[], object], block_seconds: float) -> int:
    function()  # the first call may compile or allocate
    calls, elapsed = 1, 0.0
    while True:
        began = time.perf_counter()
        for _ in range(calls):
            function()
        elapsed = time.perf_counter() - began
        if elapsed >= block_seconds:
            return calls
        calls = max(2 * calls, int(calls * block_seconds / max(elapsed, 1e-9)))
