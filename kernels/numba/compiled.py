"""`njit` for kernels, with a best-effort cache of compiled code on disk: no file error makes a kernel fail."""

import contextlib

import numba
from numba.core.caching import FunctionCache
from numba.core.sigutils import normalize_signature

#: Makes the context in which a function is compiled; `pynn.backends` sets one that defers signals. An exception that a
#: signal's handler raises within Numba's compiler can break its registries: no function would compile any more.
protection = contextlib.nullcontext

#: Values of `fastmath` that preserve NaN and infinity: multiply-adds may be fused; sums may also be reordered, into
#: vectors of partial sums.
FMA, REORDERED = {"contract"}, {"contract", "reassoc"}


class _Cache(FunctionCache):
    """Numba's cache of a function; if a file is damaged or the disk full, the function is compiled again."""

    def load_overload(self, signature, context):
        try:
            return super().load_overload(signature, context)
        except Exception:  # a damaged file can raise anything when it is unpickled
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, compiled):
        with contextlib.suppress(OSError):
            super().save_overload(signature, compiled)


def njit(**options):
    """Return a decorator that compiles a function at its first call, with Numba's options and a cache on disk.

    By default the code releases the GIL, and divides by zero as NumPy does. If Numba finds no writable folder (a
    read-only installation, no home), every process compiles its own code.
    """

    def compiled(function):
        kernel = numba.njit(**{"nogil": True, "error_model": "numpy"} | options)(function)
        with contextlib.suppress(RuntimeError):
            kernel._cache = _Cache(function)
        kernel.compile = _for_any_flags(kernel, _protected(kernel.compile))
        return kernel

    return compiled


def _protected(compile_for):
    def compile_protected(signature):
        with protection():
            return compile_for(signature)

    return compile_protected


def _for_any_flags(kernel, compile_for):
    """Let read-only arrays share the code for writeable ones: otherwise each mixture of them compiles for seconds.

    This is safe because kernels write to their outputs only, and `pynn.ops` checks that these are writeable.
    """

    def compile_writeable(signature):
        given, _ = normalize_signature(signature)
        writeable = tuple(x.copy(readonly=False) if isinstance(x, numba.types.Array) else x for x in given)
        entry_point = compile_for(writeable)
        if writeable != given:
            kernel._insert([x._code for x in given], entry_point)
        return entry_point

    return compile_writeable
