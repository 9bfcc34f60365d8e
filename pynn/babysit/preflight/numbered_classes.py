"""Whether the targets of a regression are numbers of classes, whose order means nothing."""

from __future__ import annotations

import numpy as np

from .case import Case

#: Examples that are compared, at least and at most, and features of all of them.
FEW, COMPARED, VALUES = 100, 400, 8_000_000
#: The least and the largest number of classes.
FEWEST, MOST = 4, 100
#: Share of the targets that the nearest neighbour names exactly.
EXACT = 0.8
#: The distance between the numbers of an example and of the nearest one with another number, over that between any two
#: numbers. The digits have 0.98; ages, counts or grades have less, because what is alike has numbers that are close.
UNORDERED = 0.8


def share_named(case: Case) -> float | None:
    """Return the share of the targets that nearest neighbours name exactly; None if they are no numbers of classes."""
    y = case.examples.y.reshape(case.size, -1)
    low, high = float(y.min()), float(y.max())
    whole = y.shape[1] == 1 and low in (0, 1) and FEWEST <= high - low + 1 <= MOST and bool((y == np.round(y)).all())
    if not whole or case.size < FEW:
        return None
    compared = min(COMPARED, max(FEW, VALUES // case.examples.x[0].size))
    part = case.take(case.rows(compared, stream=23))
    x, number = part.x.reshape(len(part.x), -1).astype(np.float64), part.y.reshape(-1)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    squares = np.square(x).sum(axis=1)
    distance = squares[:, None] + squares - 2 * x @ x.T
    np.fill_diagonal(distance, np.inf)
    named = float(np.mean(number[distance.argmin(axis=1)] == number))
    apart = np.abs(number[:, None] - number)
    nearest_other = np.where(apart > 0, distance, np.inf).argmin(axis=1)
    close = float(np.abs(number[nearest_other] - number).mean()) / float(apart[apart > 0].mean())
    return named if named > EXACT and close > UNORDERED else None
