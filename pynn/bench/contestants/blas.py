"""NumPy: its BLAS, and its activations."""

from __future__ import annotations

import numpy as np

from ..cases import Case
from ..data import factors, normal, product_of, result_like
from . import Run, bound


def prepare(case: Case, _: str) -> Run | None:
    """Return a function that runs the case, or None."""
    if case.group == "matmul":
        a, b = factors(case)
        a = a.T if case.op.endswith("trans_a") else a
        b = b.T if case.op.endswith("trans_b") else b
        return bound(np.matmul, a, b, out=product_of(a, b))
    if case.group == "activation" and case.op in ("relu", "tanh"):
        x = normal(1, *case.shape)
        out = result_like(x)
        return bound(np.maximum, x, np.float32(0), out=out) if case.op == "relu" else bound(np.tanh, x, out=out)
    return None
