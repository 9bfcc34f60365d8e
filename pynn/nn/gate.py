"""A lock that keeps readers of a model's whole state, such as a save, out of the middle of a training step."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator

#: Polling interval, in seconds, while readers wait for their turn.
PAUSE = 1e-3


class StepGate:
    """A lock that a step holds while it changes a model, and that readers acquire between steps.

    Attributes
    ----------
    lock : threading.RLock
    stepping, reading : set of int
        Identities of the threads that change or read the model, or that wait for the lock to do so.

    Code that changes the model follows this pattern:

        thread = gate.enter()
        try:
            gate.stepping.add(thread)
            with gate.lock:
                ...
        finally:
            gate.stepping.discard(thread)
        if gate.reading:
            gate.let_through()

    A signal handler may run, and raise, when any call returns. So a thread is in `stepping` before it acquires the
    lock; otherwise a handler could re-enter the lock of its own thread and save half a step, or wait for itself.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stepping: set[int] = set()
        self.reading: set[int] = set()
        _gates.add(self)

    def enter(self) -> int:
        """Return this thread's identity, or raise RuntimeError in a handler that has interrupted a step or a save."""
        thread = threading.get_ident()
        if thread in self.stepping or thread in self.reading:
            raise RuntimeError("a step or a save of this model is under way in this thread; a handler cannot train it")
        return thread

    def let_through(self) -> None:
        """Let waiting readers read the model: the lock is not fair, and the next step would reacquire it first."""
        while self.reading:
            time.sleep(PAUSE)

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """Block all steps within the `with` block.

        Raises RuntimeError in the handler of a signal that has interrupted a step of this thread.
        """
        thread = threading.get_ident()
        if thread in self.stepping:
            raise RuntimeError(
                "a training step is under way in this thread, so its state is incomplete and cannot be saved; in a "
                "signal handler call trainer.stop(), and save when fit has returned"
            )
        outermost = thread not in self.reading  # a signal handler may save during a save
        try:
            self.reading.add(thread)
            with self.lock:
                yield
        finally:
            if outermost:
                self.reading.discard(thread)

    def _after_fork(self) -> None:
        self.stepping &= {threading.get_ident()}
        if not self.stepping:  # if the lock is held, then by a thread of the parent process
            self.lock = threading.RLock()
        self.reading.clear()


_gates: weakref.WeakSet[StepGate] = weakref.WeakSet()


def _reset_gates() -> None:
    for gate in list(_gates):
        gate._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_gates)
