"""What a search found."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..model import Sequential
from ..trainer import Trainer
from .building import Build, restore
from .edges import Edge, edges
from .space import Params, Space
from .stages import Stage
from .trial import Trial, ranked

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Result:
    """What a search found.

    Attributes
    ----------
    trials : list of Trial
        All that ended, by number.
    space : Space
    metric : str
        The column of the history that is the score.
    maximise : bool
        Whether larger scores are better.
    stages : tuple of Stage
    sampler : str
    interrupted : bool
        Whether Ctrl-C ended the search.
    edges : list of Edge
        Ranges at whose edge the best values lie, with wider ones to try.
    """

    def __init__(
        self,
        trials: list[Trial],
        space: Space,
        metric: str,
        stages: tuple[Stage, ...],
        *,
        maximise: bool,
        interrupted: bool,
        sampler: str,
        points: dict[str, int] | None,
        build: Build,
        seed: int,
        checkpoint: bytes | None,
    ) -> None:
        self.trials, self.space, self.metric, self.stages = trials, space, metric, stages
        self.maximise, self.interrupted, self.sampler = maximise, interrupted, sampler
        self.edges: list[Edge] = edges(trials, space, maximise=maximise, points=points)
        self._build, self._seed, self._checkpoint = build, seed, checkpoint

    @property
    def ranked(self) -> list[Trial]:
        """The finished trials, best first; of a trial and those that train it on, the last."""
        return ranked(self.trials, maximise=self.maximise)

    @property
    def best(self) -> Trial:
        """The best trial; raises ValueError if none finished."""
        order = self.ranked
        if not order:
            reasons = [trial.reason for trial in self.trials if trial.reason]
            why = f"; the first ended so: {reasons[0]}" if reasons else ""
            raise ValueError(f"none of {len(self.trials)} trials finished{why}")
        return order[0]

    @property
    def best_params(self) -> Params:
        """The parameters of the best trial."""
        return dict(self.best.params)

    @property
    def best_model(self) -> Sequential:
        """The network of the best trial, trained; in inference mode."""
        model = self.best_trainer().model
        model.eval()
        return model

    def best_trainer(self) -> Trainer:
        """Return the trainer of the best trial as it ended; its `fit` can go on."""
        best = self.best
        if self._checkpoint is None:
            raise ValueError("the best trial's checkpoint was not kept: it was in a folder or process that is gone")
        return restore(self._build, best.params, self._seed, self._checkpoint)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the trials as arrays, one per figure and parameter, by number: what `pandas.DataFrame` takes.

        A number that a trial does not have is NaN, another value None. A parameter that is called as one of the
        figures is, "epochs" say, is "params.epochs" here.
        """
        names = ("number", "stage", "ended", "reason", "score", "epochs", "steps", "seconds")
        columns = {name: np.array([getattr(trial, name) for trial in self.trials]) for name in names}
        for name, _ in self.space:
            ranged = name in self.space.ranges
            values = [trial.params.get(name, math.nan if ranged else None) for trial in self.trials]
            column = f"params.{name}" if name in names else name
            columns[column] = np.array(values, dtype=np.float64 if ranged else object)
        return columns

    def importance(self) -> dict[str, float]:
        """Return the share of the scores' variance that each parameter explains, largest first.

        By Optuna's fANOVA, with scores after as many epochs as the first stage has; empty for fewer than four trials.
        """
        from .importance import importance

        epochs = self.stages[0].epochs
        return importance(self.trials, self.space, self.metric, epochs, maximise=self.maximise)

    def report(self, path: str | Path) -> None:
        """Write an HTML page with pictures and all trials. It opens without a network."""
        from .views.page import write_report

        write_report(self, path)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the search in one picture, and write it to `path` if that is given. Needs matplotlib."""
        from .views.figures import plot_overview

        return plot_overview(self, path)

    def __repr__(self) -> str:
        finished = sum(trial.ended == "finished" for trial in self.trials)
        best: Any = f"{self.best.score:.4g}" if self.ranked else "none"
        return f"Result({len(self.trials)} trials, {finished} finished, best {self.metric} {best})"
