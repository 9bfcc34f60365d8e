"""The processes of an MPI communicator that train one model together, each on its share of every minibatch."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from ..nn.share import Share
from ..utils.arrays import total_weight
from ..utils.streams import say
from .shared import SMALL, Barrier, Board, SharedSlots, shared_zeros

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

T = TypeVar("T")

INSTALL_HINT = "pip install 'pynn-kernels[mpi]'"


class RanksDifferError(RuntimeError):
    """Ranks that train together have not the same; all of them raise it at once."""


class Ranks:
    """The ranks of a communicator, as a trainer and its layers use them.

    Every rank makes the same calls in the same order. What is gathered is summed in the order of the ranks, so that all
    get the same bits, in every run. `Exchange` sums the gradients.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Duplicated, so that the messages of a trainer do not mix with others.

    Attributes
    ----------
    rank, size : int
    host : str
    neighbours : mpi4py.MPI.Comm
        The ranks of this host.
    checkpoint : path or None
        The last checkpoint that the trainer wrote, which the message of a failed rank names.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm.Dup()
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.host = platform.node()
        self.neighbours = self._of_this_host()
        #: Where the ranks of this host wait for each other; None if they share no memory.
        self.barrier = Barrier.of(self.neighbours)
        self._together = self.barrier if self.neighbours.Get_size() == self.size else None  # of all ranks
        self._board = None if self._together is None else self._made_board(self._together)
        self.all_slots: list[SharedSlots] = []
        self.checkpoint: str | Path | None = None

    @classmethod
    def of(cls, comm: Any) -> Ranks | None:
        """Return the ranks of a communicator; None for None, and if it has one rank only."""
        if comm is None:
            return None
        if not all(hasattr(comm, name) for name in ("Get_rank", "Get_size", "Allgather")):
            raise TypeError(f"comm is {comm!r}; expected a communicator of mpi4py, such as MPI.COMM_WORLD")
        return cls(comm) if comm.Get_size() > 1 else None

    def _of_this_host(self) -> Any:
        from mpi4py import MPI  # whoever has a communicator has mpi4py

        return self.comm.Split_type(MPI.COMM_TYPE_SHARED, key=self.rank)

    def _made_board(self, barrier: Barrier) -> Board | None:
        memory = shared_zeros(self.comm, 2, SMALL, np.dtype(np.float64))
        return None if memory is None else Board(barrier, self.rank, memory)

    def slots(self, shape: tuple[int, ...], dtype: np.dtype) -> SharedSlots:
        """Return arrays that the ranks show each other within a pass; all ranks ask for the same."""
        self.all_slots.append(SharedSlots(self.comm, self._together, shape, dtype))
        return self.all_slots[-1]

    def counts(self, rows: int) -> tuple[int, ...]:
        """Return how many of a batch's rows each rank computes."""
        return tuple(rows * (rank + 1) // self.size - rows * rank // self.size for rank in range(self.size))

    def cut(self, rows: int) -> tuple[slice, tuple[int, ...]]:
        """Return this rank's rows of a batch, at least one, and the number of rows of each rank."""
        counts = self.counts(rows)
        start = sum(counts[: self.rank])
        if counts[self.rank] == 0:
            start = rows - 1
        return slice(start, start + max(counts[self.rank], 1)), counts

    def share(self, own: slice, counts: tuple[int, ...], weights: np.ndarray | None, total: float, mean: bool) -> Share:
        """Return the share of a batch that `cut` made.

        Its factor is the weight of this rank's loss in that of the batch: W_r / W for a mean, with W_r the weights of
        this rank's examples and W of all, and 1 for a sum; 0 without rows.
        """
        if counts[self.rank] == 0:
            factor = 0.0
        elif not mean:
            factor = 1.0
        else:
            part = total_weight(counts[self.rank], weights)
            factor = part / total if total else 0.0
        return Share(self, own.start, counts, factor)

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the float64 arrays of all ranks, (size, *values.shape), on every rank."""
        return self.begin_gather(values)()

    def begin_gather(self, values: np.ndarray) -> Callable[[], np.ndarray]:
        """Return a function that returns what `gather` does; messages are under way meanwhile.

        A rank may gather other arrays before it calls the function, if all do so.
        """
        if self._board is not None and values.size <= SMALL:
            return partial(self._board.gather, values)
        sent = np.ascontiguousarray(values, np.float64)
        received = np.empty((self.size, *sent.shape))
        request = self.comm.Iallgather(sent, received)

        def wait() -> np.ndarray:
            request.Wait()
            return received

        return wait

    def join(self, part: np.ndarray, counts: tuple[int, ...]) -> np.ndarray:
        """Return the rows of all ranks, one rank's after the other's."""
        shape, dtype = part.shape[1:], part.dtype
        whole = np.empty((sum(counts), *shape), dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        sizes = [count * size for count in counts]
        sent = np.ascontiguousarray(part[: counts[self.rank]]).view(np.uint8).reshape(-1)
        self.comm.Allgatherv(sent, [whole.reshape(-1).view(np.uint8), sizes])
        return whole

    def broadcast(self, value: T) -> T:
        """Return rank 0's value, any object, on every rank."""
        return self.comm.bcast(value)

    def broadcast_arrays(self, arrays: Iterable[np.ndarray]) -> None:
        """Replace the arrays' values on every rank by those of rank 0."""
        for array in arrays:
            self.comm.Bcast(array.reshape(-1).view(np.uint8))

    def any(self, value: bool) -> bool:
        """Return whether the value is true on any rank."""
        return bool(self.gather(np.array([value])).any())

    def check_equal(self, what: dict[str, str]) -> None:
        """Raise RanksDifferError that names the ranks whose values differ from rank 0's, on every rank."""
        for rank, other in enumerate(self.comm.allgather((self.host, what))):
            host, theirs = other
            if rank == 0:
                first_host, expected = host, theirs
            for name in expected:
                if theirs.get(name) != expected[name]:
                    raise RanksDifferError(
                        f"rank {rank} on {host} has {name} {theirs.get(name)}; rank 0 on {first_host} has "
                        f"{expected[name]}: start all ranks with the same"
                    )

    def call_on_all(self, prepare: Callable[[], T]) -> T:
        """Call a function that may raise; if it raises on any rank, all ranks raise."""
        error: BaseException | None = None
        try:
            result = prepare()
        except Exception as raised:
            error = raised
        errors = self.comm.allgather(None if error is None else f"{type(error).__name__}: {error}")
        if error is not None:
            raise error
        for rank, message in enumerate(errors):
            if message is not None:
                raise RuntimeError(f"rank {rank} cannot train: {message}")
        return result

    def fail(self, error: BaseException, steps: int) -> NoReturn:
        """End all ranks, because this one cannot go on: the others wait for it in an exchange."""
        traceback.print_exception(error)
        say(f"pynn: {self.name} failed after step {steps}: {type(error).__name__}: {error}; {self.saved}")
        self.comm.Abort(1)
        raise error

    def abort_with_this_process(self) -> None:
        """End all ranks when an error that nobody has caught ends this process, instead of letting them wait."""
        if not _latest:
            sys.excepthook = partial(_abort_all, sys.excepthook)
        _latest[:] = [self]

    @property
    def name(self) -> str:
        """The rank, host and process, for messages."""
        return f"rank {self.rank} of {self.size} on {self.host} (process {os.getpid()})"

    @property
    def saved(self) -> str:
        """Which checkpoint is the last one, for messages."""
        return "there is no checkpoint" if self.checkpoint is None else f"the last checkpoint is {self.checkpoint}"


#: The ranks of the trainer that was made last.
_latest: list[Ranks] = []


def _abort_all(
    usual: Callable[..., Any], kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show an error that nobody has caught, as usual, and end all ranks."""
    usual(kind, error, trace)
    say(f"pynn: {_latest[0].name} ended with {kind.__name__}; {_latest[0].saved}")
    _latest[0].comm.Abort(1)
