"""A recorded pass that exchanges data with other processes: recordings of kernel calls, and the calls between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from ..nn.context import Context


class Tape:
    """Records like the backend's `Recording`, whose interface it has; `outside` makes a call that is no kernel.

    Parameters
    ----------
    recorder : type
        The backend's `Recording`.
    context : Context
        The context of the pass, whose layers call `outside`.
    inputs, owned, before
        As for `Recording`.
    """

    def __init__(
        self,
        recorder: Callable[..., Any],
        context: Context,
        inputs: tuple[Any, ...],
        owned: Callable[[], Iterator[np.ndarray]],
        before: Tape | None = None,
    ) -> None:
        self._recorder, self._context = recorder, context
        self._arguments = inputs, owned
        self._parts: list[tuple[Any, Callable[[], None] | None]] = []
        self._last: Any = None if before is None else before._last
        self.complete = False

    def __enter__(self) -> Self:
        self._context.tape = self
        self._open()
        return self

    def _open(self) -> None:
        self._last = self._recorder(*self._arguments, self._last)
        self._last.__enter__()

    def outside(self, call: Callable[[], None]) -> None:
        """Make a call between two recordings; a replay makes it again."""
        self._last.__exit__(None, None, None)
        self._parts.append((self._last, call))
        call()
        self._open()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.tape = None
        self._last.__exit__(kind, value, trace)
        self._parts.append((self._last, None))
        self.complete = all(recording.complete for recording, _ in self._parts)

    def run(self, inputs: tuple[Any, ...] = ()) -> float | None:
        """Replay the pass; return the result of its last recording, or None if a call failed."""
        result = math.nan
        for recording, call in self._parts:
            result = recording.run(inputs)
            if result is None:
                return None
            if call is not None:
                call()
        return result
