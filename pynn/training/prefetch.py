"""The batches of an epoch, prefetched by a thread or made one after the other."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from typing import Any, Self

from ..utils.interrupt import Uninterrupted
from .batches import Batch, Job, Source


def opened(
    source: Source, seed: int, epoch: int, start: int, prefetch: bool | None
) -> AbstractContextManager[Iterable[Batch]]:
    """Iterate over the batches of an epoch from batch `start` on; `prefetch` is that of `Trainer.fit`."""
    if prefetch or (prefetch is None and source.slow):
        return Prefetcher(partial(source.jobs, seed, epoch), start, draw=bool(prefetch))
    if source.slow:
        return _made(source.jobs(seed, epoch, start))
    return nullcontext(source.batches(seed, epoch, start))


@contextmanager
def _made(opened_jobs: Generator[Job, None, None]) -> Iterator[Iterable[Batch]]:
    """Make the batches one after the other; close the iterator of jobs at the end."""
    with closing(opened_jobs) as jobs:
        yield (job() for job in jobs)


class Prefetcher:
    """Prefetches the batches of an epoch: a thread makes the next batch while the current one is in use.

    A context manager: on exit it ends the thread and closes the iterator of jobs.

    Parameters
    ----------
    make : callable
        Returns the iterator of jobs from a given batch on.
    start : int
    draw : bool
        Whether the iterator of jobs, which contains the user's code, also runs in the thread.
    """

    def __init__(self, make: Callable[[int], Generator[Job, None, None]], start: int, *, draw: bool = False) -> None:
        self._make, self._at, self._draw = make, start, draw
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._jobs = self._make(self._at)
        self._thread = ThreadPoolExecutor(1, "pynn-batches")
        # The thread inherits the caller's context variables, such as NumPy's error state.
        self._context = contextvars.copy_context()
        try:
            self._next = self._ask()
        except BaseException:
            # Only the caller of a finished __init__ could end the thread, and Python waits at exit for one that the
            # executor has started and not registered.
            self._thread.shutdown(wait=False)
            raise

    def _ask(self) -> Future[Batch | None]:
        if self._draw:
            return self._submit(self._drawn)
        done: Future[Batch | None] = Future()
        try:
            job = next(self._jobs, None)
        except Exception as error:  # raised when this batch is read
            done.set_exception(error)
            return done
        if job is None:
            done.set_result(None)
            return done
        return self._submit(job)

    def _drawn(self) -> Batch | None:
        job = next(self._jobs, None)
        return None if job is None else job()

    def _submit(self, work: Callable[[], Any]) -> Future[Any]:
        with Uninterrupted():  # exceptions of signals' handlers break the locks of `concurrent.futures`
            return self._thread.submit(self._context.run, work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process != os.getpid():
            return
        self._next.cancel()
        if self._draw:  # the thread that runs a generator must close it
            closed = self._submit(self._jobs.close)
        # A second Ctrl-C does not wait for the batch in progress.
        self._thread.shutdown(wait=kind is not KeyboardInterrupt)
        if not self._draw:
            self._jobs.close()
        elif kind is None:
            closed.result()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            if self._process != os.getpid():  # forked: the thread stayed with the parent
                self._begin()
            batch = self._next.result()
            if batch is None:
                return
            self._at += 1
            self._next = self._ask()
            yield batch
