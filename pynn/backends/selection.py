"""The backend that runs the ops: discovery, selection and override."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from numbers import Integral
from types import ModuleType, TracebackType

from ..utils.interrupt import Uninterrupted
from . import precision
from .processors import usable_processors

#: In the order of preference of "auto".
BACKENDS = ("cython", "numba", "numpy")

#: What training on NumPy alone costs: large networks on one thread (1.6), and 20-64-64-2 with the monitor on two (31).
SLOWER = "2 to 30 times slower"

#: Maximum number of threads.
MAX_THREADS = 256

_active: ModuleType | None = None
#: The ``with`` blocks of all threads that have begun, and what was chosen before each.
_blocks: list[tuple[use_backend, ModuleType | None]] = []
_threads: int | None = None
#: Set by tests: use as many threads as requested, and always, even where that takes longer.
eager_threads = False


class BackendError(RuntimeError):
    """The requested backend cannot be used on this machine.

    Examples
    --------
    >>> import pynn
    >>> issubclass(pynn.BackendError, RuntimeError)
    True
    """


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that can be used on this machine.

    Examples
    --------
    >>> import pynn
    >>> "numpy" in pynn.available_backends()
    True
    """
    return tuple(name for name in BACKENDS if why_missing(name) is None)


def get_backend() -> str:
    """Return the name of the backend in use: "cython", "numba" or "numpy".

    Examples
    --------
    >>> import pynn
    >>> with pynn.use_backend("numpy"):
    ...     pynn.get_backend()
    'numpy'
    """
    return kernels().__name__.rpartition(".")[2]


class use_backend:  # noqa: N801 - used like a function
    """Choose the backend of all ops in this process, permanently or for a ``with`` block.

    If blocks of several threads or tasks overlap, the one that began last counts; when all have ended, the choice is
    again the one before them.

    Parameters
    ----------
    name : {"auto", "cython", "numba", "numpy"}
        "auto" takes the compiled Cython kernels, or NumPy if they were not built. Explicit names never fall back: they
        raise. The environment variable ``PYNN_BACKEND`` sets the initial choice.

    Raises
    ------
    ValueError
        For an unknown name.
    BackendError
        If the backend is not available; the message gives the reason and what to install.

    Examples
    --------
    >>> import pynn
    >>> with pynn.use_backend("numpy"):
    ...     pynn.get_backend()
    'numpy'
    """

    def __init__(self, name: str) -> None:
        global _active
        self._previous = _active
        self._kernels = _active = _load(name)
        self._begun = False

    def __enter__(self) -> use_backend:
        global _active
        if self._begun:  # a second block
            self._previous, _active = _active, self._kernels
        self._begun = True
        _blocks.append((self, self._previous))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _active
        place = max(place for place, (block, _) in enumerate(_blocks) if block is self)
        _, previous = _blocks.pop(place)
        if place < len(_blocks):  # a block that began later goes on, and will restore what was before this one
            _blocks[place] = _blocks[place][0], previous
        else:
            _active = previous


def kernels() -> ModuleType:
    """Return the kernel package in use: one module per subject, with the same functions in every backend."""
    global _active
    if _active is None:
        _active = _load(os.environ.get("PYNN_BACKEND", "auto"))
    return _active


def instruction_set() -> str | None:
    """Return the instruction set of the compiled kernels in use, such as "x86-64-v3"; None for other backends."""
    return getattr(kernels(), "INSTRUCTION_SET", None)


def set_num_threads(count: int) -> None:
    """Set the maximum number of threads of the Cython kernels in this process.

    The environment variable ``PYNN_NUM_THREADS`` sets the initial value; the default is one thread per processor that
    this process may use, and no more are ever used. Small work always runs on one thread, and so does all work for a
    while after the other threads came late, as when another program keeps their processors busy. Results do not depend
    on the number of threads, bit for bit. This does not affect NumPy's own BLAS threads, which the NumPy backend uses.

    Raises
    ------
    ValueError
        Unless `count` is an integer from 1 to 256.

    Examples
    --------
    >>> import pynn
    >>> before = pynn.get_num_threads()
    >>> pynn.set_num_threads(1)
    >>> pynn.get_num_threads()
    1
    >>> pynn.set_num_threads(before)
    """
    global _threads
    if isinstance(count, bool) or not isinstance(count, Integral) or not 1 <= count <= MAX_THREADS:
        raise ValueError(f"the number of threads is {count!r}; expected an integer from 1 to {MAX_THREADS}")
    _threads = int(count)
    compiled = importlib.import_module("pynn.kernels.cython")
    if compiled.INSTRUCTION_SET is not None:
        _set_team(compiled.runtime, _threads)


def get_num_threads() -> int:
    """Return the maximum number of threads of the Cython kernels.

    Examples
    --------
    >>> import pynn
    >>> pynn.get_num_threads() >= 1
    True
    """
    if _threads is None:
        set_num_threads(_default_threads())
    assert _threads is not None
    return _threads


def _set_team(runtime: ModuleType, threads: int) -> None:
    """Set the kernels' threads: no more than there are processors, on which they would only take turns."""
    runtime.set_num_threads(threads if eager_threads else min(threads, usable_processors()), eager_threads)


def _default_threads() -> int:
    wanted = os.environ.get("PYNN_NUM_THREADS")
    if wanted is None:
        return min(usable_processors(), MAX_THREADS)
    if not wanted.isdecimal() or not 1 <= int(wanted) <= MAX_THREADS:
        raise ValueError(f"PYNN_NUM_THREADS is {wanted!r}; expected an integer from 1 to {MAX_THREADS}")
    return int(wanted)


def describe() -> dict[str, str]:
    """Return what determines a result's last bits: backend, instruction set and matmul precision; for checkpoints."""
    return {
        "backend": get_backend(),
        "instruction_set": instruction_set() or "-",
        "matmul_precision": precision.get_matmul_precision(),
    }


def _load(name: str) -> ModuleType:
    if name == "auto":
        try:
            return _load("cython")
        except BackendError as error:
            warnings.warn(f"pynn runs on NumPy alone, {SLOWER}: {error}", RuntimeWarning, stacklevel=3)
            return _load("numpy")
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; expected one of {', '.join(('auto', *BACKENDS))}")
    reason = why_missing(name)
    if reason is not None:
        raise BackendError(f"the {name} backend is not available: {reason}")
    package = importlib.import_module(f"pynn.kernels.{name}")
    if name == "cython":
        try:
            package.load()
        except ImportError as error:
            raise BackendError(f"the cython backend is not available: {error}") from error
        _set_team(package.runtime, get_num_threads())
        precision.apply()
    if name == "numba":
        package.compiled.protection = Uninterrupted
    return package


def why_missing(name: str) -> str | None:
    """Return why the backend cannot be used on this machine, or None if it can."""
    if name == "numba" and importlib.util.find_spec("numba") is None:
        return 'Numba is not installed; pip install "pynn-kernels[numba]"'
    if name == "cython":
        compiled = importlib.import_module("pynn.kernels.cython")
        if not compiled.BUILT:
            return "its kernels were not compiled when pynn was installed; reinstall with a working C compiler"
        if not compiled.supported_instruction_sets():
            sets = compiled.processor_instruction_sets()
            if sets:
                return (
                    f"its kernels are missing for all instruction sets of this processor ({', '.join(sets)}); reinstall"
                )
            return "this processor is older than x86-64-v2, the minimum that the kernels were compiled for"
    return None
