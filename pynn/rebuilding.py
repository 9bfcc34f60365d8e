"""Layers made again from a file: nothing is drawn for them, and they take no more memory than the file."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar

from .random import unobserved

# How many numbers layers may still make; None where no file is being read. A list, to be counted down.
_left: ContextVar[list[int] | None] = ContextVar("pynn_rebuilding", default=None)


@contextlib.contextmanager
def rebuilt_from(numbers: int) -> Iterator[None]:
    """Within the block, this thread's layers are made from a file that holds so many numbers."""
    # Twice as many: a layer without bias draws one all the same, at most as large as its weights.
    token = _left.set([2 * numbers])
    try:
        with unobserved():  # layers that draw by themselves leave the shared generator alone
            yield
    finally:
        _left.reset(token)


def rebuilding() -> bool:
    """Return whether layers are being made from a file, whose values are going to replace theirs."""
    return _left.get() is not None


def allow(shape: tuple[int, ...]) -> None:
    """Raise ValueError, before memory is taken, for an array that is larger than the file that it is to come from."""
    left = _left.get()
    if left is None:
        return
    left[0] -= math.prod(shape)
    if left[0] < 0:
        raise ValueError(f"a layer has an array of shape {shape}, but the file does not hold as many numbers")
