"""Functions that tests call in other processes, where they are found by name."""

import os
import signal
import threading
import time

from seen import PATIENCE

from pynn.utils.processes import Processes


def nothing():
    pass


def square(number):
    return number * number


def fail(text):
    raise KeyError(text)


def die(how=signal.SIGKILL):
    os.kill(os.getpid(), how)
    time.sleep(PATIENCE)


def die_at_first(note):
    if not note.exists():
        note.touch()
        die()


def sleep(note):
    note.write_text(str(os.getpid()))
    time.sleep(PATIENCE)


def give_much_and_die(note):
    """Return more than a pipe holds, and die while it is sent."""
    note.touch()
    threading.Timer(3, os.kill, (os.getpid(), signal.SIGKILL)).start()
    time.sleep(2)
    return bytes(10_000_000)


def unreadable():
    return Unreadable()


class Unreadable:
    def __reduce__(self):
        return fail, ("on arrival",)


def hang_at_exit():
    threading.Thread(target=time.sleep, args=(PATIENCE,)).start()


def start_within_a_pool():
    try:
        Processes(2, nothing)
    except RuntimeError as error:
        return str(error)
    return "started"
