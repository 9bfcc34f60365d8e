"""Objects that keep their constructor's arguments: they can be checked on assignment, printed, stored and rebuilt.

A file stores an object as a class name and arguments. Only classes from a given list are instantiated: a file names
them and cannot contain code.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

#: Maximum nesting of layers in a file; deeper nesting could exceed Python's recursion limit.
DEEPEST = 64


class _UnsavableError(Exception):
    """A value that JSON cannot represent; the message describes it."""


class Configurable:
    """Base class of objects that keep their constructor's arguments as attributes: layers, losses, callbacks and so on.

    An argument that is assigned later is checked as by the constructor.
    """

    def config(self) -> dict[str, Any]:
        """Return the arguments that rebuild this object, in JSON-serialisable form.

        By default these are the attributes with the names of the arguments.
        """
        config = {}
        for name, parameter in parameters_of(type(self)).items():
            if name == "dtype":
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not hasattr(self, name):
                raise TypeError(
                    f"{type(self).__name__} cannot be saved: store the argument {name!r} as an attribute, "
                    "or define config() to return the arguments that rebuild it"
                )
            config[name] = getattr(self, name)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Configurable:
        """Return the object that `config` describes."""
        return cls(**config)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ and name in parameters_of(type(self)) and _constructed_by_pynn(type(self)):
            value = self.checked_setting(name, value)
        object.__setattr__(self, name, value)

    def checked_setting(self, name: str, value: Any) -> Any:
        """Return a setting's new value as the constructor stores it; raise the constructor's error if it refuses it."""
        try:
            config = self.config()
        except TypeError:  # it holds a function
            return value
        return self.setting_of(self.from_config(config | {name: value}), name)

    def setting_of(self, made: Any, name: str) -> Any:
        """Return a setting of `made`, which differs from this object in nothing else; raise ValueError if unfit."""
        return getattr(made, name)

    def __repr__(self) -> str:
        try:
            config = self.config()
        except TypeError:
            return f"{type(self).__name__}(...)"
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in config.items())})"


# Cached because inspect takes 20 us per class, and a file may name thousands of layers.
_parameters: WeakKeyDictionary[type, Mapping[str, inspect.Parameter]] = WeakKeyDictionary()


def parameters_of(kind: type) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class's constructor by name."""
    found = _parameters.get(kind)
    if found is None:
        found = _parameters[kind] = inspect.signature(kind).parameters
    return found


def _constructed_by_pynn(kind: type) -> bool:
    """Return whether a class's constructor is one of pynn's; a user's may do anything."""
    return getattr(kind.__init__, "__module__", "").startswith("pynn.")  # type: ignore[misc]


def describe(thing: Any, depth: int = 0) -> Any:
    """Return `thing` in JSON-serialisable form: a `Configurable` becomes its class name and arguments, at any depth.

    Raises
    ------
    TypeError
        If JSON cannot represent an argument, or would not restore it unchanged.
    """
    if not isinstance(thing, Configurable):
        return _plain(thing, depth)
    kind = type(thing).__name__
    if depth > 2 * DEEPEST:  # each level is a layer and the list that contains it
        raise TypeError(f"{kind} cannot be saved: it is nested more than {DEEPEST} levels deep")
    arguments = {}
    for name, value in thing.config().items():
        try:
            arguments[name] = describe(value, depth + 1)
        except _UnsavableError as error:
            raise TypeError(
                f"{kind} cannot be saved: {name} holds {error}; expected numbers, text, lists and dictionaries of "
                "them. Define config() to return these, and __init__ to accept them"
            ) from None
    return {"class": kind, "config": arguments}


def _plain(thing: Any, depth: int) -> Any:
    if isinstance(thing, list | tuple):
        return [describe(item, depth + 1) for item in thing]
    if isinstance(thing, dict):
        odd = [key for key in thing if not isinstance(key, str)]
        if odd:
            raise _UnsavableError(f"a dictionary with the key {odd[0]!r}, which would be restored as text")
        if thing.keys() == {"class", "config"}:
            raise _UnsavableError("a dictionary of class and config, which would be restored as an object")
        return {key: describe(value, depth + 1) for key, value in thing.items()}
    if isinstance(thing, np.generic):
        thing = thing.item()
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    raise _UnsavableError(f"a {type(thing).__name__}")


def objects_in(thing: Any) -> Iterator[Configurable]:
    """Yield the objects that `describe` describes, each before its contents."""
    if isinstance(thing, Configurable):
        yield thing
        thing = thing.config()
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, list | tuple):
        for item in thing:
            yield from objects_in(item)


def make(description: Any, known: Iterable[type[Configurable]], **extra: Any) -> Any:
    """Rebuild what `describe` described; every class must be in `known`.

    `extra` arguments (such as a dtype) are passed to every class that takes them.
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
            raise ValueError(f"{name} is nested more than {DEEPEST} levels deep")
        arguments = {key: build(value, depth + 1) for key, value in config.items()}
        accepted = parameters_of(classes[name])
        return classes[name].from_config(arguments | {k: v for k, v in extra.items() if k in accepted})

    return build(description, 0)


def is_own(thing: object) -> bool:
    """Return whether an object's class is the user's own, not one of pynn's.

    Examples
    --------
    >>> import pynn
    >>> is_own(pynn.Sequential()), is_own(type("Mine", (pynn.ReLU,), {"__module__": "mine"})())
    (False, True)
    """
    return not type(thing).__module__.startswith("pynn.")
