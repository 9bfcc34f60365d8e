"""How far a trainer has come: what its steps and epochs count, and a checkpoint stores."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..nn.gate import StepGate
from ..utils.interrupt import call_together
from .history import EpochSums, History
from .plan import FitPlan


@dataclass
class Progress:
    """How far a trainer has come, and what its last `fit` was asked to do.

    Attributes
    ----------
    epoch, steps : int
        Finished epochs and steps.
    lr, last_loss : float
        The rate and the loss of the last step.
    batch : int
        Finished minibatches of the current epoch.
    sums : EpochSums
        The sums over these minibatches, for the epoch's row in the history.
    plan : FitPlan or None
        The plan of the last `fit`; an interrupted run is finished with it.
    stopping : bool
        Whether the running `fit` ends after the current step or epoch.
    history : History
    """

    lr: float
    epoch: int = 0
    steps: int = 0
    last_loss: float = math.nan
    batch: int = 0
    sums: EpochSums = field(default_factory=EpochSums)
    plan: FitPlan | None = None
    stopping: bool = False
    history: History = field(default_factory=History)

    def end_epoch(self, row: dict[str, float], gate: StepGate) -> None:
        """Count an epoch and add its row to the history: both, or neither if an exception of a handler interferes."""
        thread = gate.enter()
        try:
            gate.stepping.add(thread)
            with gate.lock:
                epoch = self.epoch + 1
                changes = {"epoch": epoch, "batch": 0, "sums": EpochSums()}
                own = partial(self.__dict__.update, changes)
                call_together([own, *self.history.additions(epoch, row)])
        finally:
            gate.stepping.discard(thread)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores, in JSON-serialisable form."""
        return {
            "epoch": self.epoch,
            "steps": self.steps,
            "batch": self.batch,
            "sums": vars(self.sums),
            "run": None if self.plan is None else vars(self.plan),
            "lr": self.lr,
            "last_loss": self.last_loss,
            "history": {"epoch": self.history.epoch, "columns": self.history.history},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.epoch, self.steps, self.batch = state["epoch"], state["steps"], state["batch"]
        sums = dict(state["sums"])
        if "examples" in sums:  # a checkpoint of an older version, in which all examples had equal weight
            sums["weight"] = sums.pop("examples")
        self.sums = EpochSums(**sums)
        self.plan = None if state["run"] is None else FitPlan(**state["run"])
        self.lr, self.last_loss = state["lr"], state["last_loss"]
        self.history.epoch, self.history.history = state["history"]["epoch"], state["history"]["columns"]
