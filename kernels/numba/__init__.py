"""The Numba backend: the NumPy kernels as plain serial loops, compiled at first use and cached on disk."""

from importlib import import_module

from .. import MODULES

globals().update({name: import_module(f".{name}", __name__) for name in MODULES})

#: An optimiser update is one compiled call that allocates nothing: it runs completely or not at all.
WHOLE_UPDATES = True
