"""What `Trainer.fit` recorded, epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass


class History:
    """One row per finished epoch, as columns.

    Attributes
    ----------
    epoch : list of int
        Numbers of the epochs, from 1.
    history : dict of str to list of float
        "loss", "accuracy" (classification), "val_loss", "val_accuracy" (with validation data), "lr", "seconds".
        Training figures are those of the epoch's batches, taken while the weights changed: the loss is the mean over
        all examples of the epoch by their weights, sum_b W_b loss_b / sum_b W_b with W_b the total weight of batch b,
        or the sum of all losses where the loss is one by ``reduction="sum"``. It is NaN where no example has a weight.
    interrupted : bool
        Whether Ctrl-C ended the last fit. A fit that ends so, or with an error, leaves the rows of finished epochs.

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
        """Add the figures of an epoch; a column that is new or missing is NaN where it has no value."""
        for name in row:
            self.history.setdefault(name, [float("nan")] * len(self.epoch))
        self.epoch.append(epoch)
        for name, column in self.history.items():
            column.append(float(row.get(name, float("nan"))))

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.history:
            raise KeyError(f"no column {name!r} in the history; there are {', '.join(self.history) or 'none yet'}")
        return self.history[name]

    def __contains__(self, name: object) -> bool:
        return name in self.history

    def __len__(self) -> int:
        return len(self.epoch)

    def __repr__(self) -> str:
        latest = ", ".join(f"{name}={column[-1]:.4g}" for name, column in self.history.items() if column)
        return f"History({len(self)} epochs{': ' + latest if latest else ''})"


@dataclass
class EpochSums:
    """Sums over the batches of an epoch: what `plus` got, each loss times its batch's weight."""

    loss: float = 0.0
    weight: float = 0.0
    correct: float = 0
    counted: float = 0

    def plus(self, loss: float, weight: float, correct: tuple[float, float] | None) -> EpochSums:
        """Return the sums with a batch added."""
        right, counted = (0, 0) if correct is None else correct
        return EpochSums(self.loss + loss * weight, self.weight + weight, self.correct + right, self.counted + counted)

    def row(self, reduction: str) -> dict[str, float]:
        """Return the means, or the sum of the losses, as `History.append` takes them."""
        mean = self.loss / self.weight if self.weight else math.nan
        row = {"loss": self.loss if reduction == "sum" else mean}
        if self.counted:
            row["accuracy"] = self.correct / self.counted
        return row
