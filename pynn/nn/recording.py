"""Which methods can be recorded and replayed, or apply an activation, and what a recording may rely on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.selection import kernels

if TYPE_CHECKING:
    from .parameters import FlatParameters


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


def recorder(methods: Iterable[Callable[..., Any]]) -> Callable[..., Any] | None:
    """Return the class that records kernel calls; None if the backend has none, or a method cannot be replayed."""
    return getattr(kernels(), "Recording", None) if all(map(is_replayable, methods)) else None


def track_changes(layers: Iterable[Any], flat: FlatParameters) -> None:
    """Let a change of a public attribute of these layers increment ``flat.version``, which invalidates recordings."""
    for layer in layers:
        layer._recorded_in = flat


def lasting_arrays(holders: Iterable[Any]) -> Iterator[np.ndarray]:
    """Yield the arrays in public attributes; a replaced private attribute would not be noticed."""
    for holder in holders:
        for name, value in vars(holder).items():
            if isinstance(value, np.ndarray) and not name.startswith("_"):
                yield value
