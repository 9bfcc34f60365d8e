"""Randomness: the generator that initialises parameters, and the counted stream that dropout draws from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import ops
from .parameters import native


class _Source:
    """A generator that can be seeded anew; made at first use."""

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        self.generator = generator


_shared = _Source()
# What `unobserved` puts in place of the shared one, for the thread or task that asked only.
_own: ContextVar[_Source | None] = ContextVar("pynn_generator", default=None)


def manual_seed(seed: int) -> None:
    """Seed the initialisation of all layers made from now on.

    Training has its own seed (`Trainer(seed=)`).

    Examples
    --------
    >>> import pynn
    >>> pynn.manual_seed(0)
    >>> a = pynn.Linear(2, 2).weight[...].copy()
    >>> pynn.manual_seed(0)
    >>> bool((a == pynn.Linear(2, 2).weight[...]).all())
    True
    """
    (_own.get() or _shared).generator = np.random.default_rng(seed)


def initial_generator() -> np.random.Generator:
    """Return the generator that initialisation draws from."""
    source = _own.get() or _shared
    if source.generator is None:
        source.generator = np.random.default_rng()
    return source.generator


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Within the block, what is drawn for initialisation leaves the generator that `manual_seed` seeds as it was.

    It concerns the thread that runs the block; others draw from the shared generator meanwhile.
    """
    token = _own.set(_Source(np.random.default_rng(0)))
    try:
        yield
    finally:
        _own.reset(token)


def _free_after_fork() -> None:
    """Go on with a copy of the shared generator, whose lock a thread of the parent may hold, and would for ever."""
    if _shared.generator is not None:
        kept = _shared.generator.bit_generator
        copied = type(kept)(0)
        copied.state = kept.state
        _shared.generator = np.random.Generator(copied)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_after_fork)


class Stream:
    """A position in a stream of random numbers that is a function of its seed alone (see `ops.dropout`).

    Examples
    --------
    >>> stream = Stream(seed=7)
    >>> stream.draw(10), stream.draw(5)
    (array([7, 0], dtype=uint64), array([ 7, 10], dtype=uint64))
    """

    def __init__(self, seed: int = 0, offset: int = 0) -> None:
        self.state = np.array([seed, offset], np.uint64)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = native(state["state"])

    @property
    def seed(self) -> int:
        """What the numbers are a function of."""
        return int(self.state[0])

    @property
    def offset(self) -> int:
        """How many numbers have been drawn."""
        return int(self.state[1])

    def move(self, seed: int, offset: int) -> None:
        """Go to another place, for example that of a checkpoint."""
        self.state[:] = seed, offset

    def draw(self, count: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return where to find `count` numbers that nobody else gets, in the form that `ops.dropout` takes."""
        return ops.advance(self.state, count, out)
