"""Memory that the ranks of one host share."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.processors import processor_numbers
from ..backends.selection import kernels

if TYPE_CHECKING:
    from ..nn.share import Outside

#: Where a file is memory. Ranks of a host without it send messages.
FOLDER = "/dev/shm"
#: Elements of the largest array that ranks show each other on a `Board`.
SMALL = 1 << 13
#: Elements of int64 in a cache line, which the counters of two ranks must not share.
LINE_OF_COUNTERS = 8
#: Pauses, about 1 ms, for which a rank with a processor of its own keeps it while it waits.
PATIENCE = 1 << 14


class Barrier:
    """Where the ranks of one host wait for each other.

    Compiled kernels have a barrier of their own, which a recorded pass holds; other backends use MPI's. Those that wait
    for a rank that has died are ended by the launcher.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks of the host.
    arrivals : ndarray of int64, shape (ranks, 8)
        Shared by the ranks; zeros.
    """

    def __init__(self, comm: Any, arrivals: np.ndarray) -> None:
        self._comm, self._arrivals, self._rank = comm, arrivals, int(comm.rank)
        processors: set[int] = set().union(*comm.allgather(processor_numbers()))
        self._spins = PATIENCE if len(processors) >= comm.size else 0

    @classmethod
    def of(cls, comm: Any) -> Barrier | None:
        """Return the barrier of a host's ranks; None if there is no memory that they share."""
        arrivals = shared_zeros(comm, 1, LINE_OF_COUNTERS, np.dtype(np.int64))
        return None if arrivals is None else cls(comm, arrivals[:, 0])

    def wait(self) -> None:
        """Wait until all ranks wait."""
        self._meet(self._arrivals)

    def meet(self, outside: Outside, memory: np.ndarray) -> None:
        """Wait within a pass, by `outside` if it must be, after which `memory` holds what all ranks wrote to it."""
        if hasattr(kernels(), "meet"):
            self._meet(memory)
        else:
            outside(self.wait)

    def _meet(self, memory: np.ndarray) -> None:
        meet = getattr(kernels(), "meet", None)
        if meet is None:
            self._comm.Barrier()
        else:
            meet(self._arrivals, self._rank, memory, self._spins)


class SharedSlots:
    """Arrays of one shape, one of each rank, that all ranks see after `exchange`: see `nn.share.Slots`.

    A rank fills its array again in the next step, when all have met at another place, so that none still reads it.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        All ranks.
    barrier : Barrier or None
        If the ranks share memory.
    """

    def __init__(self, comm: Any, barrier: Barrier | None, shape: tuple[int, ...], dtype: np.dtype) -> None:
        memory = None if barrier is None else shared_zeros(comm, 1, math.prod(shape), dtype)
        self._barrier = None if memory is None else barrier
        self.rows = np.zeros((comm.size, *shape), dtype) if memory is None else memory.reshape(comm.size, *shape)
        self.own = self.rows[comm.rank]
        self._comm = comm

    def exchange(self, outside: Outside) -> None:
        """Show this rank's array to all."""
        if self._barrier is None:
            outside(self._send)
        else:
            self._barrier.meet(outside, self.rows)

    def _send(self) -> None:
        self._comm.Allgather(self.own.copy(), self.rows)


class Board:
    """Small float64 arrays that the ranks of one host show each other: they write, meet and read.

    Parameters
    ----------
    barrier : Barrier
        The ranks of the host.
    rank : int
    memory : ndarray, shape (ranks, 2, SMALL)
    """

    def __init__(self, barrier: Barrier, rank: int, memory: np.ndarray) -> None:
        self._wait, self._rank, self._memory = barrier.wait, rank, memory
        self._turn = 0

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the arrays of all ranks, (ranks, *values.shape)."""
        # Two places take turns: who writes to one again has met all who read it at the other.
        shown = self._memory[:, self._turn, : values.size]
        self._turn ^= 1
        shown[self._rank] = values.reshape(-1)
        self._wait()
        return shown.copy().reshape(-1, *values.shape)


def shared_zeros(comm: Any, arrays: int, length: int, dtype: np.dtype) -> np.ndarray | None:
    """Return zeros that all ranks of a host see, (ranks, arrays, length); None if there is no memory for them.

    They are a file in memory that has no name any more: it ends with the last rank, however that ends.
    """
    each = max(arrays * length * dtype.itemsize, 1)
    path = None
    if comm.rank == 0:
        try:
            handle, path = tempfile.mkstemp(prefix="pynn-", dir=FOLDER)
            os.close(handle)
        except OSError:
            path = None
    path = comm.bcast(path)
    memory = None
    try:
        if path is not None:
            memory = _mapped(path, each, comm.rank, comm.size)
    except OSError:  # other ranks' /dev/shm is another, or it is full
        memory = None
    complete = all(comm.allgather(memory is not None))
    if comm.rank == 0 and path is not None:
        os.unlink(path)
    if memory is None or not complete:
        return None
    return np.frombuffer(memory, dtype, comm.size * arrays * length).reshape(comm.size, arrays, length)


def _mapped(path: str, each: int, rank: int, size: int) -> mmap.mmap:
    """Map a file with `each` bytes for each rank, and allocate those of this rank, near its processor."""
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), rank * each, each)
        os.posix_fallocate(file.fileno(), size * each - 1, 1)
        return mmap.mmap(file.fileno(), size * each)
