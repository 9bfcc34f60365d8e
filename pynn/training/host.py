"""The ranks of one host: they sum gradients and share out the updates in memory that all of them see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from .shared import Barrier, shared_zeros

if TYPE_CHECKING:
    from ..nn.parameters import FlatParameters
    from ..nn.share import Outside
    from ..optim.base import Optimizer
    from .ranks import Ranks

#: Gradients that are summed at once: what has been summed stays in the L2 cache until the next rank's are added.
CHUNK = 1 << 15
#: Elements at a multiple of which a rank's part begins: a cache line of float32.
LINE = 16


class Host:
    """The ranks of one host, each of which owns a part of the flat buffers.

    Gradients and weights of every rank lie in shared memory. A rank sums its part of the gradients, updates this part
    of its weights, and writes it to the others' weights: an update of weights that others had read took 1.7 times as
    long, because a processor must first take the cache lines back.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks of this host.
    barrier : Barrier
        Where they wait for each other.
    peers : mpi4py.MPI.Comm
        The ranks of all hosts that own the same part.
    flat : FlatParameters
        Its buffers move to `memory`.
    memory : ndarray, shape (ranks of this host, 2, elements)
        Values and gradients of every rank.
    add_up : callable
        Adds an array up over all peers, in place.

    Attributes
    ----------
    whole : bool
        Whether the gradients of this step are summed in the others' parts, too.
    """

    def __init__(
        self,
        comm: Any,
        barrier: Barrier,
        peers: Any,
        flat: FlatParameters,
        memory: np.ndarray,
        add_up: Callable[[Any, np.ndarray], None],
    ) -> None:
        self._comm, self._barrier, self._peers, self._add_up = comm, barrier, peers, add_up
        self._rank, self._memory = int(comm.rank), memory
        self._values, self._grads = memory[:, 0], memory[:, 1]
        self.whole = False
        flat.move(*memory[self._rank])
        self._parts = [_part(len(flat.values), rank, comm.size) for rank in range(comm.size)]
        self._optimizer: Optimizer | None = None
        self._state: SharedState | None = None

    @classmethod
    def of(cls, ranks: Ranks, flat: FlatParameters, add_up: Callable[[Any, np.ndarray], None]) -> Host | None:
        """Return the ranks of this host; None unless every host has the same number, two or more, and memory."""
        comm, barrier, memory = ranks.neighbours, ranks.barrier, None
        if set(ranks.comm.allgather(comm.size)) == {comm.size} and comm.size > 1:
            memory = shared_zeros(comm, 2, len(flat.values), flat.values.dtype)
        if ranks.any(memory is None or barrier is None) or memory is None or barrier is None:
            return None
        return cls(comm, barrier, ranks.comm.Split(comm.rank, ranks.rank), flat, memory, add_up)

    def sum(self, outside: Outside) -> None:
        """Replace this rank's part of its gradients by their sum over all ranks."""
        self._barrier.meet(outside, self._memory)  # until all have computed them
        part = self._parts[self._rank]
        for first in range(part.start, part.stop, CHUNK):
            chunk = slice(first, min(first + CHUNK, part.stop))
            own = self._grads[self._rank, chunk]
            for rank, grads in enumerate(self._grads):
                if rank != self._rank:
                    ops.add(own, grads[chunk], out=own)
        if self._peers.size > 1:
            outside(partial(self._add_up, self._peers, self._grads[self._rank, part]))

    def complete(self) -> None:
        """Copy the others' parts of the summed gradients."""
        if not self.whole:
            self._barrier.wait()  # until all have summed their part
            collect(self._grads, self._rank, self._parts)
            self._barrier.wait()  # until all have copied this rank's part, which may be clipped next
            self.whole = True

    def update(
        self, optimizer: Optimizer, rate: float, scale: float, stats: np.ndarray | None, momentum: float | None
    ) -> None:
        """Take the optimiser's step, each rank on its part, if the update is elementwise."""
        if optimizer is not self._optimizer:
            self._optimizer, self._state = optimizer, self._shared_state(optimizer)
        if self._state is None:
            self.complete()
            optimizer.step(rate, scale, stats, momentum)
            return
        if self.whole:
            self._barrier.wait()  # until none reads its weights any more: regularisers do after the backward pass
        part = self._parts[self._rank]
        self._state.whole = True  # what of it is read here is this rank's part
        optimizer.step(rate, scale, stats, momentum, part)
        self._state.whole = False
        for rank, values in enumerate(self._values):
            if rank != self._rank:
                values[part] = self._values[self._rank, part]
        self._barrier.wait()  # until all have given the others their part
        if stats is not None:
            of_all = np.empty((len(self._parts), *stats.shape))
            self._comm.Allgather(np.ascontiguousarray(stats), of_all)
            stats[...] = of_all.sum(axis=0)

    def end(self) -> None:
        """Give every rank the whole state of the optimiser."""
        if self._state is not None:
            self._state.complete()
        self._barrier.wait()  # until all have copied this rank's part

    def _shared_state(self, optimizer: Optimizer) -> SharedState | None:
        """Move an optimiser's state to shared memory; return None if every rank is to make the whole update."""
        if not getattr(optimizer.update, "elementwise", False):
            return None
        before = optimizer.state
        memory = shared_zeros(self._comm, len(before), self._values.shape[1], self._values.dtype)
        if memory is None:
            return None
        rows = {name: memory[:, index] for index, name in enumerate(before)}
        for name, array in before.items():
            rows[name][self._rank] = array
        self._barrier.wait()
        state = SharedState(rows, self._rank, self._parts)
        optimizer.state = state
        return state


class SharedState(Mapping[str, np.ndarray]):
    """The state of an optimiser whose parts different ranks update; whoever reads it gets all parts.

    Attributes
    ----------
    whole : bool
        Whether this rank has the other ranks' parts, as they are after the last step.
    """

    def __init__(self, rows: dict[str, np.ndarray], rank: int, parts: list[slice]) -> None:
        self.whole = True
        self._rows, self._rank, self._parts = rows, rank, parts
        self._own = {name: array[rank] for name, array in rows.items()}

    def complete(self) -> None:
        """Copy the other ranks' parts, which they do not write between steps: for a step they wait for this rank."""
        if not self.whole:
            for arrays in self._rows.values():
                collect(arrays, self._rank, self._parts)
            self.whole = True

    def __getitem__(self, name: str) -> np.ndarray:
        self.complete()
        return self._own[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def collect(arrays: np.ndarray, own: int, parts: list[slice]) -> None:
    """Copy the parts of all ranks, each from the rank's own array, to this rank's array."""
    for rank, part in enumerate(parts):
        if rank != own:
            arrays[own, part] = arrays[rank, part]


def _part(length: int, rank: int, size: int) -> slice:
    """Return the part of `length` elements that belongs to a rank; parts begin on cache lines."""
    first, last = (length * each // size // LINE * LINE for each in (rank, rank + 1))
    return slice(first, length if rank == size - 1 else last)
