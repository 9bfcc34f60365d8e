"""Interrupts a call at each place where CPython looks for signals, or at random moments."""

import opcode
import random
import signal
import sys
from pathlib import Path

#: CPython runs signal handlers after calls, when a loop jumps back, and when a function begins.
LOOKS = {
    number
    for name, number in opcode.opmap.items()
    if name in ("CALL", "CALL_KW", "CALL_FUNCTION_EX") or ("JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name)
}


#: Seconds at least between two interrupts in a row: enough to run a handler.
SPACE = 5e-5


class Places:
    """Counts the places of a call where Python code can be interrupted, and raises a signal at one of them.

    The signal is a real one: whoever holds signals back, or has a handler of its own, does so here too.
    """

    def __init__(self, at=-1, number=signal.SIGALRM):
        self.at, self.number, self.seen, self.where = at, number, 0, "nowhere"
        self._last = {}

    def __enter__(self):
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _trace(self, frame, event, _):
        if frame.f_code is Places.__exit__.__code__:
            return None
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            if frame.f_back is not None:
                self._last.pop(
                    frame.f_back, None
                )  # a call of a Python function: signals are looked for where it begins
            self._place(frame)
        elif event == "opcode":
            if self._last.get(frame) in LOOKS:
                self._place(frame)
            self._last[frame] = frame.f_code.co_code[frame.f_lasti]
        elif event == "return":
            self._last.pop(frame, None)
        return self._trace

    def _place(self, frame):
        self.seen += 1
        if self.seen - 1 == self.at:
            self.at = -1
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}, {frame.f_code.co_name}"
            signal.raise_signal(self.number)  # returns if nobody raises anything


def places_of(call):
    """Return how many places `call` has at which it may be interrupted."""
    with Places() as places:
        call()
    return places.seen


def interrupt(call, at, number=signal.SIGALRM):
    """Make a call, interrupted at its place number `at`; return whether KeyboardInterrupt came out of it, and where."""
    places = Places(at, number)
    try:
        with places:
            call()
    except KeyboardInterrupt:
        return True, places.where
    finally:
        sys.settrace(None)
    return False, places.where


def alarmed(call, moments, longest, repeated=False):
    """Make a call, and raise KeyboardInterrupt in it after a random time, and again and again if `repeated`.

    Return whether it came out of the call, and where it was raised, as `interrupt` does.
    """

    def victim():
        call()

    def handle(number, frame):
        while frame is not None:
            if frame.f_code is victim.__code__:
                raise KeyboardInterrupt
            frame = frame.f_back

    wait = moments.uniform(1e-6, longest)
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, wait, max(wait, SPACE) if repeated else 0)
    try:
        victim()
    except KeyboardInterrupt:
        return True, "a random moment"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False, "nowhere"


def chosen(seed, places, count):
    """Return so many places out of `places`: all of them if there are no more, else spread at random."""
    return list(range(places)) if count >= places else sorted(random.Random(seed).sample(range(places), count))
