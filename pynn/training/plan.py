"""The arguments of `Trainer.fit`, and how they combine with those of an interrupted run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..augment import name_of
from ..utils.validation import count, flag

if TYPE_CHECKING:
    from ..augment import Augment


@dataclass
class FitPlan:
    """The part of a `fit` call that a checkpoint stores.

    Attributes
    ----------
    until : int
        The epoch at which it ends.
    batch_size : int
    examples : int or None
        The number of examples; None for user-supplied batches.
    shuffle : bool
    steps : int or None
        `steps_per_epoch` for user-supplied batches, if set.
    augment : list of str
        The names of the augmentations.
    since : int
        The number of rows in the history when the call began.
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
        standing: tuple[FitPlan | None, int, int, int],
        x: Any,
        y: Any,
        epochs: int | None,
        batch_size: int | None,
        shuffle: bool | None,
        steps: int | None,
        augment: Sequence[Augment],
    ) -> FitPlan:
        """Return the plan for a call of `fit`.

        `standing` is the progress so far: the last run, the finished epochs, the finished batches of the current epoch,
        and the rows of the history.
        """
        last, epoch, batch, rows = standing
        if batch_size is not None:
            count(batch_size, "batch_size")
        if steps is not None:
            count(steps, "steps_per_epoch")
            if y is not None:
                raise ValueError("steps_per_epoch needs batches without y; for arrays x and y, set batch_size")
        examples = None if y is None else (np.shape(x) or (0,))[0]
        changes = [name_of(change) for change in augment]
        if epochs is not None:
            until = epoch + count(epochs, "epochs", minimum=0)
            return cls(
                until, batch_size or 32, examples, shuffle is None or flag(shuffle, "shuffle"), steps, changes, rows
            )
        if last is None or epoch >= last.until:
            raise ValueError("epochs is missing, and no interrupted run can be finished; pass epochs=")
        shuffle = last.shuffle if shuffle is None else flag(shuffle, "shuffle")
        size, steps = batch_size or last.batch_size, steps or last.steps
        run = cls(last.until, size, examples, shuffle, steps, changes, last.since)
        if batch and run._extent() != last._extent():
            raise ValueError(
                f"the interrupted epoch had {last._extent()}; got {run._extent()}. Finish it with the same data, or "
                "start a new run with epochs="
            )
        if changes != last.augment and (batch or not changes):
            before, now = (f"[{', '.join(names)}]" for names in (last.augment, changes))
            raise ValueError(
                f"the interrupted run has augment={before}; got {now}. Finish it with the same, or start a new run "
                "with epochs="
            )
        return run

    def _extent(self) -> str:
        if self.examples is not None:
            return f"{self.examples} examples in batches of {self.batch_size}"
        return "user-supplied batches" + ("" if self.steps is None else f", {self.steps} per epoch")
