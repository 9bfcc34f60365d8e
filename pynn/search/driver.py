"""The search loop: proposes trials, sends them to workers and stores the results, stage by stage."""

from __future__ import annotations

import contextlib
import math
import secrets
import sys
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import selection as backend
from ..backends.processors import usable_processors
from ..training.callbacks import Mode
from ..training.metrics import Metric
from ..utils.interrupt import InterruptGuard
from ..utils.validation import count
from .building import driven, this_process
from .edges import SearchWarning
from .fingerprint import fingerprint
from .objective import Objective
from .result import SearchResult
from .samplers import Sampler, check_sampler, grid, load_optuna, proposer
from .space import Parameter, Params, Space, check_batch_size
from .stages import Stage, checked
from .state import SearchState
from .store import BEST, Store, check_same
from .task import Build, Outcome, SearchData, Task
from .trial import Trial, ranked
from .workers import Workers, workers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .live import View


#: The next stage narrows the ranges around this share of the trials, the best ones, but around at least this many.
NARROW_AROUND, MIN_AROUND = 0.25, 3


def run(
    build: Build,
    space: Mapping[str, Parameter],
    train: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike],
    *,
    trials: int | None = None,
    epochs: int | None = None,
    stages: Sequence[Stage] | None = None,
    sampler: Sampler = "random",
    batch_size: int = 32,
    metric: Metric | None = None,
    mode: Mode = "auto",
    end_early: bool = True,
    seed: int = 0,
    workers: int | None = None,
    executor: Executor | None = None,
    folder: str | Path | None = None,
    store: str | None = None,
    progress: bool = False,
) -> SearchResult:
    """Search for the hyperparameters that give the best score on the validation data.

    The same arguments give the same trials, bit for bit, for any number of workers. The exception is a model-based
    sampler, which depends on the order in which trials end: it is reproducible with one worker.

    A trial ends early when the loss of five consecutive steps exceeds 3x the first one, when the loss is not finite,
    or, in trials longer than a tenth of a second, when the monitor finds an error that more training cannot fix. The
    search records a trial that raises an error as failed, with the message, and a trial whose process crashes three
    times as lost; it continues in both cases. Ctrl-C stops the search within seconds and keeps the trials that ended.

    Parameters
    ----------
    build : callable
        ``build(params)`` returns a new `pynn.Trainer` that shares no object with other trials. The search seeds the
        global random generators of pynn, NumPy and Python before each call and restores them after it. With several
        workers, define `build` with ``def`` in a module or script, where other processes can import it. If trials run
        in this process, the search calls `build` twice for the first trial, to check that it creates new objects.
    space : dict of str to Parameter
        `Uniform`, `LogUniform`, `Integer`, `Choice`. A parameter named "batch_size" also sets the batch size.
    train, validation : (x, y)
        Arrays of numbers. Do not write to them while the search runs.
    trials, epochs : int
        Number of trials, and epochs of each trial; 60 and 5 by default. Omit them if you pass `stages`.
    stages : sequence of Stage
        Stages of trials from coarse to fine; see `coarse_to_fine`.
    sampler : {"random", "grid", "quasi-random", "tpe"} or optuna.samplers.BaseSampler
        "grid" takes as many points per axis as the number of trials allows, "quasi-random" uses a scrambled Sobol
        sequence, "tpe" uses Optuna's tree-structured Parzen estimator.
    batch_size : int
    metric : str or callable, optional
        The score, a figure of the validation data after the last epoch: by default "val_accuracy" for integer targets,
        else "val_loss". Also a metric of `pynn.training.metrics`, such as "f1", "roc_auc" or "r2", another column of
        the history, or a function of targets and predictions; with several workers, one that is defined with ``def``.
    mode : {"auto", "min", "max"}
        Whether the smallest or the largest score is the best; "auto" knows the metrics that have names.
    end_early : bool
        Whether hopeless trials end early. A trial whose loss is not finite always ends early.
    seed : int
    workers : int, optional
        Number of concurrent trials; by default, one per processor. One worker runs in this process; several run in
        separate processes with one kernel thread each.
    executor : concurrent.futures.Executor, optional
        Runs the trials instead of pynn's own processes: ``distributed.Client(...).get_executor(pure=False)`` (Dask),
        `RayExecutor`, ``mpi4py.futures.MPIPoolExecutor``. See docs/cluster.md.
    folder : path-like, optional
        Keep trials (an Optuna journal), checkpoints and the best model here. The same call then resumes after the last
        completed trial; with a larger number of trials, it adds trials. The search rejects a folder that belongs to a
        search with another space, other data or other code of `build` (within the module of `build`).
    store : str, optional
        Keep the trials in this database instead of the journal: "sqlite:///search.db" or another SQLAlchemy URL.
    progress : bool
        Show a live table on a terminal, elsewhere a line per trial, on standard error.

    Returns
    -------
    SearchResult

    Raises
    ------
    ValueError
        If a space, stage or argument is invalid; if `build` returns an object that belongs to another trial; if the
        data change during the search; if the store is damaged or belongs to another search or version (`StoreError`).
    RuntimeError
        If processes cannot start, or the executor is broken; the store keeps its trials.
    ImportError
        If Optuna is not installed.

    Warns
    -----
    SearchWarning
        If the best values lie at the edge of a range; the warning names a range to try.

    Notes
    -----
    Coarse to fine, log scales, the factor of 3 and the check of the edges come from CS231n, Training Neural Networks,
    Part 1, "Hyperparameter Optimization"; random search comes from Bergstra & Bengio 2012, JMLR 13.

    Examples
    --------
    >>> import pynn
    >>> from pynn import search
    >>> x, y = pynn.datasets.blobs(n=300, classes=3, seed=0)
    >>> def build(params):
    ...     model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
    ...     return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))
    >>> space = {"lr": search.LogUniform(1e-5, 1.0)}
    >>> result = search.run(build, space, (x[:200], y[:200]), (x[200:], y[200:]), trials=6, epochs=2, workers=1)
    >>> result.best.score > 0.9
    True
    """
    load_optuna()
    if stages is None:
        stages = (Stage(60 if trials is None else trials, 5 if epochs is None else epochs),)
    elif trials is not None or epochs is not None:
        raise ValueError("stages sets the number of trials and epochs; omit trials and epochs")
    if not callable(build):
        raise TypeError(f"build is {build!r}; expected a function of the parameters that returns a pynn.Trainer")
    data = SearchData.of(train, validation)
    search = SearchDriver(
        build,
        Space(space),
        data,
        stages=checked(stages),
        sampler=sampler,
        batch_size=count(batch_size, "batch_size"),
        objective=Objective.of(metric, mode, data.validation[1]),
        end_early=end_early,
        seed=count(seed, "seed", minimum=0),
    )
    return search.run(
        usable_processors() if workers is None else count(workers, "workers"),
        executor,
        None if folder is None else Path(folder),
        store,
        progress=progress,
    )


