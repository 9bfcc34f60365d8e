"""Robust standard streams: they may be closed, full, without a reader, ASCII only, or objects with only `write`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

#: Whether the process was started with a standard output; set by `attach_missing`.
had_output = True


class LossyStream:
    """A stream for rich that drops output which cannot be written, so that no error ends the training."""

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
            raise OSError("the stream is not a file")
        return int(self._stream.fileno())


#: Width of text that goes to no terminal, and the minimum, in columns.
FILE_WIDTH, MIN_WIDTH = 110, 40


def text_width() -> int:
    """Return the columns that lines of text may take: those of the terminal, or `FILE_WIDTH` without one."""
    columns = shutil.get_terminal_size((FILE_WIDTH, 24)).columns if LossyStream(sys.stdout).isatty() else FILE_WIDTH
    return max(MIN_WIDTH, min(columns, FILE_WIDTH))


def wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """Return text as lines of at most `text_width` columns that begin with `first` and then `rest`."""
    lines = textwrap.wrap(
        " ".join(text.split()),
        text_width(),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]


def error_stream() -> LossyStream:
    """Return the current standard error."""
    return LossyStream(sys.stderr)


def say(message: str) -> None:
    """Write a line to standard error."""
    stream = error_stream()
    stream.write(f"{message}\n")
    stream.flush()


def error_console() -> Console:
    """Return a console that writes to the current standard error."""
    from rich.console import Console  # imported lazily, only when something is shown

    return Console(file=cast("IO[str]", error_stream()))


def attach_missing() -> None:
    """Open os.devnull for the standard streams that the process was started without.

    Otherwise the next opened file, perhaps the model's, would get the file descriptor of a stream, and output to that
    stream would go to the file.
    """
    if os.name == "posix":
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # returns the lowest free descriptor: this one
    global had_output
    had_output = sys.stdout is not None
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - lives until the process ends
