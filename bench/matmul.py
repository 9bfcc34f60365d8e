"""How fast matrix multiply is on each backend, beside NumPy's BLAS on one thread.

Run ``python bench/matmul.py``.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
# An override of the processor that OpenBLAS detects would make it look slower than it is.
os.environ.pop("OPENBLAS_CORETYPE", None)

import functools

import numpy as np
from interleaved import compare, ratio
from rich.console import Console
from rich.table import Table

import pynn

SHAPES = [(512, 512, 512), (64, 784, 256), (64, 256, 256), (50, 3072, 100), (32, 64, 64), (256, 3072, 512)]


def on_backend(name: str, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Multiply on one backend."""
    with pynn.use_backend(name):
        pynn.ops.matmul(a, b, out=out)


def main() -> None:
    """Print the table."""
    backends = [name for name in pynn.available_backends() if name != "numpy"]
    table = Table("m, k, n", "dtype", "NumPy GFLOP/s", *(f"{name} / NumPy (quartiles)" for name in backends))
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for m, k, n in SHAPES:
            a, b = (rng.normal(size=shape).astype(dtype) for shape in ((m, k), (k, n)))
            out = np.empty((m, n), dtype)
            contestants = {name: functools.partial(on_backend, name, a, b, out) for name in backends}
            contestants["numpy"] = functools.partial(np.matmul, a, b, out=out)
            seconds = compare(contestants)
            rate = 2 * m * k * n / np.median(seconds["numpy"]) / 1e9
            shares = ("{:.2f} ({:.2f}-{:.2f})".format(*ratio(seconds, name, "numpy")) for name in backends)
            table.add_row(f"{m}, {k}, {n}", np.dtype(dtype).name, f"{rate:.1f}", *shares)
    Console().print(table)


if __name__ == "__main__":
    main()
