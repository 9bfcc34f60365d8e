"""The search loop: proposes trials, sends them to workers and stores the results, stage by stage."""

from __future__ import annotations

import contextlib
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
from .building import driven, this_process
from .edges import SearchWarning
from .fingerprint import fingerprint
from .objective import Objective
from .result import SearchResult
from .samplers import Sampler, check_sampler, grid, proposer
from .sharing import Others
from .space import Params, Space, check_batch_size
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
#: Samplers whose proposals do not depend on the results of trials.
REPEATABLE = ("random", "grid", "quasi-random")


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
        others = Others(store)

        def begin(trial: Trial) -> None:
            self.running[trial.number] = trial
            view.trial_began()
            parent = None if trial.continues is None else self.ended[trial.continues]
            team.begin(self._task(trial, stage, parent, store))

        while waiting or team.busy or others:
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
                if others.claim(trial):
                    begin(trial)
            if others and not waiting and team.free:
                ended = others.ended(lambda: team.busy or guard.requested)
                for trial in ended:
                    self._end(trial, trial.number in asked, proposals)
                    view.trial_ended(trial)
                while others and team.free and not (ended or guard.requested):
                    begin(others.take_over())
            if team.busy:
                for outcome in team.ended():
                    if outcome.refused:
                        raise ValueError(outcome.refused)
                    self._take(outcome, store)
                    self._end(outcome.trial, outcome.trial.number in asked, proposals)
                    view.trial_ended(outcome.trial)

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
