"""Marks on methods: whether a recorded training step can replay them, and whether they apply an activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def replayable(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method that only calls ops, on arrays that stay in place from step to step.

    Such arrays are its arguments, parameters and their gradients, results of `Context.buffer` and `Context.gradient`,
    and views of these. If all methods of a training step are marked, its kernel calls can be recorded once and
    replayed. An override in a subclass must be marked again.
    """
    method.replayable = True  # type: ignore[attr-defined]
    return method


def is_replayable(method: Callable[..., Any]) -> bool:
    """Return whether a method is marked `replayable`."""
    return getattr(method, "replayable", False)


def applies_activation(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a forward or backward method that also applies ``ctx.activation`` (or its derivative).

    A `Sequential` then fuses the following elementwise activation into it.
    """
    method.applies_activation = True  # type: ignore[attr-defined]
    return method
