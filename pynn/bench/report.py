"""The table of ``pynn bench`` and the README: one row per case, with pynn's time and ratios to all others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .cases import GROUPS, Case
from .comparison import Row
from .contestants import CONTESTANTS
from .limits import MachineLimits
from .results import Results
from .work import work

#: Groups whose rate is in operations per second; others use bytes per second.
ARITHMETIC = ("matmul", "linear", "conv", "step")


class Figures(NamedTuple):
    """Figures of a row: pynn's seconds, rate, share of the machine's limit, and speed ratios."""

    case: Case
    seconds: float
    rate: float
    share: float
    ratios: dict[str, tuple[float, float, float]]

    def cells(self, contestants: Iterable[str]) -> list[str]:
        """Return the cells of the row: title, time, rate, share, ratios."""
        ratios = (f"{self.ratios[name][0]:.2f}" if name in self.ratios else "" for name in contestants)
        return [self.case.title, duration(self.seconds), f"{self.rate:.1f}", f"{self.share:.0%}", *ratios]


class Table(NamedTuple):
    """The rows of a group as text; the last has the geometric means."""

    group: str
    headings: list[str]
    rows: list[list[str]]


def figures(row: Row, limits: MachineLimits) -> Figures:
    """Return the figures of a row; pynn must have run."""
    seconds = statistics.median(row.seconds["pynn"])
    amount = work(row.case)
    rate = (amount.operations if row.case.group in ARITHMETIC else amount.bytes) / seconds / 1e9
    share = limits.least_seconds(amount, row.case.dtype) / seconds
    return Figures(row.case, seconds, rate, share, {name: row.ratio(name) for name in row.seconds if name != "pynn"})


def tables(results: Results) -> Iterator[Table]:
    """Yield a table for each measured group."""
    measured = [figures(row, results.limits) for row in results.rows if "pynn" in row.seconds]
    for group in GROUPS:
        found = [row for row in measured if row.case.group == group]
        contestants = [name for name in CONTESTANTS if any(name in row.ratios for row in found)]
        if found:
            unit = "GFLOP/s" if group in ARITHMETIC else "GB/s"
            titles = [CONTESTANTS[name].title for name in contestants]
            means = [f"{geometric_mean(found, name):.2f}" for name in contestants]
            rows = [row.cells(contestants) for row in found]
            yield Table(group, ["", "time", unit, "limit", *titles], [*rows, ["geometric mean", "", "", "", *means]])


def spread(results: Results) -> float:
    """Return the median over all rows of the relative deviation within which half of the rounds' ratios are."""
    measured = [figures(row, results.limits) for row in results.rows if "pynn" in row.seconds]
    shares = [(high - low) / 2 / middle for row in measured for middle, low, high in row.ratios.values()]
    return statistics.median(shares) if shares else 0.0


def geometric_mean(found: Iterable[Figures], contestant: str) -> float:
    """Return the geometric mean ratio to a contestant over the rows in which it ran."""
    return statistics.geometric_mean(row.ratios[contestant][0] for row in found if contestant in row.ratios)


def duration(seconds: float) -> str:
    """Return a time in a suitable unit, with three digits."""
    unit, scale = next((u, s) for u, s in (("s", 1.0), ("ms", 1e-3), ("us", 0.0)) if seconds >= s)
    value = seconds / (scale or 1e-6)
    return f"{value:.{max(0, 2 - int(math.log10(value))) if value >= 1 else 2}f} {unit}"
