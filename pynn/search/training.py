"""Runs one trial, in whatever process it is called: trains, ends what is hopeless, packs a checkpoint."""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import backend
from ..arrays import numeric
from ..babysit import Finding, Monitor
from ..callbacks import Callback
from ..persistence import packed_checkpoint
from ..trainer import NonFiniteError, Trainer
from .building import Build, NotNew, begun, leaving, this_process
from .trial import Trial
from .words import printable, said

#: A trial ends early when each of so many steps on end costs more than so many times the first step.
COST_FACTOR, COST_STEPS = 3.0, 5
#: Of so many steps the babysitter watches one.
WATCH_EVERY = 4
#: It watches trainings of so many multiplications (parameters times examples) and more, a tenth of a second. Watching a
#: shorter one costs more than ending it early would save: two epochs of 2000 examples through 784-64-10 take 34 ms
#: instead of 22.
WORTH_WATCHING = 1e9
#: What no further training cures, where the babysitter calls it an error.
HOPELESS = frozenset(
    {
        "symmetric_units",
        "lr_too_high",
        "lr_too_low",
        "vanishing_gradient",
        "dead_units",
        "diverging",
        "non_finite",
        "regularisation_too_strong",
    }
)


@dataclass(frozen=True)
class Data:
    """What to train on and to validate with, read-only; the key is a digest of it all."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    key: str

    @classmethod
    def of(cls, train: Any, validation: Any) -> Data:
        """Return the data of two pairs, or raise ValueError or TypeError."""
        parts = [_pair(name, part) for name, part in (("train", train), ("validation", validation))]
        return cls(parts[0], parts[1], _digest(*parts))

    def check_unchanged(self) -> None:
        """Raise ValueError if somebody has written to the data."""
        if _digest(self.train, self.validation) != self.key:
            raise ValueError(
                "the data have changed while the search ran: build, or a layer or loss of yours, writes to the arrays "
                "that search.run was given; let it write to copies, and search anew"
            )

    def lock(self) -> Data:
        """Make the arrays read-only, in a process to which they were sent."""
        for array in (*self.train, *self.validation):
            array.flags.writeable = False
        return self


def _pair(name: str, part: Any) -> tuple[np.ndarray, np.ndarray]:
    if not (isinstance(part, tuple | list) and len(part) == 2):
        raise ValueError(f"{name} must be a pair (x, y)")
    x, y = (_array(f"{axis} of {name}", values) for axis, values in zip("xy", part, strict=True))
    if x.ndim < 1 or len(x) != (len(y) if y.ndim else -1) or len(x) == 0:
        raise ValueError(f"{name} has x of shape {x.shape} and y of shape {y.shape}; expected as many, not none")
    return x, y


def _array(name: str, values: Any) -> np.ndarray:
    """Return a read-only array of numbers, or raise TypeError or ValueError."""
    array = np.asarray(numeric(values, name), order="C")
    array = array.view()
    array.flags.writeable = False
    return array


def _digest(*pairs: tuple[np.ndarray, np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in itertools.chain(*pairs):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Task:
    """What a process needs to know to run a trial.

    Attributes
    ----------
    trial : Trial
        Number, stage, parameters, and where it goes on.
    seed : int
        Of the initialisation.
    data : Data or None
        None where the process is to have it from a task before; `key` says which.
    checkpoint : bytes or None
        Where to go on from.
    search, driver, backend : str
        The search and the process that it is driven from, and what computes there.
    """

    trial: Trial
    seed: int
    build: Build
    epochs: int
    batch_size: int
    metric: str
    end_early: bool
    key: str
    search: str
    driver: str
    backend: str
    data: Data | None = None
    checkpoint: bytes | None = None


@dataclass(frozen=True)
class Outcome:
    """A trial that has ended, a checkpoint if it finished, and why the search cannot go on if it cannot."""

    trial: Trial
    checkpoint: bytes | None = None
    refused: str = ""


# The data of the search that this process works for: sent once, not with every task.
_held: dict[str, Data] = {}


def hold(data: Data) -> None:
    """Keep the data for the trials that this process is to run."""
    _held.clear()
    _held[data.key] = data.lock()


def run(task: Task) -> Outcome | None:
    """Run a trial; whatever goes wrong in it is part of the outcome. None if the task must be sent with its data."""
    data = task.data or _held.get(task.key)
    if data is None:
        return None
    if task.driver != this_process():
        # The processors are shared by the trials, not by the threads of one.
        backend.use_backend(task.backend)
        backend.set_num_threads(1)
        if task.key not in _held:
            hold(data)
    return run_with(task, data)


def run_with(task: Task, data: Data) -> Outcome:
    """Run a trial on the data given."""
    began = time.perf_counter()
    trial = replace(task.trial)
    guard = Guard(trial.initial_loss)
    trainer: Trainer | None = None
    checkpoint = None
    try:
        trainer = begun(task)
        _train(trainer, task, data, guard)
        if guard.reason:
            trial.ended, trial.reason = "early", printable(guard.reason)
        else:
            trial.score = _score(trainer, task.metric)
            trial.ended = "finished"
            checkpoint = packed_checkpoint(trainer)
    except NotNew as error:
        return Outcome(trial, refused=str(error))
    except NonFiniteError as error:
        trial.ended, trial.reason = "early", printable(str(error))
    except (Exception, SystemExit) as error:
        trial.ended, trial.reason = "failed", said(error)
    trial.seconds = time.perf_counter() - began
    if isinstance(trainer, Trainer):
        trial.epochs, trial.steps, trial.initial_loss = trainer.epoch, trainer.steps, guard.initial
        trial.history = {name: list(column) for name, column in trainer.history.history.items()}
    return Outcome(trial, checkpoint)


def _train(trainer: Trainer, task: Task, data: Data, guard: Guard) -> None:
    batch_size = task.trial.params.get("batch_size", task.batch_size)
    guard.trainer = trainer
    x, y = data.train
    epochs = max(task.epochs - trainer.epoch, 0)
    callbacks: list[Callback] = [guard] if task.end_early else []
    leave = Leave(task.search)
    if task.driver == this_process():  # others are ended with their processes
        callbacks.append(leave)
    if task.end_early and epochs * len(x) * trainer.model.flat.values.size >= WORTH_WATCHING:
        callbacks.append(StepMonitor(WATCH_EVERY, on_problem=guard.judge))
    trainer.fit(
        x,
        y,
        epochs=epochs,
        batch_size=batch_size,  # type: ignore[arg-type]
        validation=data.validation,
        callbacks=callbacks,
    )
    if leave.taken or trainer.history.interrupted:
        raise KeyboardInterrupt


def _score(trainer: Trainer, metric: str) -> float:
    if metric not in trainer.history:
        known = ", ".join(name for name in trainer.history.history if name.startswith("val_"))
        raise ValueError(f"there is no {metric!r} to judge by; there is {known}: pass metric=")
    score = trainer.history[metric][-1]
    if not math.isfinite(score):
        raise NonFiniteError(f"{metric} is {score} after epoch {trainer.epoch}")
    return score


class Guard(Callback):
    """Ends a trial whose cost explodes, or that the babysitter finds hopeless.

    Attributes
    ----------
    initial : float
        The loss of the first step of the trial.
    reason : str
        Why it was ended, or nothing.
    """

    def __init__(self, initial: float = math.nan) -> None:
        self.initial = initial
        self.reason = ""
        self.trainer: Trainer | None = None
        self._above = 0

    def on_step_end(self, trainer: Trainer) -> None:
        loss = trainer.last_loss
        if math.isnan(self.initial):
            self.initial = loss
        self._above = self._above + 1 if loss > COST_FACTOR * self.initial > 0 else 0
        if self._above == COST_STEPS:
            self._end(
                f"the cost, {loss:.3g}, exceeds {COST_FACTOR:g}x the initial {self.initial:.3g} at step {trainer.steps}"
            )

    def judge(self, finding: Finding) -> None:
        """End the trial if a finding of the babysitter's is a hopeless one."""
        if finding.severity == "error" and finding.symptom in HOPELESS:
            self._end(f"the babysitter: {finding}")

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        if self.trainer is not None:
            self.trainer.stop()


class Leave(Callback):
    """Ends a trial in the driver's own process when the search is to end."""

    def __init__(self, search: str) -> None:
        self.taken = False
        self._search = search

    def on_step_end(self, trainer: Trainer) -> None:
        if leaving(self._search):
            self.taken = True
            trainer.stop()


class StepMonitor(Monitor):
    """A monitor that leaves out what it asks of the validation data after each epoch.

    None of that ends a trial, and on short trainings of small networks it doubles the time; without it, and with every
    fourth step watched, a step takes 1.17 times as long as an unwatched one (784-64-10, batches of 32).
    """

    def on_epoch_end(self, trainer: Trainer) -> None:
        pass
