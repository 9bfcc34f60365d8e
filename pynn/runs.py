"""What `Trainer.fit` was told, and how a run that was interrupted is taken up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import count
from .augment import name_of

if TYPE_CHECKING:
    from .augment import Augment


@dataclass
class Run:
    """What a checkpoint holds of a call of `fit`.

    Attributes
    ----------
    until : int
        The epoch at which it ends.
    batch_size : int
    examples : int or None
        How many there are; None where batches are given.
    shuffle : bool
    steps : int or None
        Batches per epoch, where they are given and that was said.
    augment : list of str
        What the changes of training inputs are called.
    since : int
        How many rows the history had when it began.
    """

    until: int
    batch_size: int
    examples: int | None
    shuffle: bool
    steps: int | None = None
    augment: list[str] = field(default_factory=list)
    since: int = 0

    @classmethod
    def planned(
        cls,
        standing: tuple[Run | None, int, int, int],
        x: Any,
        y: Any,
        epochs: int | None,
        batch_size: int | None,
        shuffle: bool | None,
        steps: int | None,
        augment: Sequence[Augment],
    ) -> Run:
        """Return what a call of `fit` is to do.

        `standing` is where training stands: the last run, finished epochs, batches of the running one, and rows of the
        history.
        """
        last, epoch, batch, rows = standing
        if batch_size is not None:
            count(batch_size, "batch_size")
        if steps is not None:
            count(steps, "steps_per_epoch")
            if y is not None:
                raise ValueError("steps_per_epoch is for batches without y; of arrays, batch_size makes batches")
        examples = None if y is None else (np.shape(x) or (0,))[0]
        changes = [name_of(change) for change in augment]
        if epochs is not None:
            until = epoch + count(epochs, "epochs", least=0)
            return cls(until, batch_size or 32, examples, shuffle is None or bool(shuffle), steps, changes, rows)
        if last is None or epoch >= last.until:
            raise ValueError("epochs is missing, and there is no interrupted run to finish")
        shuffle = last.shuffle if shuffle is None else bool(shuffle)
        size, steps = batch_size or last.batch_size, steps or last.steps
        run = cls(last.until, size, examples, shuffle, steps, changes, last.since)
        if batch and run._extent() != last._extent():
            raise ValueError(
                f"the interrupted epoch had {last._extent()}; got {run._extent()}. Finish it with the same, or pass "
                "epochs="
            )
        if changes != last.augment and (batch or not changes):
            before, now = (f"[{', '.join(names)}]" for names in (last.augment, changes))
            raise ValueError(
                f"the interrupted run has augment={before}; got {now}. Finish it with the same, or pass epochs="
            )
        return run

    def _extent(self) -> str:
        if self.examples is not None:
            return f"{self.examples} examples in batches of {self.batch_size}"
        return "batches of its own" + ("" if self.steps is None else f", {self.steps} per epoch")
