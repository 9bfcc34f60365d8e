"""Rebuilding of layers from a file, without random initialisation and with memory bounded by the file's size."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar

from .random import unobserved

# Elements that layers may still allocate; None outside of file reading. A list, so that it can be decremented in place.
_left: ContextVar[list[int] | None] = ContextVar("pynn_rebuilding", default=None)


@contextlib.contextmanager
def rebuilt_from(numbers: int) -> Iterator[None]:
    """Within the block, this thread rebuilds layers from a file that contains `numbers` elements."""
    # Twice the file's elements: a layer without bias still allocates one, at most as large as its weights.
    token = _left.set([2 * numbers])
    try:
        with unobserved():  # layers that draw random numbers do not advance the shared generator
            yield
    finally:
        _left.reset(token)


def rebuilding() -> bool:
    """Return whether layers are being rebuilt from a file, whose values will replace theirs."""
    return _left.get() is not None


def allow(shape: tuple[int, ...]) -> None:
    """Raise ValueError, before allocation, for an array larger than the file that it comes from."""
    left = _left.get()
    if left is None:
        return
    left[0] -= math.prod(shape)
    if left[0] < 0:
        raise ValueError(f"a layer has an array of shape {shape}, but the file does not contain that many numbers")
