"""Training checkpoints as files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..backends import selection
from ..nn import losses, regression_losses
from ..nn.loading import own_classes, understood, unpack_model, with_prefix
from ..nn.loss import FunctionLoss, Loss
from ..nn.saving import check_rebuildable, pack_model
from ..nn.sequential import KNOWN_LAYERS, Sequential
from ..nn.state import arrays_in_place, write_arrays
from ..optim import averaging, optimizers, regularizers, schedules
from ..utils.config import Configurable, describe, make
from ..utils.files import load_tensors, packed_tensors
from ..utils.validation import number
from .progress_state import checked_progress
from .state import TrainingState

T = TypeVar("T", bound=TrainingState)

#: Losses, optimisers, schedules and regularisers that a file may name; their base classes cannot be used alone.
KNOWN_PARTS = tuple(
    value
    for module in (losses, regression_losses, averaging, optimizers, schedules, regularizers)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, Configurable) and value.__module__ == module.__name__
    if value not in (averaging.Averaging, schedules.Schedule, regularizers.Regularizer)
)
KNOWN = (*KNOWN_LAYERS, *KNOWN_PARTS)


def packed_checkpoint(trainer: TrainingState) -> bytes:
    """Return the content of the file that `Trainer.save` writes: everything that a trainer needs to continue."""
    parts = [trainer.optimizer, trainer.schedule, trainer.regularizers, trainer.averaging]
    loss = None if isinstance(trainer.loss, FunctionLoss) else trainer.loss
    check_rebuildable([trainer.model, loss, *parts], trainer.model.dtype, KNOWN)
    tensors, model = pack_model(trainer.model)
    tensors |= {f"optimizer.{name}": array for name, array in trainer.optimizer.state.items()}
    if trainer.averaging is not None:
        tensors |= {f"averaging.{index}": array for index, array in enumerate(trainer.averaging.arrays)}
    optimizer, schedule, penalties, average = (describe(part) for part in parts)
    description = {
        "model": model,
        "frozen": [name for name, p in trainer.model.named_parameters() if p.frozen],
        "lr_factors": {name: p.lr_factor for name, p in trainer.model.named_parameters() if p.lr_factor != 1},
        "decayed": [name for name, p in trainer.model.named_parameters() if p.decay],
        "loss": None if loss is None else describe(loss),
        "optimizer": optimizer,
        "schedule": schedule,
        "regularizers": penalties,
        "averaging": None if trainer.averaging is None else average | {"progress": trainer.averaging.progress()},
        "trainer": trainer.progress_state(),
        "machine": _described_machine(trainer.matmul_precision),
    }
    return packed_tensors("checkpoint", tensors, description)


def load_checkpoint(
    trainer_class: Callable[..., T],
    path: str | Path,
    *,
    loss: Loss | Callable[..., Any] | None,
    custom: Iterable[type],
) -> T:
    """Return the trainer that `Trainer.save` wrote to a file; see `Trainer.resume`."""
    classes = own_classes(custom)
    tensors, description = load_tensors(path, "checkpoint")
    saved_on, machine, needs_loss = understood(path, lambda: (*_machines(description), description["loss"] is None))
    if saved_on != machine:
        warnings.warn(
            f"{path} was written under {_machine(saved_on)} and continues under {_machine(machine)}: "
            "results will agree to rounding, not bit for bit",
            RuntimeWarning,
            stacklevel=3,
        )
    if loss is None and needs_loss:
        raise ValueError(f"the loss of {path} is a plain function, which a file cannot hold; pass it again as loss=")

    def rebuild() -> T:
        model = unpack_model(tensors, description["model"], (*KNOWN_LAYERS, *classes))
        known = (*KNOWN_PARTS, *classes)
        trainer = trainer_class(
            model,
            loss if loss is not None else make(description["loss"], known),
            make(description["optimizer"], known),
            schedule=make(description["schedule"], known),
            regularizers=make(description["regularizers"], known),
        )
        _restore_settings(model, description["frozen"], description["lr_factors"], description.get("decayed"))
        write_arrays(trainer.optimizer.state, with_prefix(tensors, "optimizer."))
        _restore_averaging(trainer, description.get("averaging"), with_prefix(tensors, "averaging."), known)
        trainer.load_progress_state(checked_progress(description["trainer"]))
        return trainer

    return understood(path, rebuild)


def _restore_averaging(trainer: TrainingState, saved: Any, arrays: dict[str, np.ndarray], known: Any) -> None:
    if saved is None:  # also in files of versions that had no averages
        return
    average = make({name: saved[name] for name in ("class", "config")}, known)
    if arrays:
        average.prepare(arrays_in_place(trainer.model, trainer.model.flat))
        write_arrays({str(index): array for index, array in enumerate(average.arrays)}, arrays)
    average.resume(**saved["progress"])
    trainer.averaging = average


def _restore_settings(model: Sequential, frozen: Any, lr_factors: Any, decayed: Any) -> None:
    """Restore the settings of the parameters; `decayed` is None in files of older versions."""
    parameters = dict(model.named_parameters())
    if not isinstance(frozen, list) or not isinstance(lr_factors, dict) or not isinstance(decayed, list | None):
        raise ValueError("frozen or decayed parameters are not a list, or the lr_factors are not a dictionary")
    if decayed is not None:
        unknown = set(decayed) - set(parameters)
        if unknown:
            raise ValueError(f"there is no parameter {sorted(unknown)[0]!r} that decays")
        for name, parameter in parameters.items():
            parameter.decay = name in decayed
    for name in frozen:
        parameters[name].frozen = True
    for name, factor in lr_factors.items():
        parameters[name].lr_factor = number(factor, f"lr_factor of {name}", minimum=0)


def _machines(description: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what a checkpoint was written under, and what it would continue under."""
    saved_on = dict(description["machine"])
    saved_on.setdefault("matmul_precision", "highest")  # absent from files of older versions
    return saved_on, _described_machine(description["trainer"].get("matmul_precision"))


def _described_machine(precision: str | None) -> dict[str, str]:
    """Return what determines the last bits of a trainer's steps, with its own precision if it has one."""
    return selection.describe() | ({} if precision is None else {"matmul_precision": precision})


def _machine(described: dict[str, str]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in described.items())
