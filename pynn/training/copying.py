"""Copies of trainers by `copy.deepcopy` and `pickle`; a copy continues bit for bit and shares nothing."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .state import TrainingState

#: Scalar arguments of `Trainer`.
OPTIONS = ("schedule", "regularizers", "clip_norm", "clip_value", "averaging", "seed", "matmul_precision")
#: Public attributes that a copy does not take over: those of the running `fit`, and the observer.
OWN = {"batches_per_epoch", "examples", "held_out", "held_out_outputs", "observer"}


def taken_apart(trainer: TrainingState) -> dict[str, Any]:
    """Return the parts of a trainer between two steps; locks and recorded steps are not copied."""
    with trainer.model.flat.gate.between_steps():
        trainer.settle()
        more = {name: value for name, value in vars(trainer).items() if name not in OWN and name[0] != "_"}
        return {
            "parts": (trainer.model.copied({}), trainer.loss, trainer.optimizer.unbound()),
            "options": {name: getattr(trainer, name) for name in OPTIONS},
            "buffers": {name: array.copy() for name, array in trainer.optimizer.state.items()},
            "progress": copy.deepcopy(trainer.progress_state()),
            "output_kind": trainer.model.output_kind,
            "interrupted": trainer.history.interrupted,
            "more": more,
        }


def put_together(trainer: TrainingState, state: dict[str, Any]) -> None:
    """Restore the original's state in a trainer made from the same parts."""
    for name, array in state["buffers"].items():
        trainer.optimizer.state[name][...] = array
    trainer.load_progress_state(state["progress"])
    trainer.model.output_kind = state["output_kind"]
    trainer.history.interrupted = state["interrupted"]
    vars(trainer).update(state["more"])
