"""The state of a training run, as callbacks, observers, steps and checkpoints see it."""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.loss import Loss
from ..nn.random import Stream
from ..utils.interrupt import call_together
from .history import EpochSums, History
from .metrics import Metric, named
from .plan import FitPlan
from .settings import Settings, read_only

if TYPE_CHECKING:
    from ..nn.observer import Observer
    from ..nn.sequential import Sequential
    from ..optim.base import Optimizer
    from ..optim.regularizers import Regularizer
    from ..optim.schedules import Schedule
    from .examples import Examples
    from .ranks import Ranks


class TrainingState(Settings):
    """The state of a `Trainer`, whose docstring describes the attributes."""

    def __init__(
        self,
        model: Sequential,
        loss: Loss | Callable[..., Any],
        optimizer: Optimizer,
        schedule: Schedule | None,
        regularizers: Sequence[Regularizer],
        clip_norm: float | None,
        clip_value: float | None,
        seed: int,
    ) -> None:
        super().__init__(model, loss, optimizer, schedule, regularizers, clip_norm, clip_value, seed)
        self.epoch = 0
        self.steps = 0
        self._lr = optimizer.lr
        self.last_loss = math.nan
        self._history = History()
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
        #: The ranks that train together; None if this process trains alone.
        self._ranks: Ranks | None = None
        self._random = Stream(int(np.random.SeedSequence(self.seed).generate_state(1, np.uint64)[0]))
        self._stop = False
        #: Holds the identity of the training thread under "thread" while one trains.
        self._turn: dict[str, int] = {}
        # Finished batches of the current epoch, and the sums for its row in the history.
        self._batch = 0
        self._sums = EpochSums()
        # The arguments of the last `fit`; an interrupted run is finished with them.
        self._run: FitPlan | None = None

    lr = read_only(
        "lr", "it is the rate of the last step; to set the rate, assign trainer.optimizer.lr", "See `Trainer`."
    )
    history = read_only("history", "fit records it; a new Trainer has a new one", "See `Trainer`.")

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
    def in_another_thread(self) -> bool:
        """Whether another thread is in a step or `fit`."""
        own = threading.get_ident()
        return self._turn.get("thread", own) != own

    @property
    def target_epoch(self) -> int:
        """The epoch at which the current or last `fit` ends."""
        return 0 if self._run is None else self._run.until

    @property
    def history_start(self) -> int:
        """The number of rows in the history when the current or last run began; a finished interrupted run is one."""
        return 0 if self._run is None else self._run.since

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
        return self._batch

    def _end_epoch(self, row: dict[str, float]) -> None:
        gate = self.model.flat.gate
        thread = gate.enter()
        try:
            gate.stepping.add(thread)
            with gate.lock:
                epoch = self.epoch + 1
                changes = {"epoch": epoch, "_batch": 0, "_sums": EpochSums()}
                own = partial(self.__dict__.update, changes)
                call_together([own, *self.history.additions(epoch, row)])
        finally:
            gate.stepping.discard(thread)

    def _count_batch(self, y: np.ndarray, weights: np.ndarray | None, total: float) -> Callable[[float], None]:
        """Return the function that records a finished batch at the end of a step; it is idempotent."""
        batch, sums = self._batch, self._sums
        weight = 1.0 if self._loss.reduction == "sum" else total

        def count(loss: float) -> None:
            self._sums = sums.plus(loss, weight, self._counted(y, weights))
            self._batch = batch + 1

        return count

    @abstractmethod
    def _counted(self, y: np.ndarray, weights: np.ndarray | None) -> tuple[float, float] | None:
        """Return the correct predictions of the last minibatch and all that count."""

    def _agreed(self, value: bool) -> bool:
        """Return whether the value is true on any rank."""
        return value if self._ranks is None else self._ranks.any(value)

    def _from_first(self, value: float) -> float:
        """Return rank 0's value."""
        return value if self._ranks is None else self._ranks.broadcast(value)

    def standing(self) -> tuple[FitPlan | None, int, int, int]:
        """Return the plan of the last run, finished epochs, batches of the running one, and rows of the history."""
        return self._run, self.epoch, self._batch, len(self.history)

    def stop(self) -> None:
        """End the running `fit` after the current step or epoch; for callbacks."""
        self._stop = True

    def progress_state(self) -> dict[str, Any]:
        """Return the state that a checkpoint stores of this trainer, except arrays, in JSON-serialisable form."""
        return {
            "epoch": self.epoch,
            "steps": self.steps,
            "batch": self._batch,
            "sums": vars(self._sums),
            "run": None if self._run is None else vars(self._run),
            "seed": self.seed,
            "random": {"seed": self._random.seed, "offset": self._random.offset},
            "optimizer_steps": self.optimizer.steps,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "matmul_precision": self.matmul_precision,
            "lr": self.lr,
            "last_loss": self.last_loss,
            "history": {"epoch": self.history.epoch, "columns": self.history.history},
        }

    def load_progress_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `progress_state` returned."""
        self.epoch, self.steps, self._batch = state["epoch"], state["steps"], state["batch"]
        sums = dict(state["sums"])
        if "examples" in sums:  # a checkpoint of an older version, in which all examples had equal weight
            sums["weight"] = sums.pop("examples")
        self._sums = EpochSums(**sums)
        self._run = None if state["run"] is None else FitPlan(**state["run"])
        self._seed = state["seed"]
        self._random.move(state["random"]["seed"], state["random"]["offset"])
        self.optimizer.steps = state["optimizer_steps"]
        self.clip_norm, self.clip_value = state["clip_norm"], state["clip_value"]
        self.matmul_precision = state.get("matmul_precision")  # absent from checkpoints of older versions
        self._lr, self.last_loss = state["lr"], state["last_loss"]
        self.history.epoch, self.history.history = state["history"]["epoch"], state["history"]["columns"]
