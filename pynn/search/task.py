"""Input and output of a process that runs a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..training.trainer import Trainer
from ..utils.arrays import check_finite, digest, numeric
from ..utils.validation import data_parts
from .objective import Objective
from .space import Params
from .trial import Trial

Build = Callable[[Params], Trainer]


@dataclass(frozen=True)
class SearchData:
    """Read-only training and validation data; `key` is their digest."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    key: str

    @classmethod
    def of(cls, train: Any, validation: Any) -> SearchData:
        """Return the validated data of two (x, y) pairs, or raise ValueError or TypeError."""
        parts = [_pair(name, part) for name, part in (("train", train), ("validation", validation))]
        return cls(parts[0], parts[1], digest((*parts[0], *parts[1]), size=16))

    def check_unchanged(self) -> None:
        """Raise ValueError if the data have been modified."""
        if digest((*self.train, *self.validation), size=16) != self.key:
            raise ValueError(
                "the data changed during the search: build, or a custom layer or loss, writes to the arrays passed to "
                "search.run; make it write to copies, and start a new search"
            )

    def lock(self) -> SearchData:
        """Make the arrays read-only; pickling loses this flag."""
        for array in (*self.train, *self.validation):
            array.flags.writeable = False
        return self


def _pair(name: str, part: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = (_array(f"{axis} of {name}", values) for axis, values in zip("xy", data_parts(part, name), strict=True))
    if x.ndim < 1 or len(x) != (len(y) if y.ndim else -1) or len(x) == 0:
        raise ValueError(f"{name} has x of shape {x.shape} and y of shape {y.shape}; expected equal, non-zero lengths")
    return x, y


def _array(name: str, values: Any) -> np.ndarray:
    """Return a read-only array of finite numbers, or raise TypeError or ValueError."""
    array = np.asarray(check_finite(numeric(values, name), name), order="C")
    array = array.view()
    array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Task:
    """Input of a process that runs a trial.

    Attributes
    ----------
    trial : Trial
        Number, stage, parameters, and the trial that it continues.
    seed : int
        Seed of the initialisation.
    data : SearchData or None
        None if the process has received the data before; `key` identifies them.
    checkpoint : bytes or None
        State to continue from.
    search, driver, backend : str
        Identifiers of the search and of its driver process, and the backend to use.
    """

    trial: Trial
    seed: int
    build: Build
    epochs: int
    batch_size: int
    objective: Objective
    end_early: bool
    key: str
    search: str
    driver: str
    backend: str
    data: SearchData | None = None
    checkpoint: bytes | None = None


@dataclass(frozen=True)
class Outcome:
    """An ended trial, its checkpoint if it finished, and the error if the search cannot continue."""

    trial: Trial
    checkpoint: bytes | None = None
    refused: str = ""
