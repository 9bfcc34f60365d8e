"""The Cython backend: compiled when pynn is built, once per instruction set; the best set that runs here is imported.

``PYNN_ISA`` overrides the choice with "x86-64-v2", "x86-64-v3" or "x86-64-v4"; one that was not built, or that this
processor lacks, raises.
"""

import importlib
import os

try:
    from . import cpu, runtime
except ImportError:  # built without a C compiler: the backend reports itself as missing
    cpu = runtime = None  # type: ignore[assignment]

BUILT = cpu is not None
_MODULES = (
    "activations",
    "batchnorm",
    "channels",
    "conv",
    "dropout",
    "groupnorm",
    "losses",
    "machine",
    "matmul",
    "optim",
    "pooling",
    "watch",
)


def supported_instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets that were built and that this processor has, best first."""
    return cpu.supported() if BUILT else ()


def _choose() -> str:
    supported = supported_instruction_sets()
    wanted = os.environ.get("PYNN_ISA")
    if wanted is None:
        return supported[0]
    if wanted not in supported:
        raise ValueError(f"PYNN_ISA={wanted} cannot be used here; expected one of {', '.join(supported)}")
    return wanted


INSTRUCTION_SET: str | None = None
#: An optimiser update is one compiled call, which is made wholly or, for want of memory, not at all.
WHOLE_UPDATES = True
#: What records kernel calls, to make them again without Python; see `runtime.Recording`.
Recording: type | None = None


def load() -> None:
    """Import the kernels of the best instruction set, or of the one that ``PYNN_ISA`` names."""
    global INSTRUCTION_SET, Recording
    if INSTRUCTION_SET is None:
        chosen = _choose()
        for name in _MODULES:
            globals()[name] = importlib.import_module(f".{chosen.replace('-', '_')}.{name}", __name__)
        Recording = runtime.Recording
        INSTRUCTION_SET = chosen
