"""The sums over all ranks that a training step needs: gradients, losses, running statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.layers import BatchNorm
from ..utils.validation import choice

if TYPE_CHECKING:
    from ..nn.context import Context
    from ..nn.sequential import Sequential
    from .ranks import Ranks

#: Bytes of gradients that are summed at once, while the backward pass computes those of earlier layers.
PIECE = 4 << 20
#: What gradients are compressed to.
COMPRESSIONS = ("bfloat16",)


class Exchange:
    """Sums what the ranks computed of their shares of a minibatch.

    The gradients are summed in pieces of the flat buffer, from its end to its start as the backward pass completes
    layers. Each rank sends a few figures with every step, the loss among them; their sum is taken in the order of the
    ranks.

    Attributes
    ----------
    figures : ndarray
        Loss, correct predictions, counted predictions, and whether a rank stops, of the last step: sums over the ranks.
    """

    def __init__(self, ranks: Ranks, model: Sequential, compression: str | None = None) -> None:
        from mpi4py import MPI  # whoever has a communicator has mpi4py

        if compression is not None:
            choice(compression, "compression", COMPRESSIONS)
            if model.dtype != np.float32:
                raise TypeError(f"compression is {compression!r}, of float32; the model is {model.dtype}")
        self.ranks = ranks
        self._flat = model.flat
        self._in_place, self._wait = MPI.IN_PLACE, MPI.Request.Waitall
        self._compress = compression is not None
        self._starts: dict[int, int] = {}
        self._model = model
        self._norms: list[np.ndarray] = []
        self._stop = 0  # gradients from here on are summed, or being summed
        self._requests: list[Any] = []
        self.figures = np.zeros(4)

    def lay_out(self) -> None:
        """Take note of the layers, after a change of the model."""
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
        if (self._stop - start) * self._flat.grads.itemsize >= PIECE:
            context.outside(partial(self._begin_sum, start, self._stop))
            self._stop = start

    def finish(self, context: Context) -> None:
        """Wait until all gradients are summed."""
        context.outside(partial(self._end_sums, self._stop))

    def _begin_sum(self, start: int, stop: int) -> None:
        if self._compress:
            self._sum_compressed(self._flat.grads[start:stop])
        else:
            self._requests.append(self.ranks.comm.Iallreduce(self._in_place, self._flat.grads[start:stop]))

    def _end_sums(self, stop: int) -> None:
        if stop:
            if self._compress:
                self._sum_compressed(self._flat.grads[:stop])
            else:
                self.ranks.comm.Allreduce(self._in_place, self._flat.grads[:stop])
        self._wait(self._requests)
        self._requests.clear()

    def _sum_compressed(self, grads: np.ndarray) -> None:
        """Sum in bfloat16: each rank receives its part of all gradients, sums it in float32 and sends the sum."""
        size = self.ranks.size
        width = -(-len(grads) // size)
        sent = np.zeros((size, width), np.uint16)
        sent.reshape(-1)[: len(grads)] = as_bfloat16(grads)
        received = np.empty_like(sent)
        self.ranks.comm.Alltoall(sent, received)
        total = from_bfloat16(received[0])
        for part in received[1:]:
            total += from_bfloat16(part)
        self.ranks.comm.Allgather(as_bfloat16(total), sent)
        grads[...] = from_bfloat16(sent.reshape(-1)[: len(grads)])

    def tell(self, loss: float, counted: tuple[float, float] | None, *, stops: bool) -> Callable[[], float]:
        """Send this rank's figures of a step; return the function that waits for the others' and returns the loss."""
        sent = np.concatenate([[loss, *(counted or (0.0, 0.0)), stops], *self._norms])
        received = np.empty((self.ranks.size, len(sent)))
        request = self.ranks.comm.Iallgather(sent, received)

        def wait() -> float:
            request.Wait()
            self.figures = received[:, :4].sum(axis=0)
            place = 4
            for array in self._norms:
                array[...] = received[:, place : place + len(array)].mean(axis=0)
                place += len(array)
            return float(self.figures[0])

        return wait


def as_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return float32 values rounded to bfloat16, to even, as uint16; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from_bfloat16(as_bfloat16(np.array([1.0, 3.14159, 0.1], np.float32)))
    array([1.        , 3.140625  , 0.10009766], dtype=float32)
    """
    bits = values.view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    with np.errstate(invalid="ignore"):
        return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)


def from_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the values of `as_bfloat16` as float32."""
    return (values.astype(np.uint32) << 16).view(np.float32)
