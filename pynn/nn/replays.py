"""Recorded inference: a small batch costs its kernel calls and a microsecond or two."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..backends.selection import kernels
from .context import Context
from .layers import Layer
from .parameters import FlatParameters
from .random import Stream
from .recording import lasting_arrays, recorder, track_changes

#: Larger batches are not recorded: their kernels take longer than Python, and a recording holds their activations. Of
#: 256 rows, a replay through 64 and 64 units takes 0.3 times the time of the ops, through 256 and 256 units 0.9.
MAX_ROWS, MAX_ELEMENTS = 256, 1 << 16
#: Maximum number of recordings of a thread, one per batch shape.
MAX_RECORDINGS = 8

#: `Context.output_only`, and the shape of the batch.
_Key = tuple[bool, tuple[int, ...]]


class _Pass(NamedTuple):
    """A recorded pass and what it depends on.

    `answer` replays it for an input, or returns None; each replay overwrites the arrays in `context`.
    """

    flat: FlatParameters
    version: int
    kernels: ModuleType
    answer: Callable[[np.ndarray], np.ndarray | None]
    context: Context

    def is_current(self, flat: FlatParameters) -> bool:
        return self.version == flat.version and self.flat is flat and self.kernels is kernels()


class Replays(threading.local):
    """A model's inference passes as recordings of kernel calls; every thread has its own.

    The second pass with a batch shape is recorded, later ones replay it, with bit-identical results. A change of a
    layer's attribute, of the model's buffers or of the backend invalidates a recording, as in training (see
    `training.passes`).
    """

    def __init__(self) -> None:
        self._passes: dict[_Key, _Pass] = {}
        self._seen: set[_Key] = set()

    def replay(self, flat: FlatParameters, x: Any, output_only: bool) -> tuple[np.ndarray, Context] | None:
        """Return the output for `x`, as a new array, and the context; None if there is no recording for such an `x`."""
        if type(x) is not np.ndarray:
            return None
        recorded = self._passes.get((output_only, x.shape))
        if recorded is None or not recorded.is_current(flat):
            return None
        y = recorded.answer(x)
        return None if y is None else (y, recorded.context)

    def record(
        self, model: Layer, flat: FlatParameters, x: np.ndarray, output_only: bool, random: Stream | None
    ) -> tuple[np.ndarray, Context] | None:
        """Do the same in a pass that is recorded; None if a recording is not due or not possible."""
        key = output_only, x.shape
        if not 0 < x.size <= MAX_ELEMENTS or len(x) > MAX_ROWS:
            return None
        if key not in self._seen:
            if len(self._seen) >= MAX_RECORDINGS:
                self._seen.clear()
                self._passes.clear()
            self._seen.add(key)
            return None
        known = self._passes.get(key)
        if known is not None and known.is_current(flat):
            # `replay` did not do for the unconverted `x`; or a call fails, and the pass op by op raises its error.
            return self.replay(flat, x, output_only)
        layers, version = list(model.all_layers()), flat.version
        track_changes(layers, flat)
        make = recorder([layer.forward for layer in layers])
        if make is None:
            self._passes[key] = _Pass(flat, version, kernels(), _no_answer, Context())
            return None
        held = x.copy()
        with make((), lambda: [held, flat.values, *lasting_arrays(layers)]) as recording:
            context = Context(random=random, reuse=True, output_only=output_only)
            y = model.forward(held, context)
        self._passes[key] = _Pass(flat, version, kernels(), partial(recording.answer, held, y), context)
        return y.copy(), context


def _no_answer(x: np.ndarray) -> None:
    """Stand for the recording of a pass that cannot be replayed."""
