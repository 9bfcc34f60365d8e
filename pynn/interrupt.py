"""Signals: Ctrl-C as a request that is honoured between two steps, and code that no signal may interrupt."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class InterruptGuard:
    """Within the block, the first Ctrl-C sets `requested`; a second one raises KeyboardInterrupt at once.

    Only the main thread receives signals; elsewhere the guard does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None
        self._active = False

    def __enter__(self) -> InterruptGuard:
        on_main_thread = threading.current_thread() is threading.main_thread()
        # A handler other than Python's own belongs to the program around us, which then keeps it.
        if on_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._active = True
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._previous)


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
                for number in signal.valid_signals():
                    handler = signal.getsignal(number)
                    if callable(handler):
                        self._handlers[number] = handler
                        signal.signal(number, self._note)
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
                signal.signal(number, self._handlers[number])
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
