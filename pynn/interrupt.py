"""Signals: the request to end is honoured between two steps, and some code no signal may interrupt."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

#: What tells a program to end: Ctrl-C, `kill` and batch systems, a terminal that closes (which Windows does not tell).
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


#: All of them, as numbers: `signal` makes enumerations of numbers and handlers, which for 64 signals takes 220 us;
#: `_signal`, on which it stands, does not, and takes 5.
NUMBERS = tuple(int(number) for number in signal.valid_signals())

_honoured: int = signal.SIGINT


class Terminated(KeyboardInterrupt):
    """The program was told to end by another signal than Ctrl-C, the number of which is its argument."""


@contextmanager
def termination_heeded() -> Iterator[None]:
    """Within the block, SIGTERM and SIGHUP are taken as Ctrl-C, where they would end the process at once."""
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
    """Return the number of the signal that a guard honoured last, SIGINT if there was none."""
    return _honoured


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


class InterruptGuard:
    """Within the block, the first Ctrl-C sets `requested`; a second one raises KeyboardInterrupt at once.

    So do SIGTERM and SIGHUP where `termination_heeded`. Of guards within each other, that of a search and that of a
    training, the first one sets `requested` of all. Only the main thread receives signals; elsewhere the guard does
    nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> InterruptGuard:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                handler = signal.getsignal(number)
                # A handler other than Python's own or ours belongs to the program around us, which then keeps it.
                ours = isinstance(getattr(handler, "__self__", None), InterruptGuard)
                if ours or handler is signal.default_int_handler or handler is _terminate:
                    self._previous[number] = handler
                    signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        global _honoured
        previous = self._previous[number]
        if self.requested or isinstance(getattr(previous, "__self__", None), InterruptGuard):
            previous(number, frame)
        self.requested = True
        _honoured = number

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


class Uninterrupted:
    """Within the block, signals that Python code handles wait; their handlers run at its end.

    Handlers run on the main thread alone; elsewhere nothing needs to wait.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._arrived: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            try:
                for number in NUMBERS:
                    handler = _signal.getsignal(number)
                    if callable(handler):
                        self._handlers[number] = handler
                        _signal.signal(number, self._note)
            except BaseException:
                self._restore()
                raise
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._arrived.append((number, frame))

    def _restore(self) -> dict[int, Any]:
        """Give the signals their handlers back, and return these."""
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
