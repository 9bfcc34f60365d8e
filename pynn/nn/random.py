"""Randomness: the generator for parameter initialisation, and the counter-based stream for dropout."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from .. import ops
from ..utils.validation import count
from .parameters import native


class _Source:
    """A generator that can be reseeded; created lazily."""

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        self.generator = generator


_shared = _Source()
# Replaces the shared generator within `unobserved`, only for the calling thread or task.
_own: ContextVar[_Source | None] = ContextVar("pynn_generator", default=None)


def manual_seed(seed: int) -> None:
    """Seed the initialisation of all layers created from now on.

    Shuffling, dropout and augmentation have a seed of their own, `Trainer(seed=)`, which is 0 by default: this call
    before the first layer makes a whole run repeatable.

    Examples
    --------
    >>> import pynn
    >>> pynn.manual_seed(0)
    >>> a = pynn.Linear(2, 2).weight[...].copy()
    >>> pynn.manual_seed(0)
    >>> bool((a == pynn.Linear(2, 2).weight[...]).all())
    True
    """
    (_own.get() or _shared).generator = np.random.default_rng(count(seed, "seed", minimum=0))


def initial_generator() -> np.random.Generator:
    """Return the generator that initialisation draws from."""
    source = _own.get() or _shared
    if source.generator is None:
        source.generator = np.random.default_rng()
    return source.generator


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Within the block, initialisation does not advance the generator that `manual_seed` seeds.

    This affects only the thread that runs the block; other threads use the shared generator meanwhile.
    """
    token = _own.set(_Source(np.random.default_rng(0)))
    try:
        yield
    finally:
        _own.reset(token)


def _unlock_after_fork() -> None:
    """Unlock the shared generator in a forked child: a thread that held its lock in the parent does not exist here."""
    if _shared.generator is not None:
        # Not a copy of the state: since NumPy 2.5, reading it waits for the lock.
        _shared.generator.bit_generator.lock._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_after_fork)


class Stream:
    """A position in a stream of random numbers that depends only on its seed (see `ops.dropout`).

    Examples
    --------
    >>> stream = Stream(seed=7)
    >>> stream.draw(10), stream.draw(5)
    (array([7, 0], dtype=uint64), array([ 7, 10], dtype=uint64))
    """

    def __init__(self, seed: int = 0, offset: int = 0) -> None:
        self.state = np.array([seed, offset], np.uint64)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = native(state["state"].copy())  # joblib may map a file's arrays read-only

    @property
    def seed(self) -> int:
        """The seed that determines the numbers."""
        return int(self.state[0])

    @property
    def offset(self) -> int:
        """The number of values drawn so far."""
        return int(self.state[1])

    def move(self, seed: int, offset: int) -> None:
        """Move to another position, for example that of a checkpoint."""
        self.state[:] = seed, offset

    def draw(self, count: int, out: np.ndarray | None = None) -> np.ndarray:
        """Reserve `count` numbers and return their position in the form that `ops.dropout` takes."""
        return ops.advance(self.state, count, out)
