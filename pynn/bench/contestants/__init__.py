"""The contestants. Each module's `prepare` returns a function that runs a case once, or None if unsupported."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

from ..cases import Case

#: Runs a case once, on prepared arrays.
Run = Callable[[], object]


class Contestant(NamedTuple):
    """A measured library: its title, its module here, and its package."""

    title: str
    module: str
    package: str
    argument: str = ""

    def prepare(self, case: Case) -> Run | None:
        """Return a function that runs the case, or None."""
        module = importlib.import_module(f".{self.module}", __name__)
        return module.prepare(case, self.argument)

    def installed(self) -> bool:
        """Return whether its package is installed."""
        return importlib.util.find_spec(self.package) is not None


#: Contestants by command-line name. All others are compared with "pynn". "own" marks pynn's other backends, "channels
#: last" is PyTorch's other image layout, "compiled" is torch.compile.
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
    """Bind all arguments; a closure costs less than functools.partial with keywords."""
    return lambda: function(*arguments, **named)
