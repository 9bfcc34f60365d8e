"""The search loop: proposes trials, sends them to workers and stores the results, stage by stage."""

from __future__ import annotations

import contextlib
import functools
import math
import secrets
import sys
import warnings
from collections import deque
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import selection as backend
from ..utils.interrupt import InterruptGuard
from ..utils.validation import flag
from .building import driven, restore, this_process
from .edges import SearchWarning, edges
from .fingerprint import fingerprint
from .objective import Objective
from .result import SearchResult
from .samplers import REPEATABLE, Sampler, check_sampler, grid, proposer
from .sharing import Others
from .space import Space, check_batch_size
from .stages import Stage
from .state import SearchState
from .store import BEST, Store, check_same
from .task import Build, Outcome, SearchData, Task
from .trial import Trial, ranked
from .workers import Workers, workers

if TYPE_CHECKING:
    from .live import View


#: The next stage narrows the ranges around this share of the trials, the best ones, but around at least this many.
NARROW_AROUND, MIN_AROUND = 0.25, 3


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
        self.batch_size, self.end_early, self.seed = batch_size, flag(end_early, "end_early"), seed
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
        self,
        maximum: int,
        executor: Executor | None,
        folder: Path | None,
        url: str | None,
        *,
        shared: bool,
        progress: bool,
    ) -> SearchResult:
        """Run all stages and return the result."""
        if shared and (url is None or self.sampler_name not in REPEATABLE):
            raise ValueError(
                f"shared=True needs store=, a database, and one of the samplers {', '.join(REPEATABLE)}; got "
                f"store={url!r} and {self.sampler_name}"
            )
        with InterruptGuard() as guard:
            team = workers(self.data, self.build, maximum, executor)
            store = Store(folder, url, self.describe(), self.space, self.metric, maximize=self.maximize, shared=shared)
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
                    StageRun(self, stage, team, store, view, guard).run()
            interrupted = False
        except KeyboardInterrupt:
            pass
        finally:
            team.close(kill=interrupted)
        return interrupted

    def seed_of(self, trial: Trial) -> int:
        """Return the seed of the initialisation; a continued trial keeps that of its first ancestor."""
        while trial.continues is not None:
            trial = self.ended[trial.continues]
        return int(np.random.SeedSequence((self.seed, trial.number)).generate_state(1)[0])

    def store_outcome(self, outcome: Outcome, store: Store) -> None:
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

    def _result(self, store: Store, *, interrupted: bool) -> SearchResult:
        trials = [self.ended[number] for number in sorted(self.ended)]
        best = next(iter(ranked(trials, maximize=self.maximize)), None)
        checkpoint = None if best is None else store.checkpoint(best.number)
        again = None
        if best is not None and checkpoint is not None:
            again = functools.partial(restore, self.build, best.params, self.seed_of(best), checkpoint)
        result = SearchResult(
            again,
            trials=trials,
            space=self.space,
            metric=self.metric,
            maximize=self.maximize,
            stages=self.stages,
            sampler=self.sampler_name,
            interrupted=interrupted,
            edges=edges(trials, self.space, maximize=self.maximize, points=self._grid_points(trials)),
        )
        if store.folder is not None and again is not None and not interrupted:
            result.best_trainer().model.save(store.folder / BEST)
        return result

    def _grid_points(self, trials: list[Trial]) -> dict[str, int] | None:
        """Return how many values of each range the first stage of a grid has tried; None for another sampler."""
        if self.sampler != "grid":
            return None
        first = [trial.params for trial in trials if trial.stage == 0]
        return {name: len({params[name] for params in first if name in params}) for name in self.space.ranges}


class StageRun:
    """Runs a stage's trials, survivors of the last stage first; skips those that an earlier run completed."""

    def __init__(
        self, search: SearchDriver, stage: Stage, team: Workers, store: Store, view: View, guard: InterruptGuard
    ) -> None:
        self.search, self.stage, self.team, self.store, self.view, self.guard = search, stage, team, store, view, guard
        before = [trial for trial in search.ended.values() if trial.stage == search.stage - 1]
        order = ranked(before, maximize=search.maximize)
        around = max(MIN_AROUND, stage.survivors, math.ceil(NARROW_AROUND * len(before)))
        space = search.space.narrowed(trial.params for trial in order[:around])
        seed = search.seed, search.stage
        self._proposals = proposer(search.sampler, space, stage.trials, seed, maximize=search.maximize)
        # Trial numbers of a stage do not depend on how many trials survived.
        first = sum(earlier.trials + earlier.survivors for earlier in search.stages[: search.stage])
        new = first + stage.survivors
        self._parents = dict(enumerate(order[: stage.survivors], start=first))
        self._waiting = deque([*self._parents, *range(new, new + stage.trials)])
        self._proposed: set[int] = set()
        self._others = Others(store)

    def run(self) -> None:
        """Run the trials; raise KeyboardInterrupt on Ctrl-C."""
        while self._waiting or self.team.busy or self._others:
            if self.guard.requested:
                raise KeyboardInterrupt
            while self._waiting and self.team.free:
                self._begin_next(self._waiting.popleft())
            if self._others and not self._waiting and self.team.free:
                self._wait_for_others()
            if self.team.busy:
                self._collect()

    def _begin_next(self, number: int) -> None:
        """Begin a trial, unless the store has its result or another driver runs it."""
        parent, known = self._parents.get(number), self.store.trials.get(number)
        if parent is not None:
            params = parent.params
        elif known is None or self._proposals.fixed:
            params = self._proposals.ask()
            self._proposed.add(number)
        else:
            params = known.params
        if known is not None:
            check_same(known, params)
            self._end(known)
            self.search.found += 1
            return
        trial = Trial(number, self.search.stage, params, "lost")
        if parent is not None:
            trial.continues, trial.initial_loss = parent.number, parent.initial_loss
        if self._others.claim(trial):
            self._begin(trial)

    def _begin(self, trial: Trial) -> None:
        search = self.search
        search.running[trial.number] = trial
        self.view.trial_began()
        task = Task(
            trial,
            search.seed_of(trial),
            search.build,
            self.stage.epochs,
            search.batch_size,
            search.objective,
            search.end_early,
            search.data.key,
            search.token,
            this_process(),
            backend.get_backend(),
            # If the parent's checkpoint is missing, the trial trains from the start, with the same result.
            checkpoint=None if trial.continues is None else self.store.checkpoint(trial.continues),
        )
        self.team.begin(task)

    def _wait_for_others(self) -> None:
        """Take the results of other drivers' trials; if none comes in time, run their trials too."""
        ended = self._others.ended(lambda: self.team.busy or self.guard.requested)
        for trial in ended:
            self._end(trial)
            self.view.trial_ended(trial)
        while self._others and self.team.free and not (ended or self.guard.requested):
            self._begin(self._others.take_over())

    def _collect(self) -> None:
        for outcome in self.team.ended():
            if outcome.refused:
                raise ValueError(outcome.refused)
            self.search.store_outcome(outcome, self.store)
            self._end(outcome.trial)
            self.view.trial_ended(outcome.trial)

    def _end(self, trial: Trial) -> None:
        self.search.running.pop(trial.number, None)
        self.search.ended[trial.number] = trial
        if trial.number in self._proposed:
            self._proposals.tell(trial)
        else:
            self._proposals.add(trial)
