"""The Cython backend, compiled at build time once per instruction set; the best set that runs here is imported.

``PYNN_ISA`` overrides the choice with "x86-64-v2", "x86-64-v3", "x86-64-v4" or "x86-64-v4-amx"; a set that was not
built, or that this processor lacks, raises. "x86-64-v4-amx" is the modules of "x86-64-v4", which then use matrix
units, but for one of its own, which measures their peak.
If the best set does not load, the next one is used, with a warning.
"""

import functools
import importlib
import os
import warnings
from collections.abc import Callable
from importlib.machinery import PathFinder

from .. import MODULES

try:
    from . import cpu, runtime
except ImportError:  # built without a C compiler: the backend reports itself as missing
    cpu = runtime = None  # type: ignore[assignment]

BUILT = cpu is not None
#: Ends the name of an instruction set with matrix units.
AMX = "-amx"
_MACHINE = "machine"  # measures this machine's limits
_MODULES = (*MODULES, _MACHINE)


def processor_instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets that kernels can be built for and this processor supports, best first."""
    return cpu.supported() if BUILT else ()


@functools.cache
def supported_instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets that were built and this processor supports, best first."""
    return tuple(name for name in processor_instruction_sets() if not _missing(name))


def _missing(instruction_set: str) -> list[str]:
    """Return the modules missing from the build for that instruction set: all of them if it was not built."""
    missing = []
    for name in _MODULES:
        folder = _folder(instruction_set, name)
        places = [os.path.join(place, folder) for place in __path__]
        if PathFinder.find_spec(f"{__name__}.{folder}.{name}", places) is None:
            missing.append(name)
    return missing


def _folder(instruction_set: str, module: str) -> str:
    """Return the folder in which the module of an instruction set lies."""
    if module != _MACHINE:
        instruction_set = instruction_set.removesuffix(AMX)
    return instruction_set.replace("-", "_")


def _candidates() -> tuple[str, ...]:
    """Return the instruction sets to try: the one that ``PYNN_ISA`` names, or all."""
    supported = supported_instruction_sets()
    wanted = os.environ.get("PYNN_ISA")
    if wanted is None:
        return supported
    if wanted not in supported:
        missing = _missing(wanted) if wanted in processor_instruction_sets() else []
        what = "was not built" if len(missing) == len(_MODULES) else f"lacks {', '.join(missing)}; reinstall pynn"
        reason = f": it {what}" if missing else ""
        raise ValueError(f"PYNN_ISA={wanted} cannot be used here{reason}; expected one of {', '.join(supported)}")
    return (wanted,)


INSTRUCTION_SET: str | None = None
#: An optimiser update is one compiled call: it runs completely or, if memory is exhausted, not at all.
WHOLE_UPDATES = True
#: Records kernel calls and replays them without Python; see `runtime.Recording`.
Recording: type | None = None
#: A barrier of processes that share memory, which recordings hold; see `runtime.meet`.
meet: Callable[..., None] | None = None


def load() -> None:
    """Import the kernels of the best instruction set that loads, or of the one that ``PYNN_ISA`` names."""
    global INSTRUCTION_SET, Recording, meet
    if INSTRUCTION_SET is not None:
        return
    failures = []
    for chosen in _candidates():
        try:
            modules = {name: importlib.import_module(f".{_folder(chosen, name)}.{name}", __name__) for name in _MODULES}
        except ImportError as error:
            failures.append(f"the kernels for {chosen} do not load ({error})")
            continue
        if failures:
            message = f"{'; '.join(failures)}: using the slower kernels for {chosen}; reinstall pynn"
            warnings.warn(message, RuntimeWarning, stacklevel=4)
        globals().update(modules)
        Recording, meet = runtime.Recording, runtime.meet
        INSTRUCTION_SET = chosen
        return
    raise ImportError(f"{'; '.join(failures)}; reinstall pynn")
