"""The record of `Trainer.fit`, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..utils.interrupt import call_together


class History:
    """One row per finished epoch, as columns.

    Attributes
    ----------
    epoch : list of int
        Epoch numbers, from 1.
    history : dict of str to list of float
        "loss", "accuracy" (classification), "val_loss", "val_accuracy" (with validation data), "lr", "seconds".
        Training metrics come from the epoch's batches, computed while the weights changed. The loss is the weighted
        mean over all examples of the epoch, sum_b W_b loss_b / sum_b W_b, with W_b the total weight of batch b, or the
        sum of all losses with ``reduction="sum"``. It is NaN if every example has weight 0.
    interrupted : bool
        Whether Ctrl-C ended the last fit. The rows of finished epochs are kept after Ctrl-C or an error.

    Examples
    --------
    >>> history = History()
    >>> history.append(1, {"loss": 0.5})
    >>> history["loss"]
    [0.5]
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}
        self.interrupted = False

    def append(self, epoch: int, row: dict[str, float]) -> None:
        """Add the row of an epoch; missing values of a new or absent column are NaN."""
        call_together(self.additions(epoch, row))

    def additions(self, epoch: int, row: dict[str, float]) -> list[Callable[[], None]]:
        """Return the calls that add the row of an epoch, for `call_together`."""
        for name in row:
            if name not in self.history:
                self.history[name] = [math.nan] * len(self.epoch)
        columns = [partial(column.append, float(row.get(name, math.nan))) for name, column in self.history.items()]
        return [partial(self.epoch.append, epoch), *columns]

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.history:
            raise KeyError(f"no column {name!r} in the history; it has {', '.join(self.history) or 'none yet'}")
        return self.history[name]

    def __contains__(self, name: object) -> bool:
        return name in self.history

    def __len__(self) -> int:
        return len(self.epoch)

    def __repr__(self) -> str:
        latest = ", ".join(f"{name}={column[-1]:.4g}" for name, column in self.history.items() if column)
        return f"History({len(self)} epochs{': ' + latest if latest else ''})"

    def _repr_html_(self) -> str:
        from ..report.history import notebook

        return notebook(self)


@dataclass
class EpochSums:
    """Sums over the batches of an epoch, each loss multiplied by the weight of its batch."""

    loss: float = 0.0
    weight: float = 0.0
    correct: float = 0
    counted: float = 0

    def plus(self, loss: float, weight: float, correct: tuple[float, float] | None) -> EpochSums:
        """Return the sums with a batch added."""
        right, counted = (0, 0) if correct is None else correct
        return EpochSums(self.loss + loss * weight, self.weight + weight, self.correct + right, self.counted + counted)

    def row(self, reduction: str) -> dict[str, float]:
        """Return the row for `History.append`: the means, or the sum of the losses."""
        mean = self.loss / self.weight if self.weight else math.nan
        row = {"loss": self.loss if reduction == "sum" else mean}
        if self.counted:
            row["accuracy"] = self.correct / self.counted
        return row
