"""Models and training checkpoints as files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backend, layers, losses, optim, preprocessing, regularizers, schedules
from .config import describe, make
from .files import FileFormatError, load_tensors, packed_tensors, save_tensors
from .model import Sequential
from .random import unobserved

if TYPE_CHECKING:
    from .trainer import Trainer

KNOWN_LAYERS = (Sequential, *(getattr(layers, name) for name in layers.__all__))
KNOWN_PARTS = tuple(
    value
    for module in (losses, optim, schedules, regularizers)
    for value in vars(module).values()
    if isinstance(value, type) and value.__module__ == module.__name__
)


def save_model(model: Sequential, path: str | Path) -> None:
    """Write a model to a file; see `Sequential.save`."""
    with model.flat.gate.between_steps():
        tensors, description = _pack_model(model)
    save_tensors(path, "model", tensors, description)


def load(path: str | Path, *, custom: Iterable[type] = ()) -> Sequential:
    """Return the model that `Sequential.save` wrote, in inference mode.

    Nothing from the file is executed: it names pynn's classes, or those of yours given in `custom`.

    Parameters
    ----------
    path : path-like
    custom : iterable of classes
        Your own layers that the model contains.

    Raises
    ------
    FileFormatError
        If the file is not a pynn model, was cut short or altered.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(2, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "m.safetensors"))
    ...     again = pynn.load(os.path.join(folder, "m.safetensors"))
    >>> bool((again[0].weight[...] == model[0].weight[...]).all())
    True
    """
    tensors, description = load_tensors(path, "model")
    return _understood(path, lambda: _unpack_model(tensors, description, custom))


def packed_checkpoint(trainer: Trainer) -> bytes:
    """Return everything a trainer needs to go on, as `Trainer.save` writes it."""
    tensors, model = _pack_model(trainer.model)
    tensors |= {f"optimizer.{name}": array for name, array in trainer.optimizer.state.items()}
    description = {
        "model": model,
        "frozen": [name for name, p in trainer.model.named_parameters() if p.frozen],
        "lr_factors": {name: p.lr_factor for name, p in trainer.model.named_parameters() if p.lr_factor != 1},
        "loss": None if isinstance(trainer.loss, losses.FunctionLoss) else describe(trainer.loss),
        "optimizer": describe(trainer.optimizer),
        "schedule": describe(trainer.schedule),
        "regularizers": describe(trainer.regularizers),
        "trainer": trainer.progress_state(),
        "machine": backend.describe(),
    }
    return packed_tensors("checkpoint", tensors, description)


def load_checkpoint(
    trainer_class: type[Trainer],
    path: str | Path,
    *,
    loss: losses.Loss | Callable[..., Any] | None,
    custom: Iterable[type],
) -> Trainer:
    """Return the trainer that `Trainer.save` wrote; see `Trainer.resume`."""
    tensors, description = load_tensors(path, "checkpoint")
    custom = tuple(custom)
    saved_on, needs_loss = _understood(path, lambda: (dict(description["machine"]), description["loss"] is None))
    if saved_on != backend.describe():
        warnings.warn(
            f"{path} was written under {_machine(saved_on)} and goes on under {_machine(backend.describe())}: "
            "results will agree to rounding, not bit for bit",
            RuntimeWarning,
            stacklevel=3,
        )
    if loss is None and needs_loss:
        raise ValueError(f"{path} was trained with a loss function that a file cannot hold; give it again as loss=")

    def rebuild() -> Trainer:
        model = _unpack_model(tensors, description["model"], custom)
        known = (*KNOWN_PARTS, *custom)
        trainer = trainer_class(
            model,
            loss if loss is not None else make(description["loss"], known),
            make(description["optimizer"], known),
            schedule=make(description["schedule"], known),
            regularizers=make(description["regularizers"], known),
        )
        for name, parameter in model.named_parameters():
            parameter.frozen = name in description["frozen"]
            parameter.lr_factor = description["lr_factors"].get(name, 1.0)
        for name, array in trainer.optimizer.state.items():
            array[...] = tensors[f"optimizer.{name}"]
        trainer.load_progress_state(description["trainer"])
        return trainer

    return _understood(path, rebuild)


def _pack_model(model: Sequential) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    tensors = {f"model.{name}": array for name, array in model.state_dict().items()}
    description: dict[str, Any] = {
        "architecture": describe(model),
        "dtype": model.dtype.name,
        "class_names": model.class_names,
        "input_schema": model.input_schema,
        "output_kind": model.output_kind,
        "preprocessing": None,
    }
    if model.preprocessing is not None:
        description["preprocessing"], arrays = preprocessing.to_state(model.preprocessing)
        tensors |= {f"preprocessing.{name}": array for name, array in arrays.items()}
    return tensors, description


def _unpack_model(tensors: dict[str, np.ndarray], description: Any, custom: Iterable[type]) -> Sequential:
    with unobserved():  # what is drawn here is overwritten below
        model = make(description["architecture"], (*KNOWN_LAYERS, *custom), dtype=np.dtype(description["dtype"]))
    if not isinstance(model, Sequential):
        raise TypeError("the architecture is not a Sequential")
    model.load_state_dict(_with_prefix(tensors, "model."))
    model.class_names = description["class_names"]
    model.input_schema = description["input_schema"]
    model.output_kind = description["output_kind"]
    if description["preprocessing"] is not None:
        arrays = _with_prefix(tensors, "preprocessing.")
        model.preprocessing = preprocessing.from_state(description["preprocessing"], arrays)
    return model


def _understood(path: str | Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise FileFormatError(f"{path} does not describe something that can be rebuilt: {error}") from error


def _with_prefix(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _machine(described: dict[str, str]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in described.items())
