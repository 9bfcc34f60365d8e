"""One trial: its parameters, how it ended, and its score."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .space import Params

Ended = Literal["finished", "early", "failed", "lost"]
#: How trials end, in words.
ENDED: dict[Ended, str] = {"finished": "finished", "early": "ended early", "failed": "failed", "lost": "lost"}


@dataclass
class Trial:
    """One training run of a search.

    Attributes
    ----------
    number : int
        From 0, in the order of the proposals.
    stage : int
        From 0.
    params : dict
        Values of the active parameters.
    ended : {"finished", "early", "failed", "lost"}
        Trained to the end; stopped early as hopeless; failed with an error; or lost with its process.
    reason : str
        Why it did not finish, or empty.
    score : float
        The metric after the last epoch; NaN unless the trial finished.
    epochs, steps : int
        Total trained, including those of the trials that it continues.
    seconds : float
        Duration of this trial.
    continues : int or None
        Number of the trial of the previous stage that this one continues.
    initial_loss : float
        The loss of the first step.
    history : dict of str to list of float
        The columns of `pynn.History`.

    Examples
    --------
    >>> import pynn
    >>> from pynn import search
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> def build(params):
    ...     return pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(params["lr"]))
    >>> space = {"lr": search.LogUniform(1e-5, 1.0)}
    >>> result = search.run(build, space, (x, y), (x, y), trials=4, epochs=2, workers=1)
    >>> trial = result.trials[0]
    >>> trial.number, trial.ended, trial.epochs, list(trial.params)
    (0, 'finished', 2, ['lr'])
    """

    number: int
    stage: int
    params: Params
    ended: Ended
    reason: str = ""
    score: float = math.nan
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    continues: int | None = None
    initial_loss: float = math.nan
    history: dict[str, list[float]] = field(default_factory=dict, repr=False)

    def as_record(self) -> dict[str, Any]:
        """Return the record of a store, ready for JSON."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Trial:
        """Return the trial of a record, or raise ValueError or TypeError if it is invalid."""
        trial = cls(**record)
        counts = (trial.number, trial.stage, trial.epochs, trial.steps, trial.continues or 0)
        if trial.ended not in ENDED or any(type(found) is not int or found < 0 for found in counts):
            raise ValueError(f"{record!r} is not a trial")
        return trial


def ranked(trials: Iterable[Trial], *, maximize: bool) -> list[Trial]:
    """Return the finished trials, best first, ties by number; of a chain of continuations, only the best.

    Examples
    --------
    >>> trials = [Trial(0, 0, {}, "finished", score=0.8), Trial(1, 0, {}, "finished", score=0.7)]
    >>> trials.append(Trial(2, 1, {}, "finished", score=0.9, continues=1))
    >>> [trial.number for trial in ranked(trials, maximize=True)]
    [2, 0]
    """
    trials = list(trials)
    begun_as = {trial.number: trial.number for trial in trials}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.continues is not None:
            begun_as[trial.number] = begun_as.get(trial.continues, trial.continues)
    found: dict[int, Trial] = {}
    finished = (trial for trial in trials if trial.ended == "finished")
    for trial in sorted(finished, key=lambda trial: (-trial.score if maximize else trial.score, trial.number)):
        found.setdefault(begun_as[trial.number], trial)
    return list(found.values())