class SearchDriver(SearchState):
    """The settings and the progress of a search; `run` describes the arguments."""

    def __init__(
        self,
        build: Build,
        space: Space,
        data: SearchData,
        *,
        stages: tuple[Stage, ...],
        sampler: Sampler,
        batch_size: int,
        objective: Objective,
        end_early: bool,
        seed: int,
    ) -> None:
        super().__init__(space, stages, objective.column, maximize=objective.maximize)
        self.objective = objective
        self.build, self.data, self.sampler = build, data, sampler
        self.batch_size, self.end_early, self.seed = batch_size, bool(end_early), seed
        self.sampler_name = check_sampler(sampler)
        #: Identifies this search in all processes.
        self.token = secrets.token_hex(8)
        check_batch_size(space)
        #: Number of ended trials that the store holds from an earlier run.
        self.found = 0
        if sampler == "grid":
            self.stages = tuple(
                Stage(len(grid(space, stage.trials)) if stage.trials else 0, stage.epochs, stage.survivors)
                for stage in stages
            )

    def describe(self) -> dict[str, Any]:
        """Return the settings that identify the search, in JSON-serialisable form."""
        return {
            "space": self.space.describe(),
            "stages": [[stage.trials, stage.epochs, stage.survivors] for stage in self.stages],
            "sampler": self.sampler_name,
            "batch_size": self.batch_size,
            **self.objective.describe(),
            "end_early": self.end_early,
            "seed": self.seed,
            "data": self.data.key,
            "build": getattr(self.build, "__qualname__", type(self.build).__qualname__),
            "code of build": fingerprint(self.build),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        }

    def run(
        self, maximum: int, executor: Executor | None, folder: Path | None, url: str | None, *, progress: bool
    ) -> SearchResult:
        """Run all stages and return the result."""
        with InterruptGuard() as guard:
            team = workers(self.data, self.build, maximum, executor)
            store = Store(folder, url, self.describe(), self.space, self.metric, maximize=self.maximize)
            with contextlib.closing(store):
                interrupted = self._run_stages(team, store, guard, progress=progress)
                self.data.check_unchanged()
                result = self._result(store, interrupted=interrupted or guard.requested)
        for edge in result.edges:
            warnings.warn(str(edge), SearchWarning, stacklevel=3)
        return result

    def _run_stages(self, team: Workers, store: Store, guard: InterruptGuard, *, progress: bool) -> bool:
        """Run all stages; return whether Ctrl-C ended them."""
        from .live import view as view_of  # imports rich, which is slow

        interrupted = True
        try:
            with driven(self.token, lambda: guard.requested), view_of(self, progress) as view:
                for index, stage in enumerate(self.stages):
                    self.stage = index
                    self._run_stage(stage, team, store, view, guard)
            interrupted = False
        except KeyboardInterrupt:
            pass
        finally:
            team.close(kill=interrupted)
        return interrupted

    def _run_stage(self, stage: Stage, team: Workers, store: Store, view: View, guard: InterruptGuard) -> None:
        """Run a stage's trials, survivors first; skip those that an earlier run completed."""
        before = [trial for trial in self.ended.values() if trial.stage == self.stage - 1]
        order = ranked(before, maximize=self.maximize)
        around = max(MIN_AROUND, stage.survivors, math.ceil(NARROW_AROUND * len(before)))
        space = self.space.narrowed(trial.params for trial in order[:around])
        proposals = proposer(self.sampler, space, stage.trials, (self.seed, self.stage), maximize=self.maximize)
        first = sum(earlier.trials + earlier.survivors for earlier in self.stages[: self.stage])
        survivors = order[: stage.survivors]
        # Trial numbers of a stage do not depend on how many trials survived.
        waiting = deque([*range(first, first + len(survivors))])
        new = first + stage.survivors
        waiting.extend(range(new, new + stage.trials))
        asked: set[int] = set()
        while waiting or team.busy:
            if guard.requested:
                raise KeyboardInterrupt
            while waiting and team.free:
                number = waiting.popleft()
                parent = survivors[number - first] if number < new else None
                known = store.trials.get(number)
                if parent is None and (known is None or proposals.fixed):
                    params = proposals.ask()
                    asked.add(number)
                else:
                    params = parent.params if parent is not None else known.params if known is not None else {}
                if known is not None:
                    check_same(known, params)
                    self._end(known, number in asked, proposals)
                    self.found += 1
                    continue
                trial = self._trial(number, params, parent)
                self.running[number] = trial
                view.update()
                team.begin(self._task(trial, stage, parent, store))
            if team.busy:
                for outcome in team.ended():
                    if outcome.refused:
                        raise ValueError(outcome.refused)
                    self._take(outcome, store)
                    self._end(outcome.trial, outcome.trial.number in asked, proposals)
                    view.told(outcome.trial)

    def _trial(self, number: int, params: Params, parent: Trial | None) -> Trial:
        trial = Trial(number, self.stage, params, "lost")
        if parent is not None:
            trial.continues, trial.initial_loss = parent.number, parent.initial_loss
        return trial

    def _task(self, trial: Trial, stage: Stage, parent: Trial | None, store: Store) -> Task:
        return Task(
            trial,
            self._seed(trial),
            self.build,
            stage.epochs,
            self.batch_size,
            self.objective,
            self.end_early,
            self.data.key,
            self.token,
            this_process(),
            backend.get_backend(),
            # If the parent's checkpoint is missing, the trial trains from the start, with the same result.
            checkpoint=None if parent is None else store.checkpoint(parent.number),
        )

    def _seed(self, trial: Trial) -> int:
        """Return the seed of the initialisation; a continued trial keeps that of its first ancestor."""
        while trial.continues is not None:
            trial = self.ended[trial.continues]
        return int(np.random.SeedSequence((self.seed, trial.number)).generate_state(1)[0])

    def _take(self, outcome: Outcome, store: Store) -> None:
        """Store a trial; keep its checkpoint only as long as the search may need it."""
        trial = outcome.trial
        if len(self.ended) == self.found:  # check after the first trial, before storing it
            self.data.check_unchanged()
        if outcome.checkpoint is not None:
            needed = self._needed([*self.ended.values(), trial])
            if trial.number in needed:
                store.keep_checkpoint(trial.number, outcome.checkpoint)
        store.add(trial)
        if outcome.checkpoint is not None:
            store.drop_checkpoints(needed)

    def _needed(self, ended: list[Trial]) -> set[int]:
        """Return the trials whose checkpoints may be needed: future survivors, parents of running trials, the best."""
        survivors = self.stages[self.stage + 1].survivors if self.stage + 1 < len(self.stages) else 0
        here = ranked((trial for trial in ended if trial.stage == self.stage), maximize=self.maximize)[:survivors]
        going_on = {trial.continues for trial in (*self.running.values(), *ended) if trial.continues is not None}
        upcoming = self.stages[self.stage].survivors
        before = ranked((t for t in ended if t.stage == self.stage - 1), maximize=self.maximize)[:upcoming]
        best = ranked(ended, maximize=self.maximize)[:1]
        done = {trial.continues for trial in ended}
        return {trial.number for trial in (*here, *before, *best)} | (going_on - done)

    def _end(self, trial: Trial, was_asked: bool, proposals: Any) -> None:
        self.running.pop(trial.number, None)
        self.ended[trial.number] = trial
        if was_asked:
            proposals.tell(trial)
        else:
            proposals.add(trial)

    def _result(self, store: Store, *, interrupted: bool) -> SearchResult:
        trials = [self.ended[number] for number in sorted(self.ended)]
        best = ranked(trials, maximize=self.maximize)[:1]
        checkpoint = store.checkpoint(best[0].number) if best else None
        points = None
        if self.sampler == "grid":
            points = {
                name: len({trial.params[name] for trial in trials if name in trial.params and trial.stage == 0})
                for name in self.space.ranges
            }
        result = SearchResult(
            trials,
            self.space,
            self.metric,
            self.stages,
            maximize=self.maximize,
            interrupted=interrupted,
            sampler=self.sampler_name,
            points=points,
            build=self.build,
            seed=self._seed(best[0]) if best else 0,
            checkpoint=checkpoint,
        )
        if store.folder is not None and checkpoint is not None and not interrupted:
            result.best_trainer().model.save(store.folder / BEST)
        return result
