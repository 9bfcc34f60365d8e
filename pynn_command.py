"""The program `pynn`, outside the package: Ctrl-C while Python imports the package ends it with one line."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Import the command line, and run it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else it is ignored, as in the background of a shell
        signal.signal(signal.SIGINT, _end)
    from pynn.cli import main as command

    signal.signal(signal.SIGINT, before)
    command()


def _end(number: int, frame: FrameType | None) -> None:
    # At once, not by an exception: modules that try to import another one and do without would swallow it.
    try:
        sys.stderr.write("pynn: error: interrupted\n")
        sys.stderr.flush()
    finally:  # also if there is no standard error
        os._exit(130)
