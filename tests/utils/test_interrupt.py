"""Blocks and calls that no signal's handler interrupts, and guards that only ask for an end."""

import signal
from functools import partial

import pytest

from pynn.utils.interrupt import InterruptGuard, Uninterrupted, call_together


def test_handlers_run_at_the_end_of_an_uninterrupted_block():
    seen = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with Uninterrupted():
            signal.raise_signal(signal.SIGUSR1)
            assert seen == []
        assert seen == [signal.SIGUSR1]
        assert signal.getsignal(signal.SIGUSR1) is not previous
        with pytest.raises(KeyboardInterrupt), Uninterrupted():
            signal.raise_signal(signal.SIGINT)
            seen.append("went on")
        assert seen[-1] == "went on"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_no_handler_runs_between_calls_made_together():
    made, seen = [], []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(list(made)))
    try:
        # The timer goes off while the numbers are added up.
        calls = [partial(made.append, 1), partial(sum, range(10_000_000)), partial(made.append, 2)]
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        call_together([partial(made.append, 0), *calls])
        assert seen == [[0, 1, 2]]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_guards_within_each_other_are_told_together_and_the_second_time_is_at_once():
    with InterruptGuard() as outer:
        with InterruptGuard() as inner:
            signal.raise_signal(signal.SIGINT)
            assert outer.requested and inner.requested
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        with InterruptGuard() as later:
            assert not later.requested
            with pytest.raises(KeyboardInterrupt):  # the second time, for the outer one
                signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
