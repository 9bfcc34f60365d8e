"""Who takes part. Each module's `prepare` gives a function that does a case once, or None where it has none."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

from ..cases import Case

#: Does a case once; what it needs is already in memory.
Run = Callable[[], object]


class Contestant(NamedTuple):
    """A library as it is measured: its title, where it lives here, and the package that it needs."""

    title: str
    module: str
    package: str
    argument: str = ""

    def prepare(self, case: Case) -> Run | None:
        """Return what does the case, or None."""
        module = importlib.import_module(f".{self.module}", __name__)
        return module.prepare(case, self.argument)

    def installed(self) -> bool:
        """Return whether its package is there."""
        return importlib.util.find_spec(self.package) is not None


#: By the names of the command line. "pynn" is the one whose speed all others are compared with; "own" are its other
#: backends, "channels last" is PyTorch's other layout of images, "compiled" is torch.compile.
CONTESTANTS = {
    "pynn": Contestant("pynn", "own", "pynn", "auto"),
    "numba": Contestant("own Numba", "own", "numba", "numba"),
    "numpy": Contestant("own NumPy", "own", "numpy", "numpy"),
    "blas": Contestant("NumPy", "blas", "numpy"),
    "torch": Contestant("PyTorch", "torch", "torch", "eager"),
    "torch-channels-last": Contestant("channels last", "torch", "torch", "channels-last"),
    "torch-compile": Contestant("compiled", "torch", "torch", "compile"),
    "jax": Contestant("JAX", "jax", "jax"),
    "sklearn": Contestant("sklearn", "sklearn", "sklearn"),
}


def bound(function: Callable[..., object], *arguments: object, **named: object) -> Run:
    """Return a call of no arguments; a closure costs less than functools.partial with keywords."""
    return lambda: function(*arguments, **named)
