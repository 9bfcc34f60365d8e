"""Keeps whatever reads a model's whole state, such as a save, out of the middle of a training step."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator

#: Seconds between two looks at whether those who wait have had their turn.
PAUSE = 1e-3


class StepGate:
    """A lock that is held while a step changes a model, and that readers get between two steps.

    Attributes
    ----------
    lock : threading.Lock
    thread : int or None
        Identity of the thread that holds the lock to change the model.
    waiting : deque
        An entry for each thread that waits to read the model, or does.

    Whoever changes the model does it like this:

        with gate.lock:
            gate.thread = threading.get_ident()
            try:
                ...
            finally:
                gate.thread = None
        if gate.waiting:
            gate.let_through()

    A signal's handler may raise as any call returns: the ``with`` statement gives the lock back all the same, and
    between the lock and the plain assignments to `thread` no handler runs.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread: int | None = None
        self.waiting: deque[None] = deque()
        _gates.add(self)

    def let_through(self) -> None:
        """Let those who wait read the model: the lock alone is not fair, and would be taken for the next step."""
        while self.waiting:
            time.sleep(PAUSE)

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """Within the block, no step changes anything.

        Raises RuntimeError in the handler of a signal that has interrupted a step of this very thread.
        """
        if self.thread == threading.get_ident():
            raise RuntimeError(
                "a training step is under way in this thread, so there is no whole state to save; in a signal's "
                "handler call trainer.stop(), and save when fit has returned"
            )
        self.waiting.append(None)
        try:
            with self.lock:
                yield
        finally:
            self.waiting.pop()

    def _after_fork(self) -> None:
        if self.thread != threading.get_ident():  # held by a thread of the parent, if at all
            self.lock = threading.Lock()
            self.thread = None
        self.waiting.clear()


_gates: weakref.WeakSet[StepGate] = weakref.WeakSet()


def _reset_gates() -> None:
    for gate in list(_gates):
        gate._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_gates)
