"""The arguments of `Trainer.fit` that a checkpoint stores, and how they combine with those of an interrupted run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


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

    def continued(
        self,
        examples: int | None,
        batch_size: int | None,
        shuffle: bool | None,
        steps: int | None,
        augment: list[str],
        *,
        begun: bool,
    ) -> FitPlan:
        """Return the plan of a call that finishes this run; a batch size, shuffle or steps of None is this run's.

        Raises ValueError if the augmentations are others, or, in the middle of an epoch that has `begun`, the data.
        """
        plan = replace(
            self,
            examples=examples,
            batch_size=batch_size or self.batch_size,
            shuffle=self.shuffle if shuffle is None else shuffle,
            steps=steps or self.steps,
            augment=augment,
        )
        if begun and plan._extent() != self._extent():
            raise ValueError(
                f"the interrupted epoch had {self._extent()}; got {plan._extent()}. Finish it with the same data, or "
                "start a new run with epochs="
            )
        if augment != self.augment and (begun or not augment):
            before, now = (f"[{', '.join(names)}]" for names in (self.augment, augment))
            raise ValueError(
                f"the interrupted run has augment={before}; got {now}. Finish it with the same, or start a new run "
                "with epochs="
            )
        return plan

    def _extent(self) -> str:
        if self.examples is not None:
            return f"{self.examples} examples in batches of {self.batch_size}"
        return "user-supplied batches" + ("" if self.steps is None else f", {self.steps} per epoch")
