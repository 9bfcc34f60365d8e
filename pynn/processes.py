"""Processes of our own that make one call at a time each; any of them, and this one too, may be killed at any moment.

Unlike `concurrent.futures.ProcessPoolExecutor` they share no queue and no lock: each has a pipe of its own. A process
that is killed in the middle of a message cuts off that message alone, and nobody waits for the rest of it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection, wait
from typing import Any

#: A wait for results lasts at most so many seconds, after which the caller looks whether Ctrl-C was pressed.
LOOK = 0.2
#: Seconds that a process is given to end when it is asked to, then when it is terminated, then when it is killed.
GRACE = 3.0
#: After so many processes on end that end before their first call, there is no use in starting more.
STARTS = 3
#: A process looks so often, in seconds, whether the one that started it lives: its pipe may be held open by another.
WATCH = 2.0


#: What a process says before it has a value to give.
LISTENING = BEGUN = pickle.dumps((None, None))


class ProcessEnded(RuntimeError):  # noqa: N818 - the name of what happened
    """The process that made a call has ended before the call has."""


class NotStarted(RuntimeError):  # noqa: N818 - the name of what happened
    """Processes end before their first call, or cannot be started."""


@dataclass(eq=False)
class Call:
    """A function called in another process; `error` says why there is no value."""

    content: bytes = field(repr=False)
    value: Any = None
    error: Exception | None = None


@dataclass(eq=False)
class _Process:
    process: Any
    connection: Connection
    lifeline: Connection
    setting_up: bool = False
    ready: bool = False
    call: Call | None = None
    begun: bool = False


class Processes:
    """Runs calls in new interpreters, so many at a time, in the order in which they are submitted.

    They leave Ctrl-C to this process, end with it however it ends, and import the main module: a script needs its
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    most : int
        Processes.
    setup : callable
        Called in each process before its first call; it and all calls must be picklable.
    preload : sequence of str
        Modules that are imported once, not by each process, where the system allows it.

    Raises
    ------
    RuntimeError
        In a process that may not have children: a worker of `multiprocessing.Pool`.
    """

    def __init__(self, most: int, setup: Callable[[], object], preload: Sequence[str] = ()) -> None:
        if multiprocessing.current_process().daemon:
            raise RuntimeError(
                "this process is a worker of multiprocessing that may not start others: run one at a time here "
                "(workers=1), or use a concurrent.futures.ProcessPoolExecutor outside"
            )
        self._most = most
        self._setup = pickle.dumps((setup, ()), pickle.HIGHEST_PROTOCOL)
        # Not fork: this process may have threads, and a copy of a lock that one of them holds is never released.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if preload:
            self._context.set_forkserver_preload(list(preload))
        self._processes: list[_Process] = []
        self._waiting: deque[Call] = deque()
        self._failed_starts = 0
        # Before multiprocessing waits, at the end of the interpreter, for processes that wait for a call.
        self._finalizer = util.Finalize(self, _end, (self._processes, 0.0), exitpriority=10)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Call:
        """Have a function called; `wait` returns the call when it has ended."""
        call = Call(pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL))
        self._waiting.append(call)
        return call

    def wait(self, timeout: float = LOOK) -> list[Call]:
        """Return the calls that have ended, after `timeout` seconds at the latest.

        Raises
        ------
        NotStarted
            If processes end before their first call.
        """
        self._start()
        self._hand_out()
        sources = [source for item in self._processes for source in (item.connection, item.process.sentinel)]
        signalled = set(wait(sources, timeout))
        ended = []
        for item in list(self._processes):
            if item.connection in signalled:
                call = self._hear(item)
            elif item.process.sentinel in signalled or not item.process.is_alive():
                call = self._dead(item)
            else:
                continue
            if call is not None:
                ended.append(call)
        self._hand_out()  # nobody idles while the caller looks at what has ended
        return ended

    def close(self, *, kill: bool = False) -> None:
        """End the processes: idle ones are asked to, others made to; all of them at once if told to kill."""
        self._waiting.clear()
        try:
            _end(self._processes, 0.0 if kill else GRACE)
        finally:
            self._finalizer()

    def _start(self) -> None:
        """Start processes for the calls that wait, unless there are enough."""
        wanted = min(self._most, len(self._waiting) + sum(item.call is not None for item in self._processes))
        while len(self._processes) < wanted:
            try:
                self._processes.append(_started(self._context))
            except (OSError, EOFError) as error:  # no memory, no more processes, or the fork server has died
                self._failed_start(str(error) or type(error).__name__)
                return

    def _hand_out(self) -> None:
        for item in self._processes:
            if item.ready and item.call is None and self._waiting:
                # One that has died meanwhile is found dead with a call in its hands that has not begun.
                item.call, item.begun = self._waiting.popleft(), False
                with contextlib.suppress(OSError):
                    item.connection.send_bytes(item.call.content)

    def _hear(self, item: _Process) -> Call | None:
        """Take up what a process says: that it listens, is set up, has begun a call, or what the call gave."""
        try:
            content = item.connection.recv_bytes()
            if not item.setting_up:
                item.setting_up = True
                item.connection.send_bytes(self._setup)
                return None
        except (EOFError, OSError):
            return self._dead(item)
        value, error = _read(content)
        if not item.ready:
            if error is not None:
                return self._dead(item, str(error))
            item.ready = True
            return None
        if not item.begun:
            item.begun, self._failed_starts = True, 0
            return None
        call, item.call = item.call, None
        if call is not None:
            call.value, call.error = value, error
        return call

    def _dead(self, item: _Process, how: str = "") -> Call | None:
        """Forget a process that has ended; return its call, if it had one."""
        self._processes.remove(item)
        if not how:
            item.process.join(GRACE)
            how = _how(item.process.exitcode)
        _end([item], 0.0)
        if item.call is not None and item.begun:
            item.call.error = ProcessEnded(how)
            return item.call
        if item.call is not None:
            self._waiting.appendleft(item.call)
        if item.call is not None or not item.ready:
            self._failed_start(how)
        return None

    def _failed_start(self, how: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= STARTS and not any(item.ready for item in self._processes):
            raise NotStarted(how)


def _how(code: int | None) -> str:
    """Return how a process has ended, as text."""
    if code is None or code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def _read(content: bytes) -> tuple[Any, Exception | None]:
    try:
        return pickle.loads(content)
    except Exception as error:
        return None, TypeError(f"what the process sent cannot be read ({type(error).__name__}: {error})")


def _started(context: Any) -> _Process:
    ours, theirs = context.Pipe()
    reader, lifeline = context.Pipe(duplex=False)
    try:
        with _deaf_children():
            process = context.Process(target=_work, args=(theirs, reader, os.getpid(), dict(os.environ)))
            process.start()
    except BaseException:
        ours.close()
        lifeline.close()
        raise
    finally:
        # Only the process itself holds its ends, so that it is heard when it dies.
        theirs.close()
        reader.close()
    return _Process(process, ours, lifeline)


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Within the block, Ctrl-C waits, and processes that begin do not hear it from their first moment on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which lets Ctrl-C through when it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: list[_Process], grace: float) -> None:
    """End processes: without their pipes they end by themselves; if not after `grace` seconds, they are made to.

    Without grace they are killed at once: nothing in them needs to be tidied up.
    """
    for item in processes:
        item.connection.close()
    limit = time.monotonic() + grace
    for item in processes:
        item.process.join(max(limit - time.monotonic(), 0.0))
        item.lifeline.close()
    for step in ("terminate", "kill") if grace else ("kill",):
        alive = [item.process for item in processes if item.process.is_alive()]
        for process in alive:
            getattr(process, step)()
        limit = time.monotonic() + GRACE
        for process in alive:
            process.join(max(limit - time.monotonic(), 0.0))
    processes.clear()


# In the process.


def _work(connection: Connection, lifeline: Connection, starter: int, environment: dict[str, str]) -> None:
    os.environ.clear()  # a fork server's are those of its start
    os.environ.update(environment)
    # Ctrl-C in a terminal reaches all of its processes; the one that started this one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the main module may have changed it
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with, args=(lifeline, starter), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the other end is closed: there is nothing more to do
        connection.send_bytes(LISTENING)
        connection.send_bytes(_answer(connection.recv_bytes()))  # the setup
        while True:
            content = connection.recv_bytes()
            connection.send_bytes(BEGUN)
            connection.send_bytes(_answer(content))


def _answer(content: bytes) -> bytes:
    """Make a call, and return its value, or its error as text: an exception of the user's may not survive the way."""
    try:
        function, arguments = pickle.loads(content)
    except Exception as error:
        return pickle.dumps((None, TypeError(f"{type(error).__name__}: {error}")))
    try:
        return pickle.dumps((function(*arguments), None), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))


def _die_with(lifeline: Connection, starter: int) -> None:
    """End this process when the one that started it closes the lifeline, or is gone."""
    try:
        while True:
            if lifeline.poll(WATCH):
                lifeline.recv_bytes()
            if os.name == "posix":
                os.kill(starter, 0)  # sends nothing; raises if there is no such process
    except (EOFError, OSError):
        os._exit(1)
