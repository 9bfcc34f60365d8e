"""What a search optimises: a column of the history, which way, and the metrics that `fit` needs for it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..training.callbacks import Mode
from ..training.metrics import (
    OF_AMOUNTS,
    OF_CLASSES,
    Metric,
    larger_is_better,
)
from ..training.scorers import is_scorer, scorer_words
from ..utils.validation import choice
from .fingerprint import fingerprint

#: Columns of the history that are no metrics of `fit`: after "val_", and of the training itself.
OF_VALIDATION, OF_TRAINING = ("loss", "accuracy"), ("lr", "seconds")


class Objective(NamedTuple):
    """The score of a trial: the last value of a column of its history."""

    column: str
    maximize: bool
    metrics: tuple[Metric, ...] = ()

    @classmethod
    def of(cls, metric: Metric | None, mode: Mode, y: np.ndarray) -> Objective:
        """Return the objective that a user names, for these validation targets; see `search.run`."""
        choice(mode, "mode", ("auto", "min", "max"))
        if metric is None:
            metric = "val_accuracy" if y.dtype.kind in "iub" else "val_loss"
        if isinstance(metric, str):
            name = metric.removeprefix("val_")
            maximize = mode == "max" or (mode == "auto" and larger_is_better(name))
            if metric in OF_TRAINING:
                return cls(metric, maximize)
            if name in OF_VALIDATION:
                return cls(f"val_{name}", maximize)
            if name not in (*OF_CLASSES, *OF_AMOUNTS) and not is_scorer(name):
                known = (*OF_VALIDATION, *OF_CLASSES, *OF_AMOUNTS, *OF_TRAINING)
                raise ValueError(
                    f"there is no metric {metric!r}; expected one of {', '.join(known)}, a function of targets and "
                    f"predictions, or {scorer_words()}"
                )
            return cls(f"val_{name}", maximize, (name,))
        if not callable(metric):
            raise TypeError(f"metric is {metric!r}; expected a name, or a function of targets and predictions")
        name = getattr(metric, "__name__", type(metric).__name__)
        if mode == "auto":
            raise ValueError(f'mode is "auto"; expected "min" or "max" for {name}, a function of your own')
        return cls(f"val_{name}", mode == "max", (metric,))

    def describe(self) -> dict[str, Any]:
        """Return what identifies the objective, in JSON-serialisable form."""
        own = [fingerprint(metric) for metric in self.metrics if callable(metric)]
        usual = self.maximize == larger_is_better(self.column)
        return {"metric": self.column} | (
            {} if usual and not own else {"maximize": self.maximize, "code of metric": own}
        )
