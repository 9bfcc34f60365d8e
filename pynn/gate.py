"""Keeps whatever reads a model's whole state, such as a save, out of the middle of a training step."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds between two looks at whether those who wait have had their turn.
PAUSE = 1e-3


class StepGate:
    """A lock that is held while a step changes a model, and that readers get between two steps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None  # that holds the lock to change the model
        self._waiting: deque[None] = deque()
        _gates.add(self)

    def change(self, action: Callable[..., T], *arguments: Any) -> T:
        """Return what `action` returns, which changes the model; then let those who wait read it.

        A signal's handler may raise anywhere: a ``with`` statement gives a lock back all the same, and `_thread` is
        set and cleared by plain assignments, between which and the lock no handler runs.
        """
        with self._lock:
            self._thread = threading.get_ident()
            try:
                result = action(*arguments)
            finally:
                self._thread = None
        while self._waiting:  # the lock is not fair: who released it last would get it again
            time.sleep(PAUSE)
        return result

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """Within the block, no step changes anything.

        Raises RuntimeError in the handler of a signal that has interrupted a step of this very thread.
        """
        if self._thread == threading.get_ident():
            raise RuntimeError(
                "a training step is under way in this thread, so there is no whole state to save; in a signal's "
                "handler call trainer.stop(), and save when fit has returned"
            )
        self._waiting.append(None)
        try:
            with self._lock:
                yield
        finally:
            self._waiting.pop()

    def _after_fork(self) -> None:
        if self._thread != threading.get_ident():  # held by a thread of the parent, if at all
            self._lock = threading.Lock()
            self._thread = None
        self._waiting.clear()


_gates: weakref.WeakSet[StepGate] = weakref.WeakSet()


def _reset_gates() -> None:
    for gate in list(_gates):
        gate._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_gates)
