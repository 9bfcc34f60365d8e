"""The result of a search."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.sequential import Sequential
from ..report.page import Page, delivered
from ..training.trainer import Trainer
from ..utils import renamed
from .space import Params
from .state import Trials
from .views.page import notebook, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SearchResult(Trials):
    """The result of a search.

    Attributes
    ----------
    trials : list of Trial
        All ended trials, by number.
    space : Space
    metric : str
        The column of the history that is the score.
    maximize : bool
        Whether larger scores are better.
    stages : tuple of Stage
    sampler : str
    interrupted : bool
        Whether Ctrl-C ended the search.
    edges : list of Edge
        Ranges whose best values lie at an edge, with suggested wider ranges.

    Examples
    --------
    >>> import pynn
    >>> from pynn import search
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> def build(params):
    ...     return pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))
    >>> space = {"lr": search.LogUniform(1e-5, 1.0)}
    >>> result = search.run(build, space, (x, y), (x, y), trials=4, epochs=2, workers=1)
    >>> len(result.trials), sorted(result.best_params)
    (4, ['lr'])
    """

    def __init__(self, restore: Callable[[], Trainer] | None, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._restore = restore

    @property
    def best_params(self) -> Params:
        """The parameters of the best trial."""
        return dict(self.best.params)

    @property
    def best_model(self) -> Sequential:
        """The trained network of the best trial, in inference mode."""
        model = self.best_trainer().model
        model.eval()
        return model

    def best_trainer(self) -> Trainer:
        """Return the trainer of the best trial in its final state; `fit` continues the training."""
        if self._restore is None:
            raise ValueError(
                f"the checkpoint of the best trial, {self.best.number + 1}, is missing: its folder was deleted or its "
                "process has ended"
            )
        return self._restore()

    def columns(self) -> dict[str, np.ndarray]:
        """Return the trials as arrays, one per figure and parameter, by number, as `pandas.DataFrame` takes them.

        Missing numbers are NaN, other missing values None. A parameter with the name of a figure, such as "epochs",
        becomes "params.epochs".
        """
        names = ("number", "stage", "ended", "reason", "score", "epochs", "steps", "seconds")
        columns = {name: np.array([getattr(trial, name) for trial in self.trials]) for name in names}
        for name, _ in self.space:
            ranged = name in self.space.ranges
            values = [trial.params.get(name, math.nan if ranged else None) for trial in self.trials]
            column = f"params.{name}" if name in names else name
            columns[column] = np.array(values, dtype=np.float64 if ranged else object)
        return columns

    def to_html(self, path: str | Path | None = None) -> Page | None:
        """Write an HTML page with pictures and all trials. It works offline.

        Without a path, return the page: text that shows itself as the result of a notebook cell.
        """
        return delivered(page(self), path)

    report = renamed.method("report", "to_html")

    def plot(self, path: str | Path | None = None) -> Figure:
        """Plot the search, and save the figure to `path` if given. Needs matplotlib."""
        from .views.figures import plot_overview

        return plot_overview(self, path)

    def __repr__(self) -> str:
        finished = sum(trial.ended == "finished" for trial in self.trials)
        best: Any = f"{self.best.score:.4g}" if self.ranked else "none"
        return f"SearchResult({len(self.trials)} trials, {finished} finished, best {self.metric} {best})"

    def _repr_html_(self) -> str:
        return notebook(self)
