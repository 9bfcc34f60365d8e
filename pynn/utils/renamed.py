"""Names of earlier versions. Each still works, with a DeprecationWarning that says the new one."""

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: Former name of a module -> its name today. What lies in a package follows it.
MODULES = {
    "pynn.arguments": "pynn.utils.validation",
    "pynn.babysit.rules": "pynn.babysit.monitor.rules",
    "pynn.babysit.snapshots": "pynn.babysit.monitor.snapshots",
    "pynn.babysit.stats": "pynn.babysit.monitor.stats",
    "pynn.babysit.watch": "pynn.babysit.monitor.recorder",
    "pynn.backend": "pynn.backends.selection",
    "pynn.callbacks": "pynn.training.callbacks",
    "pynn.config": "pynn.utils.config",
    "pynn.context": "pynn.nn.context",
    "pynn.files": "pynn.utils.files",
    "pynn.history": "pynn.training.history",
    "pynn.layers": "pynn.nn.layers",
    "pynn.layers.normalisation": "pynn.nn.layers.groupnorm",
    "pynn.layers.shaping": "pynn.nn.layers.dropout",
    "pynn.losses": "pynn.nn.losses",
    "pynn.model": "pynn.nn.sequential",
    "pynn.parameters": "pynn.nn.parameters",
    "pynn.random": "pynn.nn.random",
    "pynn.regularizers": "pynn.optim.regularizers",
    "pynn.schedules": "pynn.optim.schedules",
    "pynn.summary": "pynn.nn.summary",
    "pynn.trainer": "pynn.training.trainer",
}


def module_name(old: str) -> str | None:
    """Return today's name of a module that once was `old`, or None if `old` never was a module's name."""
    if old in MODULES:
        return MODULES[old]
    package, _, name = old.rpartition(".")
    return f"{MODULES[package]}.{name}" if package in MODULES else None


class _Finder:
    """Finds a module by its former name.

    No subclass of `importlib.abc.Loader`, because `importlib.abc` loads 20 modules, in 10 ms.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if module_name(name) else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        new = module_name(module.__name__)
        assert new is not None
        _warn(module.__name__, new)
        sys.modules[module.__name__] = import_module(new)


def install() -> None:
    """Let `import` find modules by their former names."""
    # Before the finder of files, which would run pynn/nn/layers/linear.py again as pynn.layers.linear.
    sys.meta_path.insert(0, _Finder())


def attributes(module: str, names: dict[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that finds functions and classes by their former names."""

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name}", f"{module}.{names[name]}")
        return getattr(sys.modules[module], names[name])

    return find


def method(old: str, new: str) -> Callable[..., Any]:
    """Return the method `new` of a class under its former name."""

    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        _warn(f"{type(self).__name__}.{old}", f"{type(self).__name__}.{new}")
        return getattr(self, new)(*arguments, **options)

    call.__name__ = old
    call.__doc__ = f"Do the same as `{new}`, which is its name today."
    return call


def attribute(old: str, new: str) -> property:
    """Return the attribute `new` of a class under its former name, to be read."""

    def read(self: Any) -> Any:
        _warn(f"{type(self).__name__}.{old}", f"{type(self).__name__}.{new}")
        return getattr(self, new)

    return property(read, doc=f"`{new}`, which is its name today.")


def _warn(old: str, new: str) -> None:
    """Warn whoever used the name: two calls up, frames of `import` not counted."""
    warnings.warn(f"{old} is now {new}; the old name will go in version 0.3", DeprecationWarning, stacklevel=3)
