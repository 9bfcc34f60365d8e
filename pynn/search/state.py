"""Progress and results of a search, for the views."""

from __future__ import annotations

from dataclasses import dataclass

from ..utils import renamed
from .edges import Edge
from .importance import importance
from .space import Space
from .stages import Stage
from .trial import Trial, ranked


class SearchState:
    """Progress of a search.

    Attributes
    ----------
    space : Space
    stages : tuple of Stage
    metric : str
        The column of the history that is the score.
    maximize : bool
        Whether larger scores are better.
    total : int
        Number of trials in all stages, including survivors.
    stage : int
        The number of the running stage.
    ended, running : dict of int to Trial
        Trials by number; `ended` is in the order of ending.
    """

    def __init__(self, space: Space, stages: tuple[Stage, ...], metric: str, *, maximize: bool) -> None:
        self.space, self.stages, self.metric, self.maximize = space, stages, metric, maximize
        self.total = sum(stage.trials + stage.survivors for stage in stages)
        self.stage = 0
        self.ended: dict[int, Trial] = {}
        self.running: dict[int, Trial] = {}

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


@dataclass(kw_only=True, eq=False, repr=False)
class Trials:
    """The trials of a finished search; `SearchResult` describes the attributes."""

    trials: list[Trial]
    space: Space
    metric: str
    maximize: bool
    stages: tuple[Stage, ...]
    sampler: str
    interrupted: bool
    edges: list[Edge]
    maximise = renamed.attribute("maximise", "maximize")

    @property
    def ranked(self) -> list[Trial]:
        """The finished trials, best first; of a continued trial, only the best continuation."""
        return ranked(self.trials, maximize=self.maximize)

    @property
    def best(self) -> Trial:
        """The best trial. Raises ValueError if none finished."""
        order = self.ranked
        if not order:
            reasons = [trial.reason for trial in self.trials if trial.reason]
            why = f"; the first ended with: {reasons[0]}" if reasons else ""
            raise ValueError(f"none of {len(self.trials)} trials finished{why}")
        return order[0]

    def importance(self) -> dict[str, float]:
        """Return the share of the scores' variance that each parameter explains, largest first.

        Uses Optuna's fANOVA and the scores after the epochs of the first stage; empty for fewer than four trials.
        """
        epochs = self.stages[0].epochs
        return importance(self.trials, self.space, self.metric, epochs, maximize=self.maximize)
