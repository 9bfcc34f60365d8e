"""The sums over all ranks that a training step needs: gradients, losses, running statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.layers import BatchNorm
from .compression import sum_compressed
from .host import Host

if TYPE_CHECKING:
    from ..nn.context import Context
    from ..nn.sequential import Sequential
    from ..optim.base import Optimizer
    from .ranks import Ranks

#: Bytes of gradients that are sent at once, while the backward pass computes those of earlier layers.
PIECE = 4 << 20


class Exchange:
    """Sums what the ranks computed of their shares of a minibatch.

    MPI sums the gradients in pieces of the flat buffer, from its end to its start, while the backward pass goes on. The
    ranks of one host sum theirs in shared memory, after the backward pass (see `Host`). Each rank sends a few figures
    with every step, the loss among them; their sum is taken in the order of the ranks.

    Attributes
    ----------
    figures : ndarray
        Loss, correct predictions, counted predictions, and whether a rank stops, of the last step: sums over the ranks.
    """

    def __init__(self, ranks: Ranks, model: Sequential, compression: str | None = None) -> None:
        from mpi4py import MPI  # whoever has a communicator has mpi4py

        self.ranks = ranks
        self._flat = model.flat
        self._in_place, self._wait = MPI.IN_PLACE, MPI.Request.Waitall
        self._compress = compression is not None
        self._host = Host.of(ranks, self._flat, self._sum_over)
        self._starts: dict[int, int] = {}
        self._model = model
        self._norms: list[np.ndarray] = []
        self._stop = 0  # gradients from here on are summed, or being summed
        self._requests: list[Any] = []
        self.figures = np.zeros(4)

    def lay_out(self) -> None:
        """Record where the gradients of each layer start, after a change of the model."""
        starts = {id(parameter): start for _, parameter, start, _ in self._flat.slots}
        self._starts = {
            id(layer): min(starts[id(parameter)] for parameter in layer.parameters())
            for layer in self._model.all_layers()
            if layer.parameters()
        }
        norms = [layer for layer in self._model.all_layers() if isinstance(layer, BatchNorm) and not layer.sync]
        self._norms = [array for layer in norms for array in (layer.running_mean, layer.running_var)]

    def begin(self) -> None:
        """Begin the backward pass."""
        self._stop = len(self._flat.grads)

    def finished(self, context: Context, layer: Any) -> None:
        """Sum the gradients of the layers from this one on, once they make a piece."""
        start = self._starts.get(id(layer), self._stop)
        if self._host is None and (self._stop - start) * self._flat.grads.itemsize >= PIECE:
            context.outside(partial(self._begin_sum, start, self._stop))
            self._stop = start

    def finish(self, context: Context) -> None:
        """Wait for the summed gradients: on one host for this rank's part alone, unless an observer needs all."""
        if self._host is None:
            context.outside(partial(self._end_sums, self._stop))
            return
        self._host.sum(context.outside)
        if context.observer is not None:
            context.outside(self._host.complete)

    def complete(self) -> None:
        """Give every rank all sums, for what needs more than the part that it updates."""
        if self._host is not None:
            self._host.complete()

    def _begin_sum(self, start: int, stop: int) -> None:
        grads = self._flat.grads[start:stop]
        if self._compress:
            sum_compressed(self.ranks.comm, grads)
        else:
            self._requests.append(self.ranks.comm.Iallreduce(self._in_place, grads))

    def _end_sums(self, stop: int) -> None:
        if stop:
            self._sum_over(self.ranks.comm, self._flat.grads[:stop])
        self._wait(self._requests)
        self._requests.clear()

    def _sum_over(self, comm: Any, grads: np.ndarray) -> None:
        """Replace gradients by their sum over the ranks of a communicator."""
        if self._compress:
            sum_compressed(comm, grads)
        else:
            comm.Allreduce(self._in_place, grads)

    def update(
        self, optimizer: Optimizer, rate: float, scale: float, stats: np.ndarray | None, momentum: float | None
    ) -> None:
        """Take the optimiser's step, after which all ranks have the same weights."""
        if self._host is None:
            optimizer.step(rate, scale, stats, momentum)
        else:
            self._host.update(optimizer, rate, scale, stats, momentum)

    def end(self) -> None:
        """Give every rank the whole state of the optimiser."""
        if self._host is not None:
            self._host.end()

    def tell(self, loss: float, counted: tuple[float, float] | None, *, stops: bool) -> Callable[[], float]:
        """Send this rank's figures of a step; return the function that waits for the others' and returns the loss."""
        if self._host is not None:
            self._host.whole = False
        gathered = self.ranks.begin_gather(np.concatenate([[loss, *(counted or (0.0, 0.0)), stops], *self._norms]))

        def wait() -> float:
            received = gathered()
            self.figures = received[:, :4].sum(axis=0)
            place = 4
            for array in self._norms:
                array[...] = received[:, place : place + len(array)].mean(axis=0)
                place += len(array)
            return float(self.figures[0])

        return wait
