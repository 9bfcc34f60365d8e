"""Copies of trainers, by `copy.deepcopy` and `pickle`: they go on bit for bit, and share nothing with the original."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .trainer import Trainer

#: Arguments of `Trainer` besides its parts.
OPTIONS = ("schedule", "regularizers", "clip_norm", "clip_value", "seed")
#: Public attributes that the parts below, or `Trainer.__init__`, bring back. What watches a trainer watches no copy.
OWN = {
    *("model", "loss", "optimizer", *OPTIONS),
    *("epoch", "steps", "lr", "last_loss", "history", "batches_per_epoch", "examples", "held_out", "watch"),
}


def taken_apart(trainer: Trainer) -> dict[str, Any]:
    """Return what a trainer consists of, as it is between two steps; locks and recorded steps are made anew."""
    with trainer.model.flat.gate.between_steps():
        trainer._step.settle()
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


def put_together(trainer: Trainer, state: dict[str, Any]) -> None:
    """Bring a trainer that was made from the same parts to where the original stood."""
    for name, array in state["buffers"].items():
        trainer.optimizer.state[name][...] = array
    trainer.load_progress_state(state["progress"])
    trainer.model.output_kind = state["output_kind"]
    trainer.history.interrupted = state["interrupted"]
    vars(trainer).update(state["more"])
