"""Timing of calls."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def seconds_per_call(run: Callable[[], object], calls: int) -> float:
    """Return the mean time of `calls` calls, without garbage collection."""
    gc.disable()
    try:
        began = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - began) / calls
    finally:
        gc.enable()
