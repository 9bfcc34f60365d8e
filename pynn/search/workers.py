"""Where trials run: in this process, in processes of our own, or wherever an executor of the user's runs them."""

from __future__ import annotations

import concurrent.futures as futures
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Protocol

from .training import Build, Data, Outcome, Task, run, run_with

#: So often is a trial begun whose process dies; from the second time on it runs alone, lest others be lost with it.
ATTEMPTS = 3


class Workers(Protocol):
    """Runs trials."""

    @property
    def free(self) -> bool:
        """Whether another trial can be begun."""

    @property
    def busy(self) -> bool:
        """Whether trials are under way."""

    def begin(self, task: Task) -> None:
        """Begin a trial."""

    def ended(self) -> list[Outcome]:
        """Wait until at least one trial has ended."""

    def close(self, *, kill: bool = False) -> None:
        """End; if told to kill, without waiting for trials under way."""


class Here:
    """One trial after another in this process."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self._tasks: deque[Task] = deque()

    @property
    def free(self) -> bool:
        return not self._tasks

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def begin(self, task: Task) -> None:
        self._tasks.append(task)

    def ended(self) -> list[Outcome]:
        return [run_with(self._tasks.popleft(), self.data)]

    def close(self, *, kill: bool = False) -> None:
        self._tasks.clear()


class Elsewhere:
    """So many trials at a time with an executor; without one, in processes of our own.

    The data travels once to each process: a process that does not have it says so, and gets the task again with it.
    """

    def __init__(self, data: Data, most: int, executor: futures.Executor | None = None) -> None:
        self.data, self.most = data, most
        self._foreign = executor is not None
        self._executor = executor
        self._pool: Pool | None = None
        self._running: dict[futures.Future, Task] = {}
        self._attempts: dict[int, int] = {}
        self._suspects: deque[Task] = deque()
        self._worked = False

    @property
    def free(self) -> bool:
        return len(self._running) < self.most and not self._suspects

    @property
    def busy(self) -> bool:
        return bool(self._running or self._suspects)

    def begin(self, task: Task) -> None:
        if self._executor is None:
            self._pool = Pool(self.most)
            self._executor = self._pool.executor
        self._running[self._executor.submit(run, task)] = task

    def ended(self) -> list[Outcome]:
        found: list[Outcome] = []
        while not found:
            if not self._running:
                self.begin(self._suspects.popleft())
            done, _ = futures.wait(self._running, return_when=futures.FIRST_COMPLETED)
            for future in done:
                outcome = self._outcome(self._running.pop(future, None), future)
                if outcome is not None:
                    found.append(outcome)
        return found

    def _outcome(self, task: Task | None, future: futures.Future) -> Outcome | None:
        if task is None:  # lost with another one, and taken care of
            return None
        try:
            outcome = future.result()
        except (futures.BrokenExecutor, futures.CancelledError) as error:
            return self._lost(task, error)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(f"a trial cannot be sent to another process: {error}") from error
        except Exception as error:  # of the executor, not of the trial: that is part of the outcome
            return self._lost(task, error)
        self._worked = True
        if outcome is None:
            self.begin(replace(task, data=self.data))
        return outcome

    def _lost(self, task: Task, error: BaseException) -> Outcome | None:
        """Try a trial again whose process has died, or give it up."""
        lost = [task]
        if isinstance(error, futures.BrokenExecutor):
            if self._foreign:
                raise RuntimeError(f"the executor is broken ({error}); the same call goes on from what is stored")
            lost += self._running.values()
            self._running.clear()
            self._executor = None
            if self._pool is not None:
                self._pool.close()
        given_up = None
        for item in lost:
            number = item.trial.number
            self._attempts[number] = self._attempts.get(number, 0) + 1
            if self._attempts[number] < ATTEMPTS:
                self._suspects.append(item)
            elif not self._worked and not self._foreign:
                raise RuntimeError(
                    "processes end before their first trial does: a script that searches must do so below "
                    'if __name__ == "__main__": (or pass workers=1 to stay in this process)'
                )
            else:
                reason = f"the process that ran it ended, {ATTEMPTS} times ({str(error) or type(error).__name__})"
                given_up = Outcome(replace(item.trial, ended="lost", reason=reason))
        return given_up

    def close(self, *, kill: bool = False) -> None:
        for future in self._running:
            future.cancel()
        if self._pool is not None:
            self._pool.close(kill=kill)
        self._running.clear()
        self._suspects.clear()


class Pool:
    """Processes of our own, which end with this one, however it ends: they wait on a pipe that only it holds open."""

    def __init__(self, processes: int) -> None:
        methods = multiprocessing.get_all_start_methods()
        # Not fork: the search may run beside threads, those of its own live table for one.
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        # Imported once, not by each process: a process then starts in hundredths of a second.
        context.set_forkserver_preload(["__main__", "pynn.search.training"])
        reader, self._lifeline = context.Pipe(duplex=False)
        self.executor = futures.ProcessPoolExecutor(processes, context, _start, (reader,))
        self._reader = reader

    def close(self, *, kill: bool = False) -> None:
        """End the processes; if told to kill, in the middle of what they do."""
        if kill:
            self._lifeline.close()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self._lifeline.close()
        self._reader.close()


def _start(lifeline: Connection) -> None:
    """Set up a process of the pool: Ctrl-C is left to the driver, without which there is no life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(lifeline,), daemon=True).start()


def _die_with(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def check_sendable(build: Build) -> None:
    """Raise TypeError unless another process can find `build`."""
    where = getattr(build, "__module__", None)
    name = getattr(build, "__qualname__", repr(build))
    advice = "define it with def at the top of a module or script, or pass workers=1 to stay in this process"
    try:
        pickle.dumps(build)
    except Exception as error:
        raise TypeError(f"build, {name}, cannot be sent to another process ({error}): {advice}") from None
    if where == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise TypeError(f"build, {name}, was defined interactively, where no other process finds it: {advice}")


def workers(data: Data, count: int, executor: futures.Executor | Any | None) -> Workers:
    """Return what runs the trials."""
    if executor is None and count == 1:
        return Here(data)
    return Elsewhere(data, count, executor)
