"""Runs trials: in this process, in worker processes, or in the user's executor."""

from __future__ import annotations

import concurrent.futures as futures
import functools
import pickle
import sys
from collections import deque
from dataclasses import replace
from typing import Any, Protocol

from ..utils.processes import LOOK, Call, NotStarted, ProcessEnded, Processes
from .engines import sent_once
from .task import Build, Outcome, SearchData, Task
from .trial_runner import hold, run, run_with

#: Attempts to run a trial whose process crashes or that the executor fails to run.
ATTEMPTS = 3


class Workers(Protocol):
    """Runs trials."""

    @property
    def free(self) -> bool:
        """Whether another trial can begin."""

    @property
    def busy(self) -> bool:
        """Whether trials are running."""

    def begin(self, task: Task) -> None:
        """Begin a trial."""

    def ended(self) -> list[Outcome]:
        """Return the outcomes of trials that have ended; wait at most a fraction of a second for other processes."""

    def close(self, *, kill: bool = False) -> None:
        """Shut down; with `kill`, do not wait for running trials."""


class Here:
    """Runs trials sequentially in this process."""

    def __init__(self, data: SearchData) -> None:
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
    """Base class of `OwnProcesses` and `WithExecutor`: runs up to `maximum` trials at once; retries lost ones."""

    def __init__(self, data: SearchData, maximum: int) -> None:
        self.data, self.maximum = data, maximum
        self._running: dict[Any, Task] = {}
        self._attempts: dict[int, int] = {}

    @property
    def free(self) -> bool:
        return len(self._running) < self.maximum

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def begin(self, task: Task) -> None:
        raise NotImplementedError

    def _lost(self, task: Task, where: str, why: str) -> list[Outcome]:
        """Retry a trial, or give up."""
        number = task.trial.number
        self._attempts[number] = self._attempts.get(number, 0) + 1
        if self._attempts[number] < ATTEMPTS:
            self.begin(task)
            return []
        return [Outcome(replace(task.trial, ended="lost", reason=f"{where} in {ATTEMPTS} attempts ({why})"))]


class OwnProcesses(Elsewhere):
    """Worker processes, which receive the data when they start."""

    def __init__(self, data: SearchData, maximum: int) -> None:
        super().__init__(data, maximum)
        # The fork server imports the main module once; a process then starts in hundredths of a second.
        self._processes = Processes(maximum, functools.partial(hold, data), ("__main__", "pynn.search.trial_runner"))

    def begin(self, task: Task) -> None:
        try:
            self._running[self._processes.submit(run, task)] = task
        except Exception as error:
            raise _unsendable(error) from error

    def ended(self) -> list[Outcome]:
        try:
            ended = self._processes.wait()
        except NotStarted as error:
            raise RuntimeError(
                f"worker processes die before their first trial ends ({error}): a script must call search.run below "
                'if __name__ == "__main__": (or pass workers=1 to stay in this process)'
            ) from None
        return [outcome for call in ended for outcome in self._outcomes(self._running.pop(call), call)]

    def _outcomes(self, task: Task, call: Call) -> list[Outcome]:
        if isinstance(call.error, ProcessEnded):
            return self._lost(task, "its process crashed", str(call.error))
        if call.error is not None:
            raise _unsendable(call.error)
        return [call.value]

    def close(self, *, kill: bool = False) -> None:
        self._processes.close(kill=kill)
        self._running.clear()


class WithExecutor(Elsewhere):
    """Runs trials in the user's executor.

    Each process receives the data once. On Dask and Ray, tasks refer to them; elsewhere, a process without the data
    returns None, and `ended` resends the task with it.
    """

    def __init__(self, data: SearchData, maximum: int, executor: futures.Executor | Any) -> None:
        super().__init__(data, maximum)
        self._executor = executor
        self._reference = sent_once(executor, data)

    def begin(self, task: Task) -> None:
        if isinstance(self._executor, futures.ThreadPoolExecutor):
            task = replace(task, data=self.data)  # threads share memory
        data = () if self._reference is None else (self._reference,)
        try:
            self._running[self._executor.submit(run, task, *data)] = task
        except (futures.BrokenExecutor, RuntimeError) as error:  # RuntimeError: shut down
            raise _broken(error) from error

    def ended(self) -> list[Outcome]:
        done, _ = futures.wait(self._running, timeout=LOOK, return_when=futures.FIRST_COMPLETED)
        return [outcome for future in done for outcome in self._outcomes(self._running.pop(future), future)]

    def _outcomes(self, task: Task, future: futures.Future) -> list[Outcome]:
        try:
            outcome = future.result()
        except futures.BrokenExecutor as error:
            raise _broken(error) from error
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise _unsendable(error) from error
        except (
            Exception,
            futures.CancelledError,
        ) as error:  # an error of the executor; the outcome holds that of a trial
            if self._reference is not None:  # the worker that has died may have been the last one with the data
                self._reference = sent_once(self._executor, self.data)
            return self._lost(task, "the executor did not run it", str(error) or type(error).__name__)
        if outcome is None:
            self.begin(replace(task, data=self.data))
            return []
        return [outcome]

    def close(self, *, kill: bool = False) -> None:
        for future in self._running:
            future.cancel()
        self._running.clear()


def _broken(error: BaseException) -> RuntimeError:
    return RuntimeError(f"the executor is broken ({error}); if the trials are stored, the same call resumes the search")


def _unsendable(error: BaseException) -> TypeError:
    return TypeError(f"a trial cannot be sent to another process: {error}")


def check_sendable(build: Build) -> None:
    """Raise TypeError unless another process can import `build`."""
    where = getattr(build, "__module__", None)
    name = getattr(build, "__qualname__", repr(build))
    advice = "define it with def at the top of a module or script, or pass workers=1 to stay in this process"
    try:
        pickle.dumps(build)
    except Exception as error:
        raise TypeError(f"build, {name}, cannot be sent to another process ({error}): {advice}") from None
    if where == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise TypeError(f"build, {name}, was defined interactively, and other processes cannot import it: {advice}")


def workers(data: SearchData, build: Build, count: int, executor: futures.Executor | Any | None) -> Workers:
    """Return the workers of a search."""
    if executor is None and count == 1:
        return Here(data)
    if executor is not None and not hasattr(executor, "submit"):
        raise TypeError(f"executor is {executor!r}; expected a concurrent.futures.Executor, or workers= for processes")
    if not isinstance(executor, futures.ThreadPoolExecutor):
        check_sendable(build)
    return OwnProcesses(data, count) if executor is None else WithExecutor(data, count, executor)
