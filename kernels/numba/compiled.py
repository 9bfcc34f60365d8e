"""`njit` for kernels, whose compiled code is kept on disk where that can be: nothing here fails for want of a file."""

import contextlib

import numba
from numba.core.caching import FunctionCache


class _Cache(FunctionCache):
    """Numba's cache of a function, without which it is compiled again: where a file is damaged, or the disk full."""

    def load_overload(self, signature, context):
        try:
            return super().load_overload(signature, context)
        except Exception:  # a damaged file raises what unpickling it happens to raise
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, compiled):
        with contextlib.suppress(OSError):
            super().save_overload(signature, compiled)


def njit(**options):
    """Return a decorator that compiles a function at its first call, with Numba's options and a cache on disk.

    Where Numba finds no folder to write to (a read-only installation, no home), every process compiles for itself.
    """

    def compiled(function):
        kernel = numba.njit(**options)(function)
        with contextlib.suppress(RuntimeError):
            kernel._cache = _Cache(function)
        return kernel

    return compiled
