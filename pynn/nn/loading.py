"""Loading of models from files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .. import preprocessing
from ..utils.config import Configurable, make
from ..utils.files import FileFormatError, load_tensors
from ..utils.validation import choice, several, shortened
from .rebuilding import rebuilt_from
from .saving import TRANSFORMERS, checked_schema
from .sequential import KNOWN_LAYERS, Sequential
from .state import StateDict, arrays_of


def load(path: str | Path, *, custom: Iterable[type] = ()) -> Sequential:
    """Return the model that `Sequential.save` wrote, in inference mode.

    Nothing from the file is executed: it can name only pynn's classes and those passed in `custom`.

    Parameters
    ----------
    path : path-like
    custom : iterable of classes
        Your own layer classes used in the model.

    Raises
    ------
    FileFormatError
        If the file is not a pynn model, or is truncated or altered.

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
    known = (*KNOWN_LAYERS, *own_classes(custom))
    tensors, description = load_tensors(path, "model")
    return understood(path, lambda: unpack_model(tensors, description, known))


def unpack_model(tensors: dict[str, np.ndarray], description: Any, known: Iterable[type]) -> Sequential:
    """Return the model that `pack_model` described."""
    state = with_prefix(tensors, "model.")
    dtype = choice(description["dtype"], "dtype", ("float32", "float64"))
    with rebuilt_from(sum(array.size for array in state.values())):
        model = make(description["architecture"], known, dtype=np.dtype(dtype))
    if not isinstance(model, Sequential):
        raise TypeError("the architecture is not a Sequential")
    if any(array.dtype != dtype for array in arrays_of(model).values()):
        model.astype(dtype)  # some layers take no dtype argument
    model.load_state_dict(StateDict(state))
    model.class_names = description["class_names"]
    model.input_schema = checked_schema(description["input_schema"])
    model.output_kind = description["output_kind"]
    for part in TRANSFORMERS:
        if description.get(part) is not None:
            arrays = with_prefix(tensors, f"{part}.")
            setattr(model, part, preprocessing.from_state(description[part], arrays))
    return model


def own_classes(custom: Iterable[type]) -> tuple[type, ...]:
    """Return the user's classes, or raise TypeError."""
    classes = several(custom, "custom")
    for own in classes:
        if not (isinstance(own, type) and issubclass(own, Configurable)):
            raise TypeError(f"custom contains {own!r}; expected classes of layers, losses, optimisers or schedules")
    return classes


def understood(path: str | Path, read: Callable[[], Any]) -> Any:
    """Return the result of `read`, or raise FileFormatError if the file's content is invalid."""
    try:
        return read()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise FileFormatError(f"{path} cannot be rebuilt from its description: {shortened(error, 500)}") from error


def with_prefix(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the tensors whose names start with `prefix`, with it stripped."""
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
