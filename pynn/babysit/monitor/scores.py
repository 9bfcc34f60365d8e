"""How well a network and simple learners predict validation examples, as far as a run has measured it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

#: A score at most this far below that of a simple learner, beyond sampling error, is as good.
AS_GOOD = 0.02


@dataclass
class Scores:
    """Scores, accuracies or shares of variance explained, of the latest evaluation; NaN where nothing was scored.

    Attributes
    ----------
    examples : int
        Number of validation examples.
    reached, attainable : float
        Validation score of the network and of the best simple learner.
    fitted : float
        The network's score on training examples, also in inference mode: without dropout.
    attainable_within : float
        Score of ridge regressions, fitted to a half of the training examples, on the other half.
    related, simply_related : float
        By how many standard errors validation targets and predictions are related: those of the network or a simple
        learner, and of a simple learner.
    lowest_losses : ndarray or None
        The validation examples' losses at the evaluation at which their mean was lowest.
    recall : list of (float, int), optional
        Recall of each class, and its number of validation examples.
    confidence : list of list of float
        Mean probability of each class on its validation examples, after each of the last four evaluations.
    """

    examples: int = 0
    reached: float = math.nan
    attainable: float = math.nan
    fitted: float = math.nan
    attainable_within: float = math.nan
    related: float = math.nan
    simply_related: float = math.nan
    lowest_losses: np.ndarray | None = None
    recall: list[tuple[float, int]] | None = None
    confidence: list[list[float]] = field(default_factory=list)

    @property
    def sampling_error(self) -> float:
        """The largest standard error that a share of the validation examples, such as an accuracy, can have."""
        return 0.5 / math.sqrt(max(self.examples, 1))

    def is_behind(self, margin: float) -> bool:
        """Return whether the network scores worse than a simple learner by more than a margin and sampling error."""
        return self.reached < self.attainable - margin - self.sampling_error

    @property
    def as_good(self) -> bool:
        """Whether the network scores about as well as a simple learner."""
        return self.reached > self.attainable - AS_GOOD - self.sampling_error
