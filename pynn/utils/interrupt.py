"""Signals: requests to end are honoured between steps, and critical sections are protected from signals."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import operator
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

#: Signals that request a program to end: Ctrl-C, `kill` and batch systems, a closing terminal (not on Windows).
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


#: All signal numbers as ints. `signal` converts numbers and handlers to enums, which takes 220 us for 64 signals; the
#: underlying `_signal` does not, and takes 5 us.
NUMBERS = tuple(int(number) for number in signal.valid_signals())

_honoured: int = signal.SIGINT


class Terminated(KeyboardInterrupt):
    """A signal other than Ctrl-C requested the program to end; the argument is its number."""


@contextmanager
def termination_heeded() -> Iterator[None]:
    """Within the block, treat SIGTERM and SIGHUP like Ctrl-C if they would otherwise end the process at once."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    numbers = [n for n in ENDING[1:] if on_main_thread and signal.getsignal(n) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def interrupted_by() -> int:
    """Return the number of the last signal that a guard honoured, or SIGINT."""
    return _honoured


def interruption() -> KeyboardInterrupt:
    """Return the exception for that signal, for code that goes no further after a guard's block."""
    return KeyboardInterrupt() if _honoured == signal.SIGINT else Terminated(_honoured)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


class InterruptGuard:
    """Within the block, the first Ctrl-C sets `requested`; a second one raises KeyboardInterrupt at once.

    Within `termination_heeded`, SIGTERM and SIGHUP do the same. With nested guards, such as those of a search and of a
    training run, the first signal sets `requested` of all. Only the main thread receives signals; in other threads the
    guard does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self.over = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> InterruptGuard:
        if threading.current_thread() is threading.main_thread():
            try:
                self._guard()
            except BaseException:  # another signal's handler raised
                self._restore()
                raise
        return self

    def _guard(self) -> None:
        own = _Handler(self, self._previous)
        for number in ENDING:
            handler = signal.getsignal(number)
            # A handler other than Python's or ours belongs to the embedding program and stays in place.
            if isinstance(handler, _Handler) or handler is signal.default_int_handler or handler is _terminate:
                self._previous[number] = handler
                signal.signal(number, own)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Record a signal."""
        global _honoured
        previous = self._previous[number]
        if self.requested or isinstance(previous, _Handler):
            previous(number, frame)
        self.requested = True
        _honoured = number

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over = True
        try:
            self._restore()
        except BaseException:
            self._restore()
            raise


class _Handler:
    """Calls the guard during its block, and the previous handler afterwards.

    It can outlive the block: the handler of another signal may raise at the end of the block, before `__exit__` runs.
    """

    def __init__(self, guard: InterruptGuard, previous: dict[int, Any]) -> None:
        self._guard, self._previous = weakref.ref(guard), previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        guard = self._guard()
        if guard is None or guard.over:
            signal.signal(number, self._previous[number])
            self._previous[number](number, frame)
        else:
            guard.handle(number, frame)


class Uninterrupted:
    """Within the block, defer signals that have Python handlers; the handlers run at its end.

    Python runs handlers only on the main thread; in other threads the class does nothing.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._arrived: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            try:
                # First all handlers, then their replacement: one pass over 64 signals takes half the time of the rest.
                found = [(number, handler) for number in NUMBERS if callable(handler := _signal.getsignal(number))]
                for number, handler in found:
                    self._handlers[number] = handler
                    _signal.signal(number, self._note)
            except BaseException:
                self._restore()
                raise
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._arrived.append((number, frame))

    def _restore(self) -> dict[int, Any]:
        """Restore the signal handlers and return them."""
        handlers = dict(self._handlers)
        try:
            while self._handlers:
                number = next(iter(self._handlers))
                _signal.signal(number, self._handlers[number])
                del self._handlers[number]
        finally:
            if self._handlers:  # a handler raised
                self._restore()
        return handlers

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        handlers = self._restore()
        for number, frame in self._arrived:
            handlers[number](number, frame)


def call_together(calls: Iterable[Callable[[], Any]]) -> None:
    """Make calls of C code, such as partials of `list.append` and `setattr`, with no signal handler in between.

    CPython runs handlers between instructions of Python code, and here there are none. Deferring signals instead looks
    at 64 of them, which takes 35 us with cold caches.
    """
    deque(map(operator.call, calls), maxlen=0)
