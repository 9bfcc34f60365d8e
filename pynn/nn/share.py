"""The part of a minibatch that one of several processes computes, and what its layers may exchange with the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

#: `Context.outside`, or what does the same.
Outside = Callable[[Callable[[], None]], None]


class Slots(Protocol):
    """Arrays of one shape, one of each process, which all see after `exchange`.

    Attributes
    ----------
    rows : ndarray, shape (processes, ...)
    own : ndarray
        The row that this process fills.
    """

    rows: np.ndarray
    own: np.ndarray

    def exchange(self, outside: Outside) -> None:
        """Show the own row to all; the rows stay until the process fills its own again, in the next step."""


class Group(Protocol):
    """The processes that compute a minibatch together; every one of them makes the same calls in the same order."""

    rank: int
    size: int

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the float64 arrays of all ranks, (size, *values.shape), on every rank."""

    def slots(self, shape: tuple[int, ...], dtype: np.dtype) -> Slots:
        """Return slots for a layer, which it keeps."""


@dataclass(frozen=True)
class Share:
    """The rows of a minibatch that one rank computes.

    If a batch has fewer rows than there are ranks, a rank without rows computes the last row, with weight 0: its
    factor is 0, and so is its number of rows.

    Attributes
    ----------
    group : Group
    start : int
        The number of rows of the batch before those of this rank.
    counts : tuple of int
        The number of rows of each rank.
    factor : float
        The weight of this rank's loss in that of the whole batch.
    """

    group: Group
    start: int
    counts: tuple[int, ...]
    factor: float = 1.0

    @property
    def total(self) -> int:
        """The number of rows of the whole batch."""
        return sum(self.counts)

    @property
    def rows(self) -> np.ndarray:
        """`counts` as float64; the same array for the same counts, for recorded steps read it."""
        return _as_array(self.counts)


@lru_cache
def _as_array(counts: tuple[int, ...]) -> np.ndarray:
    return np.array(counts, np.float64)


class Tape(Protocol):
    """Records a pass, with the calls between its ops."""

    def outside(self, call: Callable[[], None]) -> None:
        """Make a call that is no op; a replay makes it again at this place."""
