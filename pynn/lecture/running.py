"""Runs experiments: one process per processor with one kernel thread each; the seeds run in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..backends.selection import get_num_threads, set_num_threads
from ..nn.random import unobserved
from ..utils.interrupt import InterruptGuard
from ..utils.processes import Call, NotStarted, ProcessEnded, Processes
from .definition import Experiment
from .results import ExperimentResult, Measurement

OnTrial = Callable[[Experiment, int, int], Any]


class Interrupted(Exception):  # noqa: N818 - named like KeyboardInterrupt
    """Ctrl-C was pressed; `result` holds the finished trials of the current experiment.

    Examples
    --------
    >>> from pynn.lecture import Interrupted
    >>> issubclass(Interrupted, BaseException)
    True
    """

    def __init__(self, result: ExperimentResult) -> None:
        super().__init__("interrupted")
        self.result = result


def run(
    chosen: Sequence[Experiment],
    *,
    seeds: int = 5,
    processes: int | None = None,
    settings: Mapping[str, Any] | None = None,
    on_trial: OnTrial | None = None,
) -> Iterator[ExperimentResult]:
    """Run experiments and yield the result of each, in their order.

    Parameters
    ----------
    chosen : sequence of Experiment
    seeds : int
        Number of seeds: 0, 1, 2 and so on.
    processes : int
        Number of worker processes; by default, all trials run in this process. Workers import the main module, so
        scripts need ``if __name__ == "__main__":``.
    settings : mapping, optional
        Settings, applied to the experiments that have them.
    on_trial : callable, optional
        Called when a trial ends, with the experiment, the number of finished trials and the total.

    Raises
    ------
    Interrupted
        After Ctrl-C; running trials are dropped.

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


def _run_here(
    wanted: Wanted, seeds: int, _: int, guard: InterruptGuard, on_trial: OnTrial
) -> Iterator[ExperimentResult]:
    for experiment, settings in wanted:
        result = ExperimentResult(experiment, settings=settings)
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
) -> Iterator[ExperimentResult]:
    team = Processes(processes, partial(set_num_threads, 1))
    ended: set[Call] = set()
    try:
        calls = [
            [team.submit(_trial_of, experiment.name, seed, settings) for seed in range(seeds)]
            for experiment, settings in wanted
        ]
        for (experiment, settings), trials in zip(wanted, calls, strict=True):
            yield _gather(ExperimentResult(experiment, settings=settings), trials, team, ended, guard, on_trial)
    except NotStarted as error:
        raise RuntimeError(
            f"worker processes die before their first trial ends ({error}): a script must run experiments below "
            'if __name__ == "__main__": (or omit processes)'
        ) from None
    finally:
        team.close(kill=True)


def _gather(
    result: ExperimentResult,
    calls: list[Call],
    team: Processes,
    ended: set[Call],
    guard: InterruptGuard,
    on_trial: OnTrial,
) -> ExperimentResult:
    """Wait for an experiment's trials and return its result; raise `Interrupted` if Ctrl-C comes first."""
    reported = 0
    while reported < len(calls) and not guard.requested:
        done = sum(call in ended for call in calls)
        for number in range(reported, done):
            on_trial(result.experiment, number + 1, len(calls))
        reported = done
        if reported < len(calls):
            ended.update(team.wait())
    for seed, call in enumerate(calls):
        if call not in ended:
            continue
        if call.error is None:
            result.trials.append(call.value)
        elif not result.failure:
            was_ended = f"the process that ran it was ended ({call.error})"
            result.failure = f"seed {seed}: {was_ended if isinstance(call.error, ProcessEnded) else call.error}"
    if reported < len(calls):
        raise Interrupted(result)
    return result


def _trial_of(name: str, seed: int, settings: Mapping[str, Any]) -> Measurement:
    from .catalogue import experiments

    return _trial(experiments()[name], seed, settings)


def _trial(experiment: Experiment, seed: int, settings: Mapping[str, Any]) -> Measurement:
    threads = get_num_threads()
    began = time.perf_counter()
    try:
        set_num_threads(1)
        with unobserved():
            returned = experiment.run(seed, **settings)
    finally:
        set_num_threads(threads)
    trial = Measurement.of(seed, returned, time.perf_counter() - began)
    missing = [band.figure for band in experiment.bands if band.figure not in trial.figures]
    if missing:
        raise ValueError(f"the experiment returned no {missing[0]!r}; expected a value for each band")
    return trial


def _said(seed: int, error: Exception) -> str:
    return f"seed {seed}: {type(error).__name__}: {error}"
