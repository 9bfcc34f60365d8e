"""The state of a training run, as callbacks, observers, steps and checkpoints see it."""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.loss import Loss
from ..nn.random import Stream
from .history import History
from .metrics import Metric, named
from .plan import FitPlan
from .progress import Progress
from .settings import Settings

if TYPE_CHECKING:
    from ..nn.observer import Observer
    from ..nn.sequential import Sequential
    from ..optim.averaging import Averaging
    from ..optim.base import Optimizer
    from ..optim.regularizers import Regularizer
    from ..optim.schedules import Schedule
    from .examples import Examples
    from .ranks import Ranks


def _attribute(path: str, doc: str) -> Any:
    """Return the property of a trainer that is an attribute of one of its parts, such as "_progress.steps"."""
    part, name = path.split(".")

    def assign(trainer: Any, value: Any) -> None:
        setattr(getattr(trainer, part), name, value)

    return property(attrgetter(path), assign, doc=doc)  # attrgetter: reading takes no Python call


def _read_only(path: str, doc: str, advice: str) -> Any:
    """Return the same for an attribute that cannot be assigned: that raises AttributeError with advice."""
    name = path.partition(".")[2]

    def refuse(trainer: Any, value: Any) -> None:
        raise AttributeError(f"trainer.{name} cannot be assigned: {advice}")

    return property(attrgetter(path), refuse, doc=doc)


class TrainingState:
    """The state of a `Trainer`, whose docstring describes the attributes."""

    loss: Loss = _attribute("_settings.loss", "The loss to minimise.")
    optimizer: Optimizer = _attribute("_settings.optimizer", "The optimiser; a new one starts with empty state.")
    schedule: Schedule | None = _attribute("_settings.schedule", "Scales the optimiser's learning rate.")
    regularizers: Sequence[Regularizer] = _attribute("_settings.regularizers", "Penalties and constraints.")
    clip_norm: float | None = _attribute("_settings.clip_norm", "May be None.")
    clip_value: float | None = _attribute("_settings.clip_value", "May be None.")
    averaging: Averaging | None = _attribute("_settings.averaging", "Averages the weights; a new one starts anew.")
    matmul_precision: str | None = _attribute("_settings.matmul_precision", "Of float32 products; may be None.")
    model: Sequential = _read_only(
        "_settings.model", "The model to train.", "a trainer trains one model; make a new Trainer"
    )
    seed: int = _read_only(
        "_settings.seed", "The run's seed.", "it has seeded the run already; make a new Trainer(..., seed=)"
    )

    epoch: int = _attribute("_progress.epoch", "Finished epochs.")
    steps: int = _attribute("_progress.steps", "Finished steps.")
    last_loss: float = _attribute("_progress.last_loss", "The loss of the last minibatch.")
    lr: float = _read_only(
        "_progress.lr",
        "See `Trainer`.",
        "it is the rate of the last step; to set the rate, assign trainer.optimizer.lr",
    )
    history: History = _read_only("_progress.history", "See `Trainer`.", "fit records it; a new Trainer has a new one")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._progress = Progress(settings.optimizer.lr)
        self._random = Stream(int(np.random.SeedSequence(settings.seed).generate_state(1, np.uint64)[0]))
        #: The ranks that train together; None if this process trains alone.
        self._ranks: Ranks | None = None
        self.batches_per_epoch = 0
        self.examples: Examples | None = None
        self.held_out: Examples | None = None
        #: The network's outputs for them, of the last call of `validate`.
        self.held_out_outputs: np.ndarray | None = None
        self.metrics: tuple[Metric, ...] = ()
        #: Observes the steps that it requests; set by `pynn.Monitor`.
        self.observer: Observer | None = None
        #: Whether a callback will restore the weights of the best epoch; set by `pynn.EarlyStopping`.
        self.keeps_best = False
        #: Holds the identity of the training thread under "thread" while one trains.
        self._turn: dict[str, int] = {}

    @property
    @abstractmethod
    def prediction(self) -> np.ndarray:
        """The network's output for the last minibatch; the next step overwrites it."""

    @property
    @abstractmethod
    def minibatch(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the last step, in the network's form."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return the running `fit`'s validation metrics, for callbacks; empty without validation data."""

    @abstractmethod
    def settle(self) -> None:
        """Finish or undo a step that was interrupted half-way."""

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write a checkpoint."""

    def __repr__(self) -> str:
        settings = f"{type(self.loss).__name__}, {type(self.optimizer).__name__}(lr={self.optimizer.lr:g})"
        return f"Trainer({settings}: {self.epoch} epochs, {self.steps} steps)"

    @property
    def rank(self) -> int:
        """The number of this process among those that train together (see `comm`); 0 if it trains alone."""
        return 0 if self._ranks is None else self._ranks.rank

    @property
    def plan(self) -> FitPlan | None:
        """What the current or last `fit` was asked to do; None before the first."""
        return self._progress.plan

    @property
    def in_another_thread(self) -> bool:
        """Whether another thread is in a step or `fit`."""
        own = threading.get_ident()
        return self._turn.get("thread", own) != own

    @property
    def target_epoch(self) -> int:
        """The epoch at which the current or last `fit` ends."""
        return 0 if self.plan is None else self.plan.until

    @property
    def history_start(self) -> int:
        """The number of rows in the history when the current or last run began; a finished interrupted run is one."""
        return 0 if self.plan is None else self.plan.since

    @property
    def columns(self) -> list[str]:
        """The columns that the running `fit` adds to the history after each epoch."""
        figures = ["loss"]
        if type(self.loss).count_correct is not Loss.count_correct:
            figures.append("accuracy")
        held_out = [] if self.held_out is None else [*figures, *named(self.metrics, self.loss)]
        return [*figures, *(f"val_{name}" for name in held_out), "lr", "seconds"]

    @property
    def batches_done(self) -> int:
        """The number of finished minibatches of the current epoch."""
        return self._progress.batch

    @property
    def broken_off(self) -> bool:
        """Whether an error, but not of a loss that is no number, ended the last `fit`, so that `fit` can finish it."""
        unfinished = self.epoch < self.target_epoch and not self._progress.stopping
        return unfinished and math.isfinite(self.last_loss)

    def stop(self) -> None:
        """End the running `fit` after the current step or epoch; for callbacks."""
        self._progress.stopping = True

    def progress_state(self) -> dict[str, Any]:
        """Return the state that a checkpoint stores of this trainer, except arrays, in JSON-serialisable form."""
        return {
            **self._progress.state(),
            "seed": self.seed,
            "random": {"seed": self._random.seed, "offset": self._random.offset},
            "optimizer_steps": self.optimizer.steps,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "matmul_precision": self.matmul_precision,
        }

    def load_progress_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `progress_state` returned."""
        self._progress.load_state(state)
        self._settings.seed = state["seed"]
        self._random.move(state["random"]["seed"], state["random"]["offset"])
        self.optimizer.steps = state["optimizer_steps"]
        self.clip_norm, self.clip_value = state["clip_norm"], state["clip_value"]
        self.matmul_precision = state.get("matmul_precision")  # absent from checkpoints of older versions
