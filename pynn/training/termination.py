"""The message of a rank that is ended by SIGTERM, as the launcher does when another rank has died."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..utils.streams import say

if TYPE_CHECKING:
    import socket

    from .ranks import Ranks


@contextmanager
def reporting_termination(ranks: Ranks | None) -> Iterator[None]:
    """Within the block, print on SIGTERM which checkpoint is the last one.

    A thread prints it: the main thread may wait for a rank that is gone, and Python runs no handler meanwhile. Ranks 0
    and 1 do, so that one is left if the other has died.
    """
    import socket  # 5 ms, which `import pynn` need not wait for

    if ranks is None or ranks.rank > 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    # Without a handler in Python, the signal would end the process before the thread can print.
    ends = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ends:
        signal.signal(signal.SIGTERM, lambda *_: None)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_report, args=(ranks, reading, ends), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        if ends:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        writing.close()


def _report(ranks: Ranks, reading: socket.socket, ends: bool) -> None:
    """Wait for signals, whose numbers arrive as bytes; nothing arrives once the block has ended."""
    with reading:
        while numbers := reading.recv(1):
            if numbers[0] == signal.SIGTERM:
                say(f"pynn: {ranks.name} was told to end, perhaps because another rank died; {ranks.saved}")
                if ends:
                    os._exit(128 + signal.SIGTERM)
