"""Runs experiments: a process per processor, one thread of kernels each, an experiment's seeds side by side."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from ..backend import get_num_threads, set_num_threads
from ..interrupt import InterruptGuard
from ..random import unobserved
from .definition import Experiment
from .results import Result, Trial

#: How often, in seconds, a wait for results looks whether Ctrl-C was pressed.
LOOK = 0.2

OnTrial = Callable[[Experiment, int, int], Any]


class Interrupted(Exception):  # noqa: N818 - the name of what happened, as KeyboardInterrupt
    """Ctrl-C was pressed; `result` holds what the experiment under way had by then."""

    def __init__(self, result: Result) -> None:
        super().__init__("interrupted")
        self.result = result


def run(
    chosen: Sequence[Experiment],
    *,
    seeds: int = 5,
    processes: int | None = None,
    settings: Mapping[str, Any] | None = None,
    on_trial: OnTrial | None = None,
) -> Iterator[Result]:
    """Run experiments and yield the result of each, in their order.

    Parameters
    ----------
    chosen : sequence of Experiment
    seeds : int
        How many: 0, 1, 2 and so on.
    processes : int
        How many new interpreters run trials, one each at a time; by default all run in this one. They import the main
        module: a script needs its ``if __name__ == "__main__":``.
    settings : mapping, optional
        Settings for those experiments that have them.
    on_trial : callable, optional
        Called with the experiment, its finished trials and their number whenever a trial ends.

    Raises
    ------
    Interrupted
        After Ctrl-C; trials under way are given up.

    Examples
    --------
    >>> from pynn.lecture import experiments
    >>> [result] = run([experiments()["linear-stack"]], seeds=2, settings={"steps": 5})
    >>> len(result.trials)
    2
    """
    wanted = [
        (item, {name: value for name, value in (settings or {}).items() if name in item.settings}) for item in chosen
    ]
    runner = _run_here if processes is None else _run_in_processes
    with InterruptGuard() as guard:
        yield from runner(wanted, seeds, processes or 0, guard, on_trial or (lambda *_: None))


Wanted = list[tuple[Experiment, dict[str, Any]]]


def _run_here(wanted: Wanted, seeds: int, _: int, guard: InterruptGuard, on_trial: OnTrial) -> Iterator[Result]:
    for experiment, settings in wanted:
        result = Result(experiment, settings=settings)
        for seed in range(seeds):
            try:
                result.trials.append(_trial(experiment, seed, settings))
            except Exception as error:
                result.failure = _said(seed, error)
                break
            on_trial(experiment, len(result.trials), seeds)
            if guard.requested:
                raise Interrupted(result)
        yield result


def _run_in_processes(
    wanted: Wanted, seeds: int, processes: int, guard: InterruptGuard, on_trial: OnTrial
) -> Iterator[Result]:
    rest = list(wanted)
    while rest:
        with _pool(processes) as pool:
            futures = [
                [pool.submit(_trial_of, experiment.name, seed, settings) for seed in range(seeds)]
                for experiment, settings in rest
            ]
            for trials in futures:
                experiment, settings = rest.pop(0)
                yield _gather(Result(experiment, settings=settings), trials, guard, on_trial)
                if any(isinstance(trial.exception(), BrokenProcessPool) for trial in trials):
                    break  # the others get new processes


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that are ended at once when the block is left."""
    others = set(multiprocessing.active_children())
    # Not forked: a child of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()


def _gather(result: Result, futures: list[Future[Trial]], guard: InterruptGuard, on_trial: OnTrial) -> Result:
    """Wait for an experiment's trials and return its result; raise `Interrupted` if Ctrl-C comes first."""
    waiting = set(futures)
    while waiting and not guard.requested:
        done, waiting = wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED)
        for _ in done:
            on_trial(result.experiment, len(futures) - len(waiting), len(futures))
    for seed, future in enumerate(futures):
        if future in waiting:
            continue
        try:
            result.trials.append(future.result())
        except BrokenProcessPool:
            result.failure = result.failure or f"seed {seed}: the process that ran it, or one beside it, was ended"
        except Exception as error:
            result.failure = result.failure or _said(seed, error)
    if waiting:
        raise Interrupted(result)
    return result


def _start_worker() -> None:
    # Ctrl-C reaches the whole group of processes; the first one decides what becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_num_threads(1)


def _trial_of(name: str, seed: int, settings: Mapping[str, Any]) -> Trial:
    from .catalogue import experiments

    return _trial(experiments()[name], seed, settings)


def _trial(experiment: Experiment, seed: int, settings: Mapping[str, Any]) -> Trial:
    threads = get_num_threads()
    began = time.perf_counter()
    try:
        set_num_threads(1)
        with unobserved():
            returned = experiment.run(seed, **settings)
    finally:
        set_num_threads(threads)
    trial = Trial.of(seed, returned, time.perf_counter() - began)
    missing = [band.figure for band in experiment.bands if band.figure not in trial.figures]
    if missing:
        raise ValueError(f"the experiment returned no {missing[0]!r}, for which it has a band")
    return trial


def _said(seed: int, error: Exception) -> str:
    return f"seed {seed}: {type(error).__name__}: {error}"
