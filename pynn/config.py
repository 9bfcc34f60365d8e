"""Objects that can be written to a file as a class name and arguments, and made again from them.

Only classes from a given list are ever made: a file names them, it cannot bring code of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np


class Changes:
    """Counts assignments to attributes of layers and losses, for what must notice that one has been changed."""

    count = 0


changes = Changes()


#: How deep layers may lie within each other in a file: deeper ones would meet Python's limit half-way.
DEEPEST = 64


class _UnsavableError(Exception):
    """What JSON cannot hold; says of what kind it is."""


class Configurable:
    """Base of everything that a saved model or checkpoint must describe: layers, losses, optimisers and so on."""

    def config(self) -> dict[str, Any]:
        """Return the arguments that make this object again, as JSON can hold them.

        By default these are the attributes named like the arguments.
        """
        config = {}
        for name, parameter in parameters_of(type(self)).items():
            if name == "dtype":
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not hasattr(self, name):
                raise TypeError(
                    f"{type(self).__name__} cannot be saved: keep the argument {name!r} as an attribute, "
                    "or define config() to return the arguments that make it again"
                )
            config[name] = getattr(self, name)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Configurable:
        """Return the object that `config` describes."""
        return cls(**config)

    def __repr__(self) -> str:
        try:
            config = self.config()
        except TypeError:
            return f"{type(self).__name__}(...)"
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in config.items())})"


# inspect takes 20 us for a class, and a file may name thousands of layers.
_parameters: WeakKeyDictionary[type, Mapping[str, inspect.Parameter]] = WeakKeyDictionary()


def parameters_of(kind: type) -> Mapping[str, inspect.Parameter]:
    """Return the parameters that a class is made with, by name."""
    found = _parameters.get(kind)
    if found is None:
        found = _parameters[kind] = inspect.signature(kind).parameters
    return found


def describe(thing: Any, depth: int = 0) -> Any:
    """Return `thing` as JSON can hold it: a `Configurable` becomes its class name and arguments, at any depth.

    Raises
    ------
    TypeError
        If an argument is something that JSON does not have, or would give back as something else.
    """
    if not isinstance(thing, Configurable):
        return _plain(thing, depth)
    kind = type(thing).__name__
    if depth > 2 * DEEPEST:  # a layer, and the list that it is in
        raise TypeError(f"{kind} cannot be saved: it lies within more than {DEEPEST} others")
    arguments = {}
    for name, value in thing.config().items():
        try:
            arguments[name] = describe(value, depth + 1)
        except _UnsavableError as error:
            raise TypeError(
                f"{kind} cannot be saved: {name} holds {error}; expected numbers, text, lists and dictionaries of "
                "them. Define config() to return such, and __init__ to take them"
            ) from None
    return {"class": kind, "config": arguments}


def _plain(thing: Any, depth: int) -> Any:
    if isinstance(thing, list | tuple):
        return [describe(item, depth + 1) for item in thing]
    if isinstance(thing, dict):
        odd = [key for key in thing if not isinstance(key, str)]
        if odd:
            raise _UnsavableError(f"a dictionary with the key {odd[0]!r}, which would come back as text")
        if thing.keys() == {"class", "config"}:
            raise _UnsavableError("a dictionary of class and config, which would come back as an object")
        return {key: describe(value, depth + 1) for key, value in thing.items()}
    if isinstance(thing, np.generic):
        thing = thing.item()
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    raise _UnsavableError(f"a {type(thing).__name__}")


def objects_in(thing: Any) -> Iterator[Configurable]:
    """Yield the objects that `describe` describes, each before what it contains."""
    if isinstance(thing, Configurable):
        yield thing
        thing = thing.config()
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list | tuple):
        for item in thing:
            yield from objects_in(item)


def make(description: Any, known: Iterable[type[Configurable]], **extra: Any) -> Any:
    """Return what `describe` described, every class being one of `known`.

    `extra` arguments (such as a dtype) go to every class that takes them.
    """
    classes = {candidate.__name__: candidate for candidate in known}

    def build(item: Any, depth: int) -> Any:
        if isinstance(item, list):
            return [build(inner, depth + 1) for inner in item]
        if not isinstance(item, dict):
            return item
        if item.keys() != {"class", "config"}:
            return {key: build(value, depth + 1) for key, value in item.items()}
        name, config = item["class"], item["config"]
        if not isinstance(name, str) or name not in classes:
            raise ValueError(f"unknown class {name!r}; if it is yours, pass it in custom=[{name}]")
        if not isinstance(config, dict):
            raise ValueError(f"the arguments of {name} are not a dictionary")
        if depth > 2 * DEEPEST:
            raise ValueError(f"{name} lies within more than {DEEPEST} others")
        arguments = {key: build(value, depth + 1) for key, value in config.items()}
        accepted = parameters_of(classes[name])
        return classes[name].from_config(arguments | {k: v for k, v in extra.items() if k in accepted})

    return build(description, 0)
