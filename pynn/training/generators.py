"""NumPy's ``default_rng([seed, epoch])`` for one epoch after the other, at a tenth of its time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

#: Epochs whose states are computed together, in the time of four calls of `default_rng`. One of these took as long as a
#: step of a small network, and a tenth of the time of a fit with five steps in an epoch.
TOGETHER = 64
#: Larger seeds have more than the four words of 32 bits, with the epoch, that fit the pool of a `SeedSequence`.
SEEDS = 2**96

# The constants of NumPy's `SeedSequence` (O'Neill's seed_seq_fe), whose numbers NumPy promises to keep (NEP 19).
_BEGIN_POOL, _OF_POOL, _BEGIN_WORDS, _OF_WORDS = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
_LEFT, _RIGHT, _HALF = np.array([0xCA01F9DD, 0x4973F715, 16], np.uint32)


class EpochGenerators:
    """Generators of random numbers, each of a seed and an epoch; quick if the epochs follow one another.

    Examples
    --------
    >>> generators = EpochGenerators()
    >>> draws = [generators.of(7, epoch).integers(1000) for epoch in range(100)]
    >>> draws == [np.random.default_rng([7, epoch]).integers(1000) for epoch in range(100)]
    True
    """

    def __init__(self) -> None:
        self._seed, self._first, self._states = -1, 0, np.empty((0, 4), np.uint64)

    def of(self, seed: int, epoch: int) -> np.random.Generator:
        """Return what ``default_rng([seed, epoch])`` returns."""
        if seed != self._seed or seed >= SEEDS:  # many runs have one epoch
            self._seed, self._first, self._states = seed, epoch + 1, self._states[:0]
            return np.random.default_rng([seed, epoch])
        if not 0 <= epoch - self._first < len(self._states):
            self._first, self._states = epoch, _states(seed, epoch)
        known: Any = _Known(self._states[epoch - self._first])  # NumPy's annotations omit its own ISeedSequence
        return np.random.Generator(np.random.PCG64(known))


class _Known(ISeedSequence):
    """Hands over a state that is known."""

    def __init__(self, state: np.ndarray) -> None:
        self._state = state

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return self._state


def _states(seed: int, first: int) -> np.ndarray:
    """Return ``SeedSequence([seed, epoch]).generate_state(4, np.uint64)`` of many epochs from the `first` on."""
    words = [seed & 0xFFFFFFFF, *((seed >> shift) & 0xFFFFFFFF for shift in (32, 64) if seed >> shift)]
    rows = [np.full(TOGETHER, word, np.uint32) for word in words]
    rows.append(np.arange(first, first + TOGETHER, dtype=np.uint32))
    rows += [np.zeros(TOGETHER, np.uint32)] * (4 - len(rows))
    with np.errstate(over="ignore"):
        hashed = _Hash(_BEGIN_POOL, _OF_POOL)
        pool = [hashed(row) for row in rows]
        for source in range(4):
            for target in (other for other in range(4) if other != source):
                mixed = pool[target] * _LEFT - hashed(pool[source]) * _RIGHT
                pool[target] = mixed ^ (mixed >> _HALF)
        hashed = _Hash(_BEGIN_WORDS, _OF_WORDS)
        made = np.stack([hashed(pool[at % 4]) for at in range(8)], axis=1)
    return made.astype("<u4").view("<u8").astype(np.uint64)


class _Hash:
    """A hash whose constant changes from call to call."""

    def __init__(self, constant: int, factor: int) -> None:
        self._constant, self._factor = constant, factor

    def __call__(self, values: np.ndarray) -> np.ndarray:
        values = values ^ np.uint32(self._constant)
        self._constant = self._constant * self._factor & 0xFFFFFFFF
        values = values * np.uint32(self._constant)
        return values ^ (values >> _HALF)
