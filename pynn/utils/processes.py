"""Worker processes that each run one call at a time; any of them, or this process, may be killed at any moment.

Unlike the workers of `concurrent.futures.ProcessPoolExecutor` they share no queue and no lock: each has a separate
pipe. A process killed while it sends a message truncates only that message, and nothing blocks on the rest of it.
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

#: Maximum seconds of a wait for results, after which the caller checks for Ctrl-C.
LOOK = 0.2
#: Seconds that a process has to end after a request, then after terminate, then after kill.
GRACE = 3.0
#: Give up after this many consecutive processes that end before their first call.
STARTS = 3
#: Interval, in seconds, at which a process checks whether its parent is alive; another process may hold the pipe open.
WATCH = 2.0


#: The messages that a process sends before its first result.
LISTENING = BEGUN = pickle.dumps((None, None))


class ProcessEnded(RuntimeError):  # noqa: N818 - named after the event
    """The process ended before its call returned."""


class NotStarted(RuntimeError):  # noqa: N818 - named after the event
    """Processes ended before their first call, or could not be started."""


@dataclass(eq=False)
class Call:
    """A function called in another process; `error` is set if it returned no value."""

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
    """Runs calls in new interpreters, at most `maximum` at a time, in the order of submission.

    The processes ignore Ctrl-C, end when this process ends for any reason, and import the main module, so a script
    needs ``if __name__ == "__main__":``.

    Parameters
    ----------
    maximum : int
        Maximum number of processes.
    setup : callable
        Called in each process before its first call; it and all calls must be picklable.
    preload : sequence of str
        Modules to import once instead of in each process, if the system allows it.

    Raises
    ------
    RuntimeError
        In a process that may not have children, such as a worker of `multiprocessing.Pool`.
    """

    def __init__(self, maximum: int, setup: Callable[[], object], preload: Sequence[str] = ()) -> None:
        if multiprocessing.current_process().daemon:
            raise RuntimeError(
                "this process is a multiprocessing worker, which may not start other processes: run one at a time here "
                "(workers=1), or start this process with a concurrent.futures.ProcessPoolExecutor"
            )
        self._most = maximum
        self._setup = pickle.dumps((setup, ()), pickle.HIGHEST_PROTOCOL)
        # Not fork: a child would inherit locks held by other threads of this process, and they are never released.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if preload:
            self._context.set_forkserver_preload(list(preload))
        self._processes: list[_Process] = []
        self._waiting: deque[Call] = deque()
        self._failed_starts = 0
        # Set when the interpreter exits, while a daemon thread may still be in `wait`.
        self._exiting = threading.Event()
        # Must run before multiprocessing joins, at interpreter exit, processes that still wait for a call.
        self._finalizer = util.Finalize(self, _kill, (self._processes, self._exiting), exitpriority=10)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Call:
        """Submit a function call; `wait` returns the call when it has ended."""
        call = Call(pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL))
        self._waiting.append(call)
        return call

    def wait(self, timeout: float = LOOK) -> list[Call]:
        """Return the calls that have ended, after at most `timeout` seconds.

        Raises
        ------
        NotStarted
            If processes end before their first call.
        """
        if self._exiting.is_set():
            time.sleep(timeout)
            return []
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
        self._hand_out()  # keeps processes busy while the caller handles the results
        return ended

    def close(self, *, kill: bool = False) -> None:
        """End the processes: request idle ones to end and terminate the others; with `kill`, kill all at once."""
        self._waiting.clear()
        try:
            _end(self._processes, 0.0 if kill else GRACE)
        finally:
            self._finalizer()

    def _start(self) -> None:
        """Start processes for waiting calls, up to the maximum."""
        wanted = min(self._most, len(self._waiting) + sum(item.call is not None for item in self._processes))
        while len(self._processes) < wanted:
            try:
                self._processes.append(_started(self._context))
            except (OSError, EOFError) as error:  # out of memory or processes, or the fork server has died
                self._failed_start(str(error) or type(error).__name__)
                return

    def _hand_out(self) -> None:
        for item in self._processes:
            if item.ready and item.call is None and self._waiting:
                # If the process has died meanwhile, `_dead` finds it with a call that has not begun and requeues that.
                item.call, item.begun = self._waiting.popleft(), False
                with contextlib.suppress(OSError):
                    item.connection.send_bytes(item.call.content)

    def _hear(self, item: _Process) -> Call | None:
        """Handle a message of a process: it is listening, is set up, has begun a call, or returns its result."""
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
        """Remove a process that has ended; return its call, if it had begun one."""
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
        killed_at_exit = self._exiting.is_set()
        if self._failed_starts >= STARTS and not killed_at_exit and not any(item.ready for item in self._processes):
            raise NotStarted(how)


def _how(code: int | None) -> str:
    """Describe how a process ended."""
    if code is None or code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def _read(content: bytes) -> tuple[Any, Exception | None]:
    try:
        return pickle.loads(content)
    except Exception as error:
        return None, TypeError(f"the message of the process cannot be read ({type(error).__name__}: {error})")


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
        # Only the child may hold its ends of the pipes, so that its death closes them.
        theirs.close()
        reader.close()
    return _Process(process, ours, lifeline)


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Within the block, block Ctrl-C, so that processes started in it ignore Ctrl-C from the start."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # started first, because starting it unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: list[_Process], grace: float) -> None:
    """End processes: closing their pipes ends them; those still alive after `grace` seconds are terminated.

    With ``grace=0`` they are killed at once, because they hold nothing that needs cleanup.
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


def _kill(processes: list[_Process], exiting: threading.Event) -> None:
    """Kill processes at interpreter exit; all else is left to a thread that may be in `Processes.wait`."""
    exiting.set()
    for item in list(processes):
        item.process.kill()
    for item in list(processes):
        item.process.join(GRACE)


# The functions below run in the worker process.


def _work(connection: Connection, lifeline: Connection, starter: int, environment: dict[str, str]) -> None:
    os.environ.clear()  # a fork server still has the environment of its start
    os.environ.update(environment)
    # Ctrl-C in a terminal reaches all of its processes; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the main module may have changed it
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with, args=(lifeline, starter), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the other end is closed: the worker is done
        connection.send_bytes(LISTENING)
        connection.send_bytes(_answer(connection.recv_bytes()))  # the setup
        while True:
            content = connection.recv_bytes()
            connection.send_bytes(BEGUN)
            connection.send_bytes(_answer(content))


def _answer(content: bytes) -> bytes:
    """Run a call and return its value, or its error as text: a user's exception may not be picklable."""
    try:
        function, arguments = pickle.loads(content)
    except Exception as error:
        return pickle.dumps((None, TypeError(f"{type(error).__name__}: {error}")))
    try:
        return pickle.dumps((function(*arguments), None), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))


def _die_with(lifeline: Connection, starter: int) -> None:
    """End this process when its parent closes the lifeline or is gone."""
    try:
        while True:
            if lifeline.poll(WATCH):
                lifeline.recv_bytes()
            if os.name == "posix":
                os.kill(starter, 0)  # sends no signal; raises if the process does not exist
    except (EOFError, OSError):
        os._exit(1)
