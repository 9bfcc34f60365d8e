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
        Training figures are means over the epoch's batches, taken while the weights changed.
    interrupted : bool
        Whether Ctrl-C ended the last fit.

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
    """Sums over the batches of an epoch."""

    loss: float = 0.0
    examples: int = 0
    correct: int = 0
    counted: int = 0

    def plus(self, loss: float, examples: int, correct: tuple[int, int] | None) -> EpochSums:
        """Return the sums with a batch added."""
        right, counted = (0, 0) if correct is None else correct
        return EpochSums(
            self.loss + loss * examples, self.examples + examples, self.correct + right, self.counted + counted
        )

    def row(self) -> dict[str, float]:
        """Return the means, as `History.append` takes them."""
        row = {"loss": self.loss / self.examples if self.examples else math.nan}
        if self.counted:
            row["accuracy"] = self.correct / self.counted
        return row
