"""What the evaluation of a finished epoch has given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Evaluation:
    """The figures of a finished epoch.

    Attributes
    ----------
    step, epoch : int
    loss, accuracy, val_loss, val_accuracy : float
        As in the history.
    fitted_loss, fitted : float
        Loss and score of training examples in inference mode, without dropout.
    reached : float
        Score of validation examples.
    risen : float
        By how many standard errors the validation loss exceeds its lowest; infinite where examples have no losses of
        their own.
    apart : float
        By how many standard errors the validation loss exceeds that of training; likewise.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    fitted_loss: float = math.nan
    fitted: float = math.nan
    reached: float = math.nan
    risen: float = math.inf
    apart: float = math.inf

    @classmethod
    def of_row(cls, row: Mapping[str, float], step: int, epoch: int) -> Evaluation:
        """Return the figures of a row of the history; NaN for what it lacks."""
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        return cls(step, epoch, *(row.get(name, math.nan) for name in names))
