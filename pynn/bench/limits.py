"""Peak rates of this machine: multiply-adds in registers, and copies in each level of memory."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..backends import selection as backend
from ..kernels import cython as compiled
from .work import Work

#: Bytes of each array of a copy: in a core's L2 cache, the shared L3, and far beyond.
COPY_BYTES = (1 << 16, 1 << 17, 1 << 20, 1 << 22, 1 << 24, 1 << 27)
_ROUNDS, _TRIALS, _BLOCK = 500_000, 9, 1 << 26


class MachineLimits(NamedTuple):
    """Operations per second by dtype, and bytes per second (read and written) by footprint."""

    operations: dict[str, float]
    copies: list[tuple[int, float]]

    def bandwidth(self, footprint: float) -> float:
        """Return the bandwidth of the largest measured copy with at most `footprint` bytes in use."""
        place = bisect.bisect_right([size for size, _ in self.copies], footprint)
        return self.copies[max(0, place - 1)][1]

    def least_seconds(self, work: Work, dtype: str) -> float:
        """Return the time of the arithmetic, or of the bytes at the rate of a copy, whichever is longer.

        Arithmetic cannot be faster; memory can, slightly, if more is read than written.
        """
        return max(work.operations / self.operations[dtype], work.bytes / self.bandwidth(work.footprint))


def measure(threads: int) -> MachineLimits:
    """Measure the limits of `threads` threads."""
    backend.use_backend("cython")
    machine = compiled.machine
    operations = {
        "float32": _best(lambda: machine.multiply_adds(_ROUNDS, threads, True)),
        "float64": _best(lambda: machine.multiply_adds(_ROUNDS, threads, False)),
    }
    copies, fastest = [], 0.0
    for size in reversed(COPY_BYTES):
        source = np.ones(size // 4, np.float32)
        out = np.ones_like(source)
        calls = max(1, _BLOCK // size)

        def run(source: np.ndarray = source, out: np.ndarray = out, calls: int = calls) -> float:
            for _ in range(calls):
                machine.copy(source, out, threads)
            return 2 * source.nbytes * calls

        # Call overhead dominates small copies: credit them with the rate of larger ones.
        fastest = max(fastest, _best(run))
        copies.append((2 * size, fastest))
    return MachineLimits(operations, copies[::-1])


def _best(run: Callable[[], float]) -> float:
    best = 0.0
    for _ in range(_TRIALS):
        began = time.perf_counter()
        amount = run()
        best = max(best, amount / (time.perf_counter() - began))
    return best
