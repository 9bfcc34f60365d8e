"""Runs one trial in the current process: trains, stops hopeless trials, packs a checkpoint."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from ..babysit import Finding, Monitor
from ..backends import selection as backend
from ..training.callbacks import Callback
from ..training.checkpoint import packed_checkpoint
from ..training.step import NonFiniteError
from ..training.trainer import Trainer
from .building import NotNew, begun, leaving, this_process
from .task import Outcome, SearchData, Task
from .text import printable, said

#: A trial ends early after COST_STEPS consecutive steps with more than COST_FACTOR times the loss of the first step.
COST_FACTOR, COST_STEPS = 3.0, 5
#: The monitor watches every fourth step.
WATCH_EVERY = 4
#: Minimum work (parameters times examples; a tenth of a second) of a monitored trial. On shorter ones, monitoring costs
#: more than ending early saves: two epochs of 2000 examples through 784-64-10 take 34 ms instead of 22.
WORTH_WATCHING = 1e9
#: Symptoms that more training cannot fix, if the monitor reports them as errors.
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


# Data of the current search: sent to this process once, not with every task.
_held: dict[str, SearchData] = {}


def hold(data: SearchData) -> None:
    """Keep the data for the trials of this process."""
    _held.clear()
    _held[data.key] = data.lock()


def run(task: Task, data: SearchData | None = None) -> Outcome | None:
    """Run a trial; its errors are part of the outcome. Returns None if this process lacks the data."""
    data = task.data or _held.get(task.key) or data
    if data is None:
        return None
    if task.driver != this_process():
        # One thread per trial: the trials run in parallel.
        backend.use_backend(task.backend)
        backend.set_num_threads(1)
        if task.key not in _held:
            hold(data)
    return run_with(task, data)


def run_with(task: Task, data: SearchData) -> Outcome:
    """Run a trial on the given data."""
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
            trial.score = _score(trainer, task.objective.column)
            trial.ended = "finished"
            checkpoint = packed_checkpoint(trainer)
    except NotNew as error:
        return Outcome(trial, refused=str(error))
    except NonFiniteError as error:
        trial.ended, trial.reason = "early", printable(str(error))
    except (Exception, SystemExit) as error:
        trial.ended, trial.reason = "failed", said(error)
    trial.seconds = time.perf_counter() - began
    if trainer is not None:
        trial.epochs, trial.steps, trial.initial_loss = trainer.epoch, trainer.steps, guard.initial
        trial.history = {name: list(column) for name, column in trainer.history.history.items()}
    return Outcome(trial, checkpoint)


def _train(trainer: Trainer, task: Task, data: SearchData, guard: Guard) -> None:
    batch_size = task.trial.params.get("batch_size", task.batch_size)
    guard.trainer = trainer
    x, y = data.train
    epochs = max(task.epochs - trainer.epoch, 0)
    callbacks: list[Callback] = [guard] if task.end_early else []
    leave = Leave(task.search)
    if task.driver == this_process():  # in other processes, the driver kills the process
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
        metrics=task.objective.metrics,
    )
    if leave.taken or trainer.history.interrupted:
        raise KeyboardInterrupt


def _score(trainer: Trainer, metric: str) -> float:
    if metric not in trainer.history:
        known = ", ".join(name for name in trainer.history.history if name.startswith("val_"))
        raise ValueError(f"metric {metric!r} is not in the history; expected one of {known}: pass metric=")
    score = trainer.history[metric][-1]
    if not math.isfinite(score):
        raise NonFiniteError(f"{metric} is {score} after epoch {trainer.epoch}")
    return score


class Guard(Callback):
    """Ends a trial whose loss explodes, or that the monitor finds hopeless.

    Attributes
    ----------
    initial : float
        The loss of the first step of the trial.
    reason : str
        Why the trial was ended, or empty.
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
        """End the trial if the finding is a hopeless error."""
        if finding.severity == "error" and finding.symptom in HOPELESS:
            self._end(f"the monitor: {finding}")

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        if self.trainer is not None:
            self.trainer.stop()


class Leave(Callback):
    """Ends a trial in the driver's process when the search stops."""

    def __init__(self, search: str) -> None:
        self.taken = False
        self._search = search

    def on_step_end(self, trainer: Trainer) -> None:
        if leaving(self._search):
            self.taken = True
            trainer.stop()


class StepMonitor(Monitor):
    """A monitor without the checks on validation data after each epoch.

    They never end a trial, and they double the time of short runs of small networks. Without them, and with every
    fourth step watched, a step takes 1.17 times as long as an unwatched one (784-64-10, batches of 32).
    """

    def on_epoch_end(self, trainer: Trainer) -> None:
        pass
