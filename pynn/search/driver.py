"""The search itself: chooses trials, hands them to workers, keeps what comes back, stage by stage."""

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

from .. import backend
from ..arguments import count
from ..interrupt import InterruptGuard
from ..processors import usable_processors
from .building import Build, driven, this_process
from .edges import SearchWarning
from .fingerprint import fingerprint
from .result import Result
from .samplers import Sampler, check_sampler, grid, load_optuna, proposer
from .space import Parameter, Params, Space, check_batch_size
from .stages import Stage, checked
from .store import BEST, Store, StoreError
from .training import Data, Outcome, Task
from .trial import Trial, ranked
from .words import written
from .workers import Workers, workers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .live import View


#: The share of a stage's best trials around which the next stage's ranges are narrowed; at least so many.
NARROW_AROUND, LEAST_AROUND = 0.25, 3


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
    metric: str | None = None,
    end_early: bool = True,
    seed: int = 0,
    workers: int | None = None,
    executor: Executor | None = None,
    folder: str | Path | None = None,
    store: str | None = None,
    progress: bool = False,
) -> Result:
    """Search for the hyperparameters with which a network does best on the validation data.

    The same arguments give the same trials, bit for bit, however many of them run at a time. Only a model-based sampler
    depends on the order in which trials end: with it, this holds for one at a time.

    A trial ends early when five steps on end cost more than 3x the first one, when the loss is not finite, or, in a
    training of more than a tenth of a second, when the babysitter finds an error that no further training cures. One
    that raises is recorded as failed, with the message, and one whose process dies three times as lost; the search goes
    on. Ctrl-C ends the search with what there is, within seconds, trials under way excepted.

    Parameters
    ----------
    build : callable
        ``build(params)`` returns a new `pynn.Trainer`, of which nothing is shared with another trial's. The generators
        that pynn, NumPy and Python share out are seeded before each call, and as they were after it. With several
        workers it must be defined with ``def`` in a module or script, where other processes find it. Without them, the
        first trial calls it twice, to see that it makes everything anew.
    space : dict of str to Parameter
        `Uniform`, `LogUniform`, `Integer`, `Choice`. A parameter "batch_size" also sets the size of the batches.
    train, validation : (x, y)
        Arrays of numbers, which nobody may write to while the search runs.
    trials, epochs : int
        How many trials, and how long each: 60 and 5 by default. Or
    stages : sequence of Stage
        From coarse to fine; see `coarse_to_fine`.
    sampler : {"random", "grid", "quasi-random", "tpe"} or optuna.samplers.BaseSampler
        "grid" takes as many points on each axis as give at most so many trials, "quasi-random" a scrambled Sobol
        sequence, "tpe" Optuna's tree-structured Parzen estimator.
    batch_size : int
    metric : str, optional
        The column of the history to judge by, after the last epoch: by default "val_accuracy" where the targets are
        whole numbers, else "val_loss".
    end_early : bool
        Whether hopeless trials end early. One whose loss is not finite ends in any case.
    seed : int
    workers : int, optional
        Trials at a time: by default, one for each processor. One runs in this process; several run in processes of
        their own with one thread of kernels each.
    executor : concurrent.futures.Executor, optional
        Where to run the trials instead: ``dask.distributed.Client(...).get_executor()``, an ``MPIPoolExecutor``.
    folder : path-like, optional
        Keep trials (an Optuna journal), checkpoints and the best model here. The same call then goes on where the last
        one was ended or killed, without the trials that have ended; with a larger number of trials it adds to them. One
        of another space, other data or other code of `build`, as far as its own module has it, is refused.
    store : str, optional
        Keep the trials in this database instead of the journal: "sqlite:///search.db" or another SQLAlchemy URL.
    progress : bool
        Show a live table on a terminal, a line for each trial elsewhere; to standard error.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        For a space, stage or argument that cannot work; if `build` hands out what another trial was given; if the data
        change meanwhile; and if the store is damaged, another search's or another version's (`StoreError`).
    RuntimeError
        If processes cannot be started, or the executor is broken; what is stored stays.
    ImportError
        If Optuna is not installed.

    Warns
    -----
    SearchWarning
        If the best values lie at the edge of a range, with the range to try.

    Notes
    -----
    Coarse to fine, log scales, the factor of 3 and the look at the edges: CS231n, Training Neural Networks, Part 1,
    "Hyperparameter Optimization". Random search: Bergstra & Bengio 2012, JMLR 13.

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
        raise ValueError("stages says how many trials there are and how long; leave out trials and epochs")
    if not callable(build):
        raise TypeError(f"build is {build!r}; expected a function of the parameters that returns a pynn.Trainer")
    data = Data.of(train, validation)
    if metric is None:
        metric = "val_accuracy" if data.validation[1].dtype.kind in "iub" else "val_loss"
    search = Search(
        build,
        Space(space),
        data,
        stages=checked(stages),
        sampler=sampler,
        batch_size=count(batch_size, "batch_size"),
        metric=metric,
        end_early=end_early,
        seed=count(seed, "seed", least=0),
    )
    return search.run(
        usable_processors() if workers is None else count(workers, "workers"),
        executor,
        None if folder is None else Path(folder),
        store,
        progress=progress,
    )


class Search:
    """What is searched, and where the search stands; for arguments see `run`."""

    def __init__(
        self,
        build: Build,
        space: Space,
        data: Data,
        *,
        stages: tuple[Stage, ...],
        sampler: Sampler,
        batch_size: int,
        metric: str,
        end_early: bool,
        seed: int,
    ) -> None:
        self.build, self.space, self.data, self.stages, self.sampler = build, space, data, stages, sampler
        self.batch_size, self.metric, self.end_early, self.seed = batch_size, metric, bool(end_early), seed
        self.sampler_name = check_sampler(sampler)
        #: Tells this search from others in this process and elsewhere.
        self.token = secrets.token_hex(8)
        self.maximise = metric.endswith("accuracy")
        check_batch_size(space)
        #: Trials of this search that have ended, by number, in the order of ending.
        self.ended: dict[int, Trial] = {}
        #: How many of them are from a run before.
        self.found = 0
        self.running: dict[int, Trial] = {}
        self.stage = 0
        self.total = sum(stage.trials + stage.survivors for stage in stages)
        if sampler == "grid":
            self.stages = tuple(
                Stage(len(grid(space, stage.trials)) if stage.trials else 0, stage.epochs, stage.survivors)
                for stage in stages
            )

    def describe(self) -> dict[str, Any]:
        """Return what tells this search from others, as JSON can hold it."""
        return {
            "space": self.space.describe(),
            "stages": [[stage.trials, stage.epochs, stage.survivors] for stage in self.stages],
            "sampler": self.sampler_name,
            "batch_size": self.batch_size,
            "metric": self.metric,
            "end_early": self.end_early,
            "seed": self.seed,
            "data": self.data.key,
            "build": getattr(self.build, "__qualname__", type(self.build).__qualname__),
            "code of build": fingerprint(self.build),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        }

    def run(
        self, most: int, executor: Executor | None, folder: Path | None, url: str | None, *, progress: bool
    ) -> Result:
        """Run all stages and return what came of them."""
        with InterruptGuard() as guard:
            team = workers(self.data, self.build, most, executor)
            store = Store(folder, url, self.describe(), self.space, self.metric, maximise=self.maximise)
            with contextlib.closing(store):
                interrupted = self._run_stages(team, store, guard, progress=progress)
                self.data.check_unchanged()
                result = self._result(store, interrupted=interrupted or guard.requested)
        for edge in result.edges:
            warnings.warn(str(edge), SearchWarning, stacklevel=3)
        return result

    def _run_stages(self, team: Workers, store: Store, guard: InterruptGuard, *, progress: bool) -> bool:
        """Run all stages; return whether Ctrl-C ended them."""
        from .live import view as view_of  # needs rich, which takes a while to import

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
        """Run a stage's trials, survivors of the stage before first, except those that have ended in an earlier run."""
        before = [trial for trial in self.ended.values() if trial.stage == self.stage - 1]
        order = ranked(before, maximise=self.maximise)
        around = max(LEAST_AROUND, stage.survivors, math.ceil(NARROW_AROUND * len(before)))
        space = self.space.narrowed(trial.params for trial in order[:around])
        proposals = proposer(self.sampler, space, stage.trials, (self.seed, self.stage), maximise=self.maximise)
        first = sum(earlier.trials + earlier.survivors for earlier in self.stages[: self.stage])
        survivors = order[: stage.survivors]
        # A stage keeps its numbers, even where fewer trials have survived than it has room for.
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
                    _check_same(known, params)
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
            self.metric,
            self.end_early,
            self.data.key,
            self.token,
            this_process(),
            backend.get_backend(),
            # Where a checkpoint is missing, training from the beginning comes to the same.
            checkpoint=None if parent is None else store.checkpoint(parent.number),
        )

    def _seed(self, trial: Trial) -> int:
        """Return the seed of the initialisation: that of the trial where it all began."""
        while trial.continues is not None:
            trial = self.ended[trial.continues]
        return int(np.random.SeedSequence((self.seed, trial.number)).generate_state(1)[0])

    def _take(self, outcome: Outcome, store: Store) -> None:
        """Keep a trial, and its checkpoint while it is among those that may be needed."""
        trial = outcome.trial
        if len(self.ended) == self.found:  # the first one tells soon, before it is stored
            self.data.check_unchanged()
        if outcome.checkpoint is not None:
            needed = self._needed([*self.ended.values(), trial])
            if trial.number in needed:
                store.keep_checkpoint(trial.number, outcome.checkpoint)
        store.add(trial)
        if outcome.checkpoint is not None:
            store.drop_checkpoints(needed)

    def _needed(self, ended: list[Trial]) -> set[int]:
        """Return the trials whose checkpoints may be needed: future survivors, those that go on now, and the best."""
        survivors = self.stages[self.stage + 1].survivors if self.stage + 1 < len(self.stages) else 0
        here = ranked((trial for trial in ended if trial.stage == self.stage), maximise=self.maximise)[:survivors]
        going_on = {trial.continues for trial in (*self.running.values(), *ended) if trial.continues is not None}
        upcoming = self.stages[self.stage].survivors
        before = ranked((t for t in ended if t.stage == self.stage - 1), maximise=self.maximise)[:upcoming]
        best = ranked(ended, maximise=self.maximise)[:1]
        done = {trial.continues for trial in ended}
        return {trial.number for trial in (*here, *before, *best)} | (going_on - done)

    def _end(self, trial: Trial, was_asked: bool, proposals: Any) -> None:
        self.running.pop(trial.number, None)
        self.ended[trial.number] = trial
        if was_asked:
            proposals.tell(trial)
        else:
            proposals.add(trial)

    def _result(self, store: Store, *, interrupted: bool) -> Result:
        trials = [self.ended[number] for number in sorted(self.ended)]
        best = ranked(trials, maximise=self.maximise)[:1]
        checkpoint = store.checkpoint(best[0].number) if best else None
        points = None
        if self.sampler == "grid":
            points = {
                name: len({trial.params[name] for trial in trials if name in trial.params and trial.stage == 0})
                for name in self.space.ranges
            }
        result = Result(
            trials,
            self.space,
            self.metric,
            self.stages,
            maximise=self.maximise,
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


def _check_same(known: Trial, params: Params) -> None:
    """Raise StoreError unless a stored trial is the one that this search would try."""
    if known.params != params:
        raise StoreError(
            f"trial {known.number} of the store tried {written(known.params)}, where this search tries "
            f"{written(params)}: it is of another search, or of another version of Optuna"
        )
