"""Which backend "auto" takes for an op of a given size.

Compiled kernels serve all ops unless a table says that another backend measured faster on this machine. The table that
is shipped is empty: on the machines measured so far, single rows of the benchmark were up to a tenth faster elsewhere,
and on each machine they were others. `pynn tune` measures this one and stores a table of its own.
"""

from __future__ import annotations

import bisect
import json
import math
import os
import platform
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from .files import check_target, write_atomically

#: For each kernel function, such as "matmul.matmul": sizes from which on a backend serves, ascending, with its name.
Table = dict[str, list[tuple[float, str]]]

DEFAULT: Table = {}


def _product_size(arguments: tuple[Any, ...]) -> float:
    """Return the number of multiply-adds of `matmul`'s arguments."""
    a, trans_a, out = arguments[0], arguments[2], arguments[7]
    return out.size * a.shape[0 if trans_a else 1]


def _first_size(arguments: tuple[Any, ...]) -> float:
    return arguments[0].size


#: How large the work of a kernel function is, given its arguments; these functions can be in a table.
SIZE_OF: dict[str, Callable[[tuple[Any, ...]], float]] = {
    "matmul.matmul": _product_size,
    "activations.activate": _first_size,
    "activations.activate_backward": _first_size,
    "batchnorm.batchnorm_forward": _first_size,
    "batchnorm.batchnorm_backward": _first_size,
    "losses.softmax_cross_entropy": _first_size,
    "optim.sgd": _first_size,
    "optim.adam": _first_size,
}


def path() -> Path:
    """Return where the personal table lies: in ``PYNN_TUNING``, or the user's configuration folder."""
    if named := os.environ.get("PYNN_TUNING"):
        return Path(named)
    if sys.platform == "win32":
        folder = os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming"
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "pynn" / "tuning.json"


def machine(instruction_set: str | None) -> str:
    """Return what a table is valid for."""
    return f"{platform.node()} {platform.machine()} {instruction_set}"


def target() -> Path:
    """Return `path`, whose folder is there then; raise OSError if no file can be written there."""
    try:
        file = path()
    except RuntimeError as error:  # a user without a home
        raise FileNotFoundError(f"{error} Name a file in the environment variable PYNN_TUNING") from error
    file.parent.mkdir(parents=True, exist_ok=True)
    check_target(file)
    return file


def save(table: Table, instruction_set: str | None) -> Path:
    """Store the table of this machine; return the file."""
    file = target()
    content = {"machine": machine(instruction_set), "table": table}
    write_atomically(file, (json.dumps(content, indent=1) + "\n").encode())
    return file


def load(instruction_set: str | None, available: tuple[str, ...]) -> Table:
    """Return the table of this machine, or the shipped one where none was stored for it.

    A file that is not a table of known functions and available backends is reported, and not used.
    """
    try:
        file = path()
    except RuntimeError:  # a user without a home
        return DEFAULT
    try:
        content = json.loads(file.read_text())
        if content["machine"] != machine(instruction_set):
            return DEFAULT
        table = {
            name: [(float(size), str(backend)) for size, backend in ranges] for name, ranges in content["table"].items()
        }
        for name, ranges in table.items():
            sizes = [size for size, _ in ranges]
            good = all(math.isfinite(size) for size in sizes) and sizes == sorted(sizes)
            if name not in SIZE_OF or not good or any(b not in available for _, b in ranges):
                raise ValueError(f"it says {ranges} of {name}")
    except (FileNotFoundError, NotADirectoryError):
        return DEFAULT
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        warnings.warn(f"{file} is not used: {error}; run `pynn tune` again", RuntimeWarning, stacklevel=4)
        return DEFAULT
    return table


def mixed(base: ModuleType, table: Table, load_backend: Callable[[str], ModuleType]) -> ModuleType:
    """Return a kernel package like `base` in which the table's functions choose the backend by size."""
    package = ModuleType("pynn.kernels.auto", "The kernels of several backends, each where it measured fastest.")
    package.__dict__.update({name: value for name, value in vars(base).items() if not name.startswith("__")})
    for name, ranges in table.items():
        family, function = name.split(".")
        candidates = [base, *(load_backend(backend) for _, backend in ranges)]
        functions = [getattr(getattr(candidate, family), function) for candidate in candidates]
        sizes = [size for size, _ in ranges]
        module = SimpleNamespace(**vars(getattr(package, family)))
        setattr(module, function, _chooser(functions, sizes, SIZE_OF[name], base.runtime.is_recording))
        setattr(package, family, module)
    return package


def _chooser(
    functions: list[Callable[..., Any]],
    sizes: list[float],
    size_of: Callable[[tuple[Any, ...]], float],
    is_recording: Callable[[], bool],
) -> Callable[..., Any]:
    """Return the function that calls the one for its arguments' size.

    A training step that is being recorded is all `base`'s: it is repeated without Python, which no choice could repay.
    """

    def choose(*arguments: Any) -> Any:
        place = 0 if is_recording() else bisect.bisect_right(sizes, size_of(arguments))
        return functions[place](*arguments)

    return choose
