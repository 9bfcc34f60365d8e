"""The process of one contestant: reads JSON requests from standard input, answers on standard output.

``python -m pynn.bench.worker NAME THREADS``. Requests: ``{"prepare": case}``, ``{"time": calls}``,
``{"memory": case}``, ``{"limits": true}``, ``{"exit": true}``.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from typing import Any

from .cases import Case
from .contestants import CONTESTANTS, Run
from .limits import measure
from .memory import peak_growth
from .timing import seconds_per_call

#: Environment variables of the libraries' thread pools, which read them when they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "PYNN_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: Overrides of a BLAS's processor detection, which would distort its speed.
OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS")
WARM_UP_SECONDS = 0.1
#: After a block, a worker waits until its process uses less than half of this many seconds in as many, at most this
#: many times: threads spin for more work, OpenBLAS's for 0.1 s, OpenMP's for 0.01 s, and keep processors from others.
IDLE_SECONDS, MOST_WAITS = 0.005, 100


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a worker with `threads` threads."""
    kept = {name: value for name, value in os.environ.items() if name not in OVERRIDES}
    return kept | dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


def pin(threads: int) -> None:
    """Pin the process to one processor per thread: the only limit that every library respects."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, usable[-threads:])


class Worker:
    """Answers requests."""

    def __init__(self, name: str, threads: int) -> None:
        self.contestant, self.threads = CONTESTANTS[name], threads
        self.run: Run | None = None

    def answer(self, request: dict[str, Any]) -> Any:
        """Process a request and return the result."""
        if "ready" in request:
            return None
        if "prepare" in request:
            self.run = self._prepare(request["prepare"])
            return None if self.run is None else rested(warm_up(self.run))
        if "time" in request:
            assert self.run is not None
            return rested(seconds_per_call(self.run, request["time"]))
        if "memory" in request:
            return peak_growth(lambda: self._prepare(request["memory"]))
        return measure(self.threads)._asdict()

    def _prepare(self, case: list[Any]) -> Run | None:
        group, op, shape, dtype = case
        self.run = None
        gc.collect()
        return self.contestant.prepare(Case(group, op, tuple(shape), dtype))


def warm_up(run: Run) -> float:
    """Return seconds per call in steady state: the first calls may compile or allocate."""
    calls = 1
    seconds_per_call(run, 2)
    while (seconds := seconds_per_call(run, calls)) * calls < WARM_UP_SECONDS:
        calls *= 2
    return seconds


def rested(seconds: float) -> float:
    """Return `seconds` once the threads of this process are idle, so that they slow down no other contestant."""
    for _ in range(MOST_WAITS):
        used = time.process_time()
        time.sleep(IDLE_SECONDS)
        if time.process_time() - used < IDLE_SECONDS / 2:
            break
    return seconds


def main() -> None:
    """Answer requests until one asks to exit."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    name, threads = sys.argv[1], int(sys.argv[2])
    pin(threads)
    worker = Worker(name, threads)
    for line in sys.stdin:
        request = json.loads(line)
        if "exit" in request:
            return
        try:
            reply = {"value": worker.answer(request)}
        except Exception as error:  # a failing contestant must not end the benchmark
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
