"""One trial: its parameters, how it ended, and its score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..utils.validation import count, is_real, number, real
from .space import Choice, Integer, Parameter, Params, Range, Space
from .stages import Stage, place_of

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
        for name in ("number", "stage", "epochs", "steps"):
            count(getattr(trial, name), name, minimum=0)
        if trial.continues is not None:
            count(trial.continues, "continues", minimum=0)
        if not isinstance(trial.ended, str) or trial.ended not in ENDED:
            raise ValueError(f"ended is {trial.ended!r}; expected one of {', '.join(ENDED)}")
        if not isinstance(trial.reason, str):
            raise TypeError(f"reason is {trial.reason!r}; expected text")
        if not isinstance(trial.params, dict):
            raise TypeError(f"params is {trial.params!r}; expected a dictionary")
        real(trial.score, "score")
        if trial.ended == "finished":
            number(trial.score, "score")
        number(trial.seconds, "seconds", minimum=0)
        real(trial.initial_loss, "initial_loss")
        _check_history(trial.history, trial.epochs)
        return trial


def _check_history(history: Any, epochs: int) -> None:
    """Raise TypeError or ValueError unless a history has equally long columns of at most `epochs` numbers."""
    if not isinstance(history, dict) or not all(isinstance(column, list) for column in history.values()):
        raise TypeError(f"history is {history!r}; expected a dictionary of lists")
    for name, column in history.items():
        for value in column:
            real(value, f"{name} of history")
    lengths = sorted({len(column) for column in history.values()})
    if len(lengths) > 1 or any(length > epochs for length in lengths):
        raise ValueError(f"history has columns of {lengths} values; expected the same number, at most {epochs}")


def check_belongs(trial: Trial, space: Space, stages: Sequence[Stage]) -> None:
    """Raise ValueError unless a trial of a record is one of a search with this space and these stages."""
    place = place_of(trial.number, stages)
    if place is None:
        raise ValueError(f"number is {trial.number}; expected one of the trials of the search")
    index, survivor = place
    if trial.stage != index:
        raise ValueError(f"stage is {trial.stage}; expected {index}, that of trial {trial.number}")
    if trial.epochs > stages[index].epochs:
        raise ValueError(f"epochs is {trial.epochs}; expected at most the stage's {stages[index].epochs}")
    before = None if trial.continues is None else place_of(trial.continues, stages)
    if (trial.continues is not None) != survivor or (survivor and (before is None or before[0] != index - 1)):
        expected = f"a trial of stage {index - 1}" if survivor else "None"
        raise ValueError(f"continues is {trial.continues}; expected {expected}")
    if set(trial.params) != set(space.active(trial.params)):
        raise ValueError(f"params has {', '.join(trial.params) or 'nothing'}; expected the parameters of the space")
    for name, value in trial.params.items():
        if not _fits(value, space[name]):
            raise ValueError(f"{name} of params is {value!r}; expected a value of {space[name]!r}")


def _fits(value: Any, parameter: Parameter) -> bool:
    if isinstance(parameter, Choice):
        return any(type(option) is type(value) and option == value for option in parameter.options)
    if isinstance(parameter, Range):
        whole = isinstance(value, int) or not isinstance(parameter, Integer)
        return is_real(value) and whole and bool(parameter.low <= value <= parameter.high)
    return True


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
