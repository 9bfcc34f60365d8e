"""From coarse to fine: many short trials over wide ranges, then fewer and longer ones in narrower ranges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..utils.validation import count

#: Maximum ratio of epochs between consecutive stages.
FACTOR = 3


@dataclass(frozen=True)
class Stage:
    """Trials with the same number of epochs.

    Parameters
    ----------
    trials : int
        Number of new trials, in ranges narrowed around the best of the previous stage.
    epochs : int
        Total epochs of each trial of the stage.
    survivors : int
        Number of the best trials of the previous stage that continue training.

    Examples
    --------
    >>> from pynn import search
    >>> search.Stage(trials=20, epochs=2), search.Stage(trials=5, epochs=10, survivors=3)
    (Stage(trials=20, epochs=2, survivors=0), Stage(trials=5, epochs=10, survivors=3))
    """

    trials: int
    epochs: int
    survivors: int = 0

    def __post_init__(self) -> None:
        count(self.epochs, "epochs of a stage")
        count(self.trials, "trials of a stage", minimum=0)
        count(self.survivors, "survivors of a stage", minimum=0)
        if self.trials + self.survivors == 0:
            raise ValueError("a stage has neither trials nor survivors; expected at least one")


def coarse_to_fine(trials: int = 40, epochs: int = 18, stages: int | None = None) -> tuple[Stage, ...]:
    """Return stages whose longest trials train for `epochs`.

    The first stage has `trials` trials of one epoch. Each later stage multiplies the epochs and divides the number of
    trials by the same factor. Half of its trials are survivors; in the last stage all are, because new trials could not
    continue any more. (With survivors only, this is the successive halving of Jamieson & Talwalkar 2016.)

    Parameters
    ----------
    trials, epochs : int
    stages : int, optional
        Number of stages; by default the fewest with a factor of at most three. With one stage, all trials train for
        `epochs`.

    Examples
    --------
    >>> for stage in coarse_to_fine(36, 18):
    ...     print(stage)
    Stage(trials=36, epochs=1, survivors=0)
    Stage(trials=7, epochs=3, survivors=7)
    Stage(trials=2, epochs=7, survivors=3)
    Stage(trials=0, epochs=18, survivors=2)
    """
    count(trials, "trials")
    count(epochs, "epochs")
    if stages is None:
        stages = next(number for number in itertools.count(1) if FACTOR ** (number - 1) >= epochs)
    if count(stages, "stages") == 1:
        return (Stage(trials, epochs),)
    factor = epochs ** (1 / (stages - 1))
    found: list[Stage] = []
    for index in range(stages):
        length = round(factor**index)
        if found and length <= found[-1].epochs:  # too few epochs for all stages
            continue
        size = max(1, round(trials / factor**index))
        survivors = 0 if not found else size if length == epochs else (size + 1) // 2
        found.append(Stage(size - survivors, length, survivors))
    return tuple(found)


def place_of(number: int, stages: Sequence[Stage]) -> tuple[int, bool] | None:
    """Return the stage of a trial and whether it is a survivor of the stage before; None if there is no such trial.

    Examples
    --------
    >>> [place_of(number, (Stage(2, 1), Stage(1, 2, survivors=1))) for number in range(5)]
    [(0, False), (0, False), (1, True), (1, False), None]
    """
    for index, stage in enumerate(stages):
        if number < stage.survivors + stage.trials:
            return index, number < stage.survivors
        number -= stage.survivors + stage.trials
    return None


def checked(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Return the stages, or raise ValueError if they do not fit together."""
    stages = tuple(stages)
    if not stages:
        raise ValueError("stages is empty; expected at least one Stage(trials, epochs)")
    for stage in stages:
        if not isinstance(stage, Stage):
            raise TypeError(f"stages has {stage!r}; expected a pynn.search.Stage")
    if stages[0].survivors:
        raise ValueError("the first stage has survivors; expected survivors=0, because no stage precedes it")
    for before, stage in itertools.pairwise(stages):
        if stage.epochs <= before.epochs:
            raise ValueError(f"a stage of {before.epochs} epochs is followed by one of {stage.epochs}; expected more")
        if stage.survivors > before.trials + before.survivors:
            raise ValueError(
                f"{stage.survivors} survivors of a stage with {before.trials + before.survivors} trials; expected fewer"
            )
    return stages
