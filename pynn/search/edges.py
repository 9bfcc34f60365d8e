"""Finds ranges whose best values lie at an edge: better values may lie beyond it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from .space import Integer, Range, Space
from .trial import Trial, ranked

#: Share of a range that counts as its edge. The same share of the trials, and at least this many, count as the best.
EDGE, FEWEST = 0.15, 3
#: Significance level: a range without influence has its best values anywhere.
CHANCE = 0.02
#: The suggested range extends beyond the edge by this share of the range.
BEYOND = 0.5


class SearchWarning(UserWarning):
    """A warning about the settings of a search.

    Examples
    --------
    >>> from pynn import search
    >>> issubclass(search.SearchWarning, UserWarning)
    True
    """


@dataclass(frozen=True)
class Edge:
    """A range at whose edge the best values lie.

    Attributes
    ----------
    name : str
        Name of the parameter.
    value : float
        Value of the best trial.
    low, high : float
        The searched range.
    try_low, try_high : float
        The suggested range.

    Examples
    --------
    >>> from pynn import search
    >>> edge = search.Edge("lr", value=0.9, low=1e-5, high=1.0, try_low=0.1, try_high=100.0)
    >>> edge.name, edge.try_high
    ('lr', 100.0)
    """

    name: str
    value: float
    low: float
    high: float
    try_low: float
    try_high: float

    def __str__(self) -> str:
        return (
            f"the best values of {self.name} (best: {self.value:.3g}) lie at the edge of the range from "
            f"{self.low:g} to {self.high:g}; try {self.try_low:g} to {self.try_high:g}"
        )


def edges(trials: Sequence[Trial], space: Space, *, maximize: bool, points: dict[str, int] | None = None) -> list[Edge]:
    """Return the ranges that have more of the best trials at an edge than chance explains.

    Parameters
    ----------
    trials : sequence of Trial
    space : Space
    maximize : bool
    points : dict of str to int, optional
        Number of grid points per axis; the outermost ones are the edge.

    Examples
    --------
    >>> from pynn.search import LogUniform, Trial
    >>> space = Space({"lr": LogUniform(1e-4, 1e-2)})
    >>> trials = [Trial(i, 0, {"lr": 10 ** (-4 + i / 10)}, "finished", score=i) for i in range(21)]
    >>> print(edges(trials, space, maximize=True)[0])
    the best values of lr (best: 0.01) lie at the edge of the range from 0.0001 to 0.01; try 0.0001 to 0.1
    """
    order = ranked(trials, maximize=maximize)
    found = []
    for name, parameter in space.ranges.items():
        having = [trial for trial in order if name in trial.params]
        best = having[: max(FEWEST, round(EDGE * len(having)))]
        shares = [parameter.share(cast("float", trial.params[name])) for trial in best]
        width = _edge_width(parameter, (points or {}).get(name))
        for upper in (False, True):
            hits = sum(share >= 1 - width - 1e-9 if upper else share <= width + 1e-9 for share in shares)
            if not (2 * hits > len(best) and _chance(hits, len(best), width) < CHANCE):
                continue
            low, high = _extended(parameter, upper=upper)
            if (low, high) != (parameter.low, parameter.high):
                value = cast("float", best[0].params[name])
                found.append(Edge(name, value, parameter.low, parameter.high, low, high))
    return found


def _edge_width(parameter: Range, points: int | None) -> float:
    """Return the share of a range that counts as its edge: at least one grid point, and one whole number."""
    width = EDGE if points is None else max(EDGE, 1 / points)
    return max(width, 1 / (parameter.high - parameter.low + 1)) if isinstance(parameter, Integer) else width


def _extended(parameter: Range, *, upper: bool) -> tuple[float, float]:
    """Return a range that goes beyond one end of the parameter's, to a number of two digits, and keeps the other."""
    # Not `ends`, which for whole numbers lie half a number beyond the range.
    first, last = parameter.scaled(parameter.low), parameter.scaled(parameter.high)
    beyond = BEYOND * (last - first)
    end = parameter.unscaled(last + beyond if upper else first - beyond)
    if not parameter.is_log and parameter.low >= 0:  # below zero such values rarely make sense
        end = max(end, 0.0)
    if isinstance(parameter, Integer):
        end = max(round(end), 1) if parameter.low >= 1 else round(end)
    end = float(f"{end:.2g}")
    low, high = float(parameter.low), float(parameter.high)
    return (low, max(end, high)) if upper else (min(end, low), high)


def _chance(hits: int, among: int, share: float) -> float:
    """Return the binomial probability of at least `hits` successes."""
    return sum(math.comb(among, k) * share**k * (1 - share) ** (among - k) for k in range(hits, among + 1))
