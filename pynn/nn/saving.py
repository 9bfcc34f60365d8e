"""Saving of models to files, with a check that the file can rebuild the model."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import preprocessing
from ..datasets.tables.schema import check_schema
from ..utils.config import Configurable, describe, make, objects_in
from ..utils.files import save_tensors
from ..utils.validation import class_names
from . import layers
from .rebuilding import rebuilt_from
from .state import arrays_of

if TYPE_CHECKING:
    from .parameters import FlatParameters

#: Layers that files may name, besides `Sequential`.
LAYERS = tuple(getattr(layers, name) for name in layers.__all__ if name != "Layer")

#: A model's attributes that preprocess its data, each None or a transformer.
TRANSFORMERS = ("preprocessing", "target_preprocessing")


class Savable(Protocol):
    """The part of a model that is written to a file."""

    class_names: list[Any] | None
    input_schema: Any
    output_kind: Any

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""

    @property
    def flat(self) -> FlatParameters:
        """The parameters."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all arrays by name."""


def save_model(model: Savable, path: str | Path, known: Iterable[type]) -> None:
    """Write a model to a file; it may contain pynn's layers and user-defined ones. See `Sequential.save`."""
    check_rebuildable(model, model.dtype, tuple(known))
    with model.flat.gate.between_steps():
        tensors, description = pack_model(model)
    save_tensors(path, "model", tensors, description)


def pack_model(model: Savable) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a model's arrays by name, and the rest of its description in the file."""
    tensors = {f"model.{name}": array for name, array in model.state_dict().items()}
    description: dict[str, Any] = {
        "architecture": describe(model),
        "dtype": model.dtype.name,
        "class_names": class_names(model.class_names),
        "input_schema": checked_schema(model.input_schema),
        "output_kind": model.output_kind,
    }
    for part in TRANSFORMERS:
        transformer = getattr(model, part)
        description[part], arrays = (None, {}) if transformer is None else preprocessing.to_state(transformer)
        tensors |= {f"{part}.{name}": array for name, array in arrays.items()}
    return tensors, description


def checked_schema(schema: Any) -> Any:
    """Return `schema` unchanged, or raise ValueError unless it is a valid schema of input columns."""
    if schema is not None:
        check_schema(schema)
    return schema


def check_rebuildable(thing: Any, dtype: np.dtype, files_know: tuple[type, ...]) -> None:
    """Raise TypeError unless a model, or a list of parts, can be rebuilt from its description in a file.

    The check rebuilds it. A constructor may reject a value that was assigned to an attribute later; a user-defined
    class may take other arguments than it stores, or create parts that it does not describe.
    """
    described = list(objects_in(thing))
    classes = {type(part): None for part in described}.keys() - set(files_know)
    names = [known.__name__ for known in (*files_know, *classes)]
    for own in classes:
        if names.count(own.__name__) > 1:
            raise TypeError(f"{own.__name__} cannot be saved: another class has the same name; rename yours")
    known = {id(part) for part in described}
    for part in thing if isinstance(thing, list) else [thing]:
        description = json.loads(json.dumps(describe(part)))
        try:
            with rebuilt_from(_numbers(part)):
                again = make(description, (*files_know, *classes), dtype=dtype)
        except Exception as error:  # a constructor may raise anything
            if isinstance(error, MemoryError):
                raise
            raise TypeError(
                f"{_kind(part)} cannot be saved, because it cannot be rebuilt from config(): {error}; make config() "
                "return the arguments of __init__, or define from_config()"
            ) from error
        _compare(part, again, known)


def _numbers(part: Any) -> int:
    """Return the number of array elements that a file would contain for an object."""
    return sum(array.size for array in arrays_of(part).values()) if isinstance(part, layers.Layer) else 0


def _compare(part: Any, again: Any, known: set[int]) -> None:
    """Raise TypeError if a model rebuilt from its description differs from the original.

    Layers described in the file need no comparison. Layers that a class creates itself are not described and must be
    equal.
    """
    if not isinstance(part, layers.Layer):
        return
    shapes = [{name: array.shape for name, array in arrays_of(layer).items()} for layer in (part, again)]
    pairs = list(itertools.zip_longest(part.all_layers(), again.all_layers()))
    changed = [old for old, new in pairs if type(old) is not type(new) or (id(old) not in known and _differ(old, new))]
    if shapes[0] != shapes[1] or changed:
        inner = f"; its {_kind(changed[0])} may have been changed after construction" if changed else ""
        raise TypeError(
            f"{_kind(part)} cannot be saved, because the object rebuilt from config() differs from it{inner}. Make "
            "config() return, and __init__ take, everything that defines it"
        )


def _differ(left: Configurable, right: Configurable) -> bool:
    try:
        return json.dumps(describe(left)) != json.dumps(describe(right))
    except TypeError:  # a layer without a description, created by another layer
        return False


def _kind(thing: Any) -> str:
    return repr(thing) if thing is None else type(thing).__name__
