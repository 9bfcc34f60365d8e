"""Data that both views share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from ..text import score_or_end, value, written

if TYPE_CHECKING:
    from ..state import Trials
    from ..trial import Trial

#: Number of colour shades for scores.
SHADES = 7


@dataclass
class TrialFigures:
    """A result, arranged for the views."""

    result: Trials

    def __post_init__(self) -> None:
        self.order = self.result.ranked
        self.best = self.order[0] if self.order else None
        self.importance = self.result.importance()
        scores = [trial.score for trial in self.order]
        # Shades go by rank: the better half of the trials gets half of the shades, however bad the worst are.
        self._sorted = np.sort(np.array(scores if self.result.maximize else [-score for score in scores]))

    def shade(self, trial: Trial) -> int:
        """Return the shade of a trial's score, by its rank among the finished: SHADES - 1 for the best."""
        if math.isnan(trial.score) or len(self._sorted) < 2:
            return 0 if math.isnan(trial.score) else SHADES - 1
        signed = trial.score if self.result.maximize else -trial.score
        share = np.searchsorted(self._sorted, signed, side="right") - 1
        return round(float(share) / (len(self._sorted) - 1) * (SHADES - 1))

    @property
    def begun(self) -> list[Trial]:
        """Each chain of continued trials once: its best trial, or the last if none finished."""
        going_on = {trial.continues: trial for trial in self.result.trials if trial.continues is not None}
        standing = {trial.number for trial in self.order}
        found = []
        for trial in self.result.trials:
            if trial.continues is None:
                chain = [trial]
                while chain[-1].number in going_on:
                    chain.append(going_on[chain[-1].number])
                found.append(next((member for member in chain if member.number in standing), chain[-1]))
        return found

    def axes(self) -> list[str]:
        """Return the ranges, most important first."""
        ranges = list(self.result.space.ranges)
        return sorted(ranges, key=lambda name: (-self.importance.get(name, 0.0), ranges.index(name)))

    def share(self, name: str, trial: Trial) -> float:
        """Return the position of a trial in a range, 0 to 1."""
        return self.result.space.ranges[name].share(cast("float", trial.params[name]))


def axis_name(result: Trials, name: str) -> str:
    """Return a parameter's name, marked if its scale is logarithmic."""
    parameter = result.space.ranges.get(name)
    return f"{name} (log scale)" if parameter is not None and parameter.is_log else name


def described(result: Trials, trial: Trial) -> str:
    """Describe a trial in one line: number, outcome and parameters."""
    return f"trial {trial.number + 1}: {score_or_end(trial, result.metric)}; {written(trial.params)}"


def cell(trial: Trial, name: str) -> str:
    """Return a trial's value of a parameter as text."""
    return value(trial.params[name]) if name in trial.params else ""
