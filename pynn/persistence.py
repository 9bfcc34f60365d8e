"""Models and training checkpoints as files."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backend, layers, losses, optim, preprocessing, regularizers, schedules
from .arguments import choice, class_names, number
from .config import Configurable, describe, make, objects_in
from .datasets.columns import check_schema
from .files import FileFormatError, load_tensors, packed_tensors, save_tensors
from .model import Sequential
from .progress_state import checked_progress
from .rebuilding import rebuilt_from
from .state import arrays_of, write_arrays

if TYPE_CHECKING:
    from .trainer import Trainer

#: Classes that are no use by themselves, or that no file can hold.
BASES = (
    *(layers.Layer, losses.Loss, losses.ClassLoss, losses.FunctionLoss),
    *(optim.Optimizer, schedules.Schedule, regularizers.Regularizer),
)
KNOWN_LAYERS = (Sequential, *(getattr(layers, name) for name in layers.__all__ if name != "Layer"))
KNOWN_PARTS = tuple(
    value
    for module in (losses, optim, schedules, regularizers)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, Configurable) and value.__module__ == module.__name__
    if value not in BASES
)
KNOWN = (*KNOWN_LAYERS, *KNOWN_PARTS)

#: What of a model prepares its data, each None or a transformer.
_TRANSFORMERS = ("preprocessing", "target_preprocessing")


def save_model(model: Sequential, path: str | Path) -> None:
    """Write a model to a file; see `Sequential.save`."""
    check_rebuildable(model, model.dtype)
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
    known = (*KNOWN_LAYERS, *_classes(custom))
    tensors, description = load_tensors(path, "model")
    return _understood(path, lambda: _unpack_model(tensors, description, known))


def packed_checkpoint(trainer: Trainer) -> bytes:
    """Return everything a trainer needs to go on, as `Trainer.save` writes it."""
    parts = [trainer.optimizer, trainer.schedule, trainer.regularizers]
    loss = None if isinstance(trainer.loss, losses.FunctionLoss) else trainer.loss
    check_rebuildable([trainer.model, loss, *parts], trainer.model.dtype)
    tensors, model = _pack_model(trainer.model)
    tensors |= {f"optimizer.{name}": array for name, array in trainer.optimizer.state.items()}
    optimizer, schedule, penalties = (describe(part) for part in parts)
    description = {
        "model": model,
        "frozen": [name for name, p in trainer.model.named_parameters() if p.frozen],
        "lr_factors": {name: p.lr_factor for name, p in trainer.model.named_parameters() if p.lr_factor != 1},
        "loss": None if loss is None else describe(loss),
        "optimizer": optimizer,
        "schedule": schedule,
        "regularizers": penalties,
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
    classes = _classes(custom)
    tensors, description = load_tensors(path, "checkpoint")
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
        model = _unpack_model(tensors, description["model"], (*KNOWN_LAYERS, *classes))
        known = (*KNOWN_PARTS, *classes)
        trainer = trainer_class(
            model,
            loss if loss is not None else make(description["loss"], known),
            make(description["optimizer"], known),
            schedule=make(description["schedule"], known),
            regularizers=make(description["regularizers"], known),
        )
        _restore_settings(model, description["frozen"], description["lr_factors"])
        write_arrays(trainer.optimizer.state, _with_prefix(tensors, "optimizer."))
        trainer.load_progress_state(checked_progress(description["trainer"]))
        return trainer

    return _understood(path, rebuild)


def _restore_settings(model: Sequential, frozen: Any, lr_factors: Any) -> None:
    parameters = dict(model.named_parameters())
    if not isinstance(frozen, list) or not isinstance(lr_factors, dict):
        raise ValueError("which parameters are frozen, or have a rate of their own, is not told as a list")
    for name in frozen:
        parameters[name].frozen = True
    for name, factor in lr_factors.items():
        parameters[name].lr_factor = number(factor, f"lr_factor of {name}", least=0)


def _pack_model(model: Sequential) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    tensors = {f"model.{name}": array for name, array in model.state_dict().items()}
    description: dict[str, Any] = {
        "architecture": describe(model),
        "dtype": model.dtype.name,
        "class_names": class_names(model.class_names),
        "input_schema": _checked_schema(model.input_schema),
        "output_kind": model.output_kind,
    }
    for part in _TRANSFORMERS:
        transformer = getattr(model, part)
        description[part], arrays = (None, {}) if transformer is None else preprocessing.to_state(transformer)
        tensors |= {f"{part}.{name}": array for name, array in arrays.items()}
    return tensors, description


def _unpack_model(tensors: dict[str, np.ndarray], description: Any, known: Iterable[type]) -> Sequential:
    state = _with_prefix(tensors, "model.")
    dtype = choice(description["dtype"], "dtype", ("float32", "float64"))
    with rebuilt_from(sum(array.size for array in state.values())):
        model = make(description["architecture"], known, dtype=np.dtype(dtype))
    if not isinstance(model, Sequential):
        raise TypeError("the architecture is not a Sequential")
    if any(array.dtype != dtype for array in arrays_of(model).values()):
        model.astype(dtype)  # a layer that takes no dtype
    model.load_state_dict(state)
    model.class_names = description["class_names"]
    model.input_schema = _checked_schema(description["input_schema"])
    model.output_kind = description["output_kind"]
    for part in _TRANSFORMERS:
        if description.get(part) is not None:
            arrays = _with_prefix(tensors, f"{part}.")
            setattr(model, part, preprocessing.from_state(description[part], arrays))
    return model


def check_rebuildable(thing: Any, dtype: np.dtype) -> None:
    """Raise TypeError unless what a file would say of a model, or of a list of parts, makes it again.

    That is tried. Constructors may refuse what an attribute was set to later, and classes that are not pynn's may take
    other arguments than they keep, or make more than they say.
    """
    described = list(objects_in(thing))
    classes = {type(part): None for part in described}.keys() - set(KNOWN)
    names = [known.__name__ for known in (*KNOWN, *classes)]
    for own in classes:
        if names.count(own.__name__) > 1:
            raise TypeError(f"{own.__name__} cannot be saved: there is another class of this name; rename yours")
    told = {id(part) for part in described}
    for part in thing if isinstance(thing, list) else [thing]:
        description = json.loads(json.dumps(describe(part)))
        try:
            with rebuilt_from(_numbers(part)):
                again = make(description, (*KNOWN, *classes), dtype=dtype)
        except Exception as error:  # whatever a constructor may come up with
            if isinstance(error, MemoryError):
                raise
            raise TypeError(
                f"{_kind(part)} cannot be saved, as it cannot be made again from config(): {error}; let config() "
                "return what __init__ takes, or define from_config()"
            ) from error
        _compare(part, again, told)


def _numbers(part: Any) -> int:
    """Return how many numbers a file would hold of an object."""
    return sum(array.size for array in arrays_of(part).values()) if isinstance(part, layers.Layer) else 0


def _compare(part: Any, again: Any, told: set[int]) -> None:
    """Raise TypeError if a model that was made again from its description is another one.

    What a file says of a layer holds for it. It says nothing of those that a class makes by itself: they must be equal.
    """
    if not isinstance(part, layers.Layer):
        return
    shapes = [{name: array.shape for name, array in arrays_of(layer).items()} for layer in (part, again)]
    pairs = list(itertools.zip_longest(part.all_layers(), again.all_layers()))
    changed = [old for old, new in pairs if type(old) is not type(new) or (id(old) not in told and _differ(old, new))]
    if shapes[0] != shapes[1] or changed:
        inner = f"; its {_kind(changed[0])} was perhaps changed after it was made" if changed else ""
        raise TypeError(
            f"{_kind(part)} cannot be saved, as what is made again from config() is another one{inner}. Let config() "
            "return, and __init__ take, all that makes it what it is"
        )


def _differ(left: Configurable, right: Configurable) -> bool:
    try:
        return json.dumps(describe(left)) != json.dumps(describe(right))
    except TypeError:  # one that cannot be described, within one that makes it
        return False


def _kind(thing: Any) -> str:
    return repr(thing) if thing is None else type(thing).__name__


def _classes(custom: Iterable[type]) -> tuple[type, ...]:
    """Return the classes that a user gives, or raise TypeError."""
    if isinstance(custom, type) or not isinstance(custom, Iterable):
        raise TypeError(f"custom is {custom!r}; expected a list of classes, such as custom=[MyLayer]")
    classes = tuple(custom)
    for own in classes:
        if not (isinstance(own, type) and issubclass(own, Configurable)):
            raise TypeError(f"custom holds {own!r}; expected classes of layers, losses, optimisers or schedules")
    return classes


def _checked_schema(schema: Any) -> Any:
    if schema is not None:
        check_schema(schema)
    return schema


def _understood(path: str | Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        told = str(error) if len(str(error)) <= 500 else f"{str(error)[:500]}..."
        raise FileFormatError(f"{path} does not describe something that can be rebuilt: {told}") from error


def _with_prefix(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _machine(described: dict[str, str]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in described.items())
