"""The precision of float32 matrix products."""

from __future__ import annotations

import importlib
import os
import threading
from types import TracebackType

#: How many products of bfloat16 parts make a float32 product on matrix units, for each precision.
PRODUCTS = {"highest": 6, "high": 3, "medium": 1}

_precision: str | None = None


class _Own(threading.local):
    """The precision that the calling thread uses instead of the process's, or None."""

    precision: str | None = None


_own = _Own()


def set_matmul_precision(precision: str) -> None:
    """Set the precision of float32 matrix products in this process.

    It matters on processors with bfloat16 matrix units (Intel's AMX, instruction set "x86-64-v4-amx"), which multiply
    bfloat16 and sum in float32. There, a product of large matrices splits each float32 number into bfloat16 parts,
    whose products it sums. Elsewhere, on other backends, in float64, and in convolutions, all three are the same.

    The environment variable ``PYNN_MATMUL_PRECISION`` sets the initial value; the default is "highest".

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        "highest": three parts and six products. Errors are those of float32 arithmetic, and smaller than those of a
        chain of multiply-adds. "high": two parts, three products, about 16 bits. "medium": both operands are rounded to
        bfloat16, 8 bits. The names are those of PyTorch's ``set_float32_matmul_precision``.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> import pynn
    >>> before = pynn.get_matmul_precision()
    >>> pynn.set_matmul_precision("medium")
    >>> pynn.get_matmul_precision()
    'medium'
    >>> pynn.set_matmul_precision(before)
    """
    global _precision
    _precision = checked(precision, "the precision of matrix products")
    apply()


def get_matmul_precision() -> str:
    """Return the precision of float32 matrix products: "highest", "high" or "medium"."""
    return _own.precision or _of_process()


def _of_process() -> str:
    global _precision
    if _precision is None:
        _precision = checked(os.environ.get("PYNN_MATMUL_PRECISION", "highest"), "PYNN_MATMUL_PRECISION")
    return _precision


class using_matmul_precision:  # noqa: N801 - used like a function
    """Set the precision of this thread's float32 matrix products for a ``with`` block; None leaves it as it is."""

    def __init__(self, precision: str | None) -> None:
        self._precision = precision

    def __enter__(self) -> None:
        if self._precision is not None:
            self._before = _own.precision
            _set_own(checked(self._precision, "the precision of matrix products"))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._precision is not None:
            _set_own(self._before)


def _set_own(precision: str | None) -> None:
    _own.precision = precision
    compiled = importlib.import_module("pynn.kernels.cython")
    if compiled.BUILT:
        compiled.runtime.set_own_matrix_products(0 if precision is None else PRODUCTS[precision])


def checked(precision: object, name: str) -> str:
    """Return `precision`, or raise ValueError if there is no such precision."""
    if not isinstance(precision, str) or precision not in PRODUCTS:
        raise ValueError(f"{name} is {precision!r}; expected one of {', '.join(PRODUCTS)}")
    return precision


def apply() -> None:
    """Pass the process's precision on to the compiled kernels, if they are loaded."""
    compiled = importlib.import_module("pynn.kernels.cython")
    if compiled.INSTRUCTION_SET is not None:
        compiled.runtime.use_matrix_units(compiled.INSTRUCTION_SET.endswith(compiled.AMX))
        compiled.runtime.set_matrix_products(PRODUCTS[_of_process()])
