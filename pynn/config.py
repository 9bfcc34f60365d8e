"""Objects that can be written to a file as a class name and arguments, and made again from them.

Only classes from a given list are ever made: a file names them, it cannot bring code of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np


class Changes:
    """Counts assignments to attributes of layers and losses, for what must notice that one has been changed."""

    count = 0


changes = Changes()


class Configurable:
    """Base of everything that a saved model or checkpoint must describe: layers, losses, optimisers and so on."""

    def config(self) -> dict[str, Any]:
        """Return the arguments that make this object again, as JSON can hold them.

        By default these are the attributes named like the arguments.
        """
        config = {}
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name == "dtype":
                continue
            if parameter.kind is parameter.VAR_POSITIONAL or not hasattr(self, name):
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


def describe(thing: Any) -> Any:
    """Return `thing` as JSON can hold it: a `Configurable` becomes its class name and arguments, at any depth."""
    if isinstance(thing, Configurable):
        arguments = {name: describe(value) for name, value in thing.config().items()}
        return {"class": type(thing).__name__, "config": arguments}
    if isinstance(thing, list | tuple):
        return [describe(item) for item in thing]
    if isinstance(thing, np.generic):
        return thing.item()
    return thing


def make(description: Any, known: Iterable[type[Configurable]], **extra: Any) -> Any:
    """Return what `describe` described, every class being one of `known`.

    `extra` arguments (such as a dtype) go to every class that takes them.
    """
    classes = {candidate.__name__: candidate for candidate in known}

    def build(item: Any) -> Any:
        if isinstance(item, list):
            return [build(inner) for inner in item]
        if not (isinstance(item, dict) and item.keys() == {"class", "config"}):
            return item
        name = item["class"]
        if name not in classes:
            raise ValueError(f"unknown class {name!r}; if it is yours, pass it in custom=[{name}]")
        arguments = {key: build(value) for key, value in item["config"].items()}
        accepted = inspect.signature(classes[name]).parameters
        return classes[name].from_config(arguments | {k: v for k, v in extra.items() if k in accepted})

    return build(description)
