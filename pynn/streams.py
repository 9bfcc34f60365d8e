"""Standard streams as they may be: closed, full, without a reader, ASCII only, or objects that only have write."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

#: Whether the process was started with a standard output, as far as `attach_missing` has looked.
had_output = True


class Stream:
    """A stream as rich writes to it; what it does not take is dropped, and ends no training."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                try:
                    self._stream.write(text)
                except UnicodeError:
                    self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return bool(self._stream.isatty())
        return False

    def fileno(self) -> int:
        if not hasattr(self._stream, "fileno"):
            raise OSError("the stream is no file")
        return int(self._stream.fileno())


def error_stream() -> Stream:
    """Return what standard error is now."""
    return Stream(sys.stderr)


def say(message: str) -> None:
    """Write a line to standard error."""
    stream = error_stream()
    stream.write(f"{message}\n")
    stream.flush()


def error_console() -> Console:
    """Return a console that writes to what standard error is now."""
    from rich.console import Console  # not before something is shown

    return Console(file=cast("IO[str]", error_stream()))


def attach_missing() -> None:
    """Give the process the standard streams that it was started without.

    Otherwise the next file that is opened, perhaps the model's, has the number of a stream, and gets what is written
    there.
    """
    if os.name == "posix":
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    global had_output
    had_output = sys.stdout is not None
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - lives until the process ends
