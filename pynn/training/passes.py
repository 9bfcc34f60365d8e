"""The forward and backward pass of a training step: op by op at first, then by replaying the kernel calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..backends.selection import kernels
from ..nn.context import Context
from ..nn.recording import lasting_arrays, recorder, track_changes
from .tape import Tape

if TYPE_CHECKING:
    from ..nn.loss import Loss
    from ..nn.observer import Observer
    from ..nn.random import Stream
    from ..nn.sequential import Sequential
    from ..nn.share import Share
    from .exchange import Exchange

#: Maximum number of recordings, one per batch shape; a run has one or two shapes.
MAX_RECORDINGS = 16


class _Recorded(NamedTuple):
    key: tuple[Any, ...]
    forward: Any
    backward: Any
    prediction: np.ndarray


class RecordedPasses:
    """Runs a model and its loss forward and backward on one minibatch at a time.

    The first step with a batch shape records its kernel calls, if the backend can record and if the layers and the loss
    only call ops on arrays that stay in place (see `nn.recording.replayable`). Later steps replay these calls without
    Python, with bit-identical results. A change between steps (a layer's attribute, a frozen parameter, the backend)
    invalidates the recording, and the next step records anew. A recording is not replayed if it reads an array that
    later steps do not fill, such as a converted copy of an input.

    With an `exchange`, other ranks compute the other rows of each minibatch; the gradients are those of the whole.

    Attributes
    ----------
    prediction : ndarray
        The output of the last forward pass; the next one overwrites it.
    inputs : tuple
        The arguments of the last forward pass: inputs, targets, and weights of the examples or None.
    """

    def __init__(
        self, model: Sequential, random: Stream, undo: Callable[[], None], exchange: Exchange | None = None
    ) -> None:
        self.model, self._flat = model, model.flat
        self._undo = undo  # reverts the changes of a failed replay
        self.prediction = np.empty(0)
        self._random = random
        self._context = Context(training=True, random=random, reuse=True)
        self._context.needs_dx = False
        self._gradient = np.empty(0)
        self._exchange = exchange
        self._factor = np.ones(1, model.dtype)  # of the gradient of this rank's rows
        if exchange is not None:
            self._context.finished = partial(exchange.finished, self._context)
        self._recordings: dict[tuple[Any, ...], _Recorded] = {}
        self._version: tuple[Any, ...] = ()
        self._recorder: Callable[..., Any] | None = None
        self._current: _Recorded | None = None
        self.inputs: tuple[Any, ...] = ()

    def forward_share(
        self,
        share: Share,
        loss: Loss,
        x: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray | None,
        observer: Observer | None = None,
    ) -> float:
        """Return the loss of this rank's rows of a minibatch, multiplied by the factor of its share."""
        self._context.share = share
        self._factor[0] = share.factor
        value = self.forward(loss, x, target, weights, observer, (share.start, share.total))
        return share.factor * value if share.factor else 0.0

    def forward(
        self,
        loss: Loss,
        x: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray | None,
        observer: Observer | None = None,
        place: tuple[int, int] | None = None,
    ) -> float:
        """Return the loss of a minibatch; the arrays must come from `utils.validation.ready`.

        `observer` sees the outputs of the layers. `place` is that of the rows in the minibatch of all ranks: (first
        row, rows of all ranks).
        """
        version = (self._flat.version, loss, loss.version, kernels())
        if version != self._version:
            self._forget(loss)
            self._version = version
        self._context.observer = observer
        inputs = self.inputs = (x, target, weights)
        key = (x.shape, target.shape, target.dtype, None if weights is None else weights.shape, observer, place)
        recorded = self._current
        if recorded is None or recorded.key != key:
            recorded = self._recordings.get(key)
        if recorded is not None and recorded.forward.complete and recorded.backward.complete:
            value = recorded.forward.run(inputs)
            if value is not None:
                self._current, self.prediction = recorded, recorded.prediction
                return value
            if place is not None:  # the other ranks have gone on: this one must not exchange anything again
                loss.forward(recorded.prediction, target, weights)
                raise MemoryError("no memory for the workspaces of the forward pass")
            self._undo()  # a call failed: running the step op by op raises the specific error
        if self._recorder is None:
            self._current = None
            return self._forward(loss, x, target, weights)
        owned = partial(self._owned, loss)
        with self._recorder(inputs, owned) as recording:
            value = self._forward(loss, x, target, weights)
        if len(self._recordings) >= MAX_RECORDINGS:
            self._recordings.clear()
        backward = self._recorder(inputs, owned, recording)
        self._current = self._recordings[key] = _Recorded(key, recording, backward, self.prediction)
        return value

    def backward(self) -> None:
        """Write the gradients of the loss of the last forward pass."""
        if self._current is None:
            self._backward()
            return
        recording = self._current.backward
        if not recording.complete:
            with recording:
                self._backward()
        elif recording.run(self.inputs) is None:
            raise MemoryError("no memory for the workspaces of the backward pass")

    def _forward(self, loss: Loss, x: np.ndarray, target: np.ndarray, weights: np.ndarray | None) -> float:
        if self._context.observer is not None:
            self._context.observer.inputs(x)
        prediction = self.model.forward(x, self._context)
        out = self._context.buffer("dprediction", prediction.shape, prediction.dtype)
        value, gradient = loss.forward(prediction, target, weights, out)
        gradient = np.ascontiguousarray(gradient, dtype=prediction.dtype)
        if gradient.shape != prediction.shape:
            raise ValueError(f"the loss returned a gradient of shape {gradient.shape}; expected {prediction.shape}")
        self.prediction, self._gradient = prediction, gradient
        if self._context.observer is not None:
            self._context.observer.scores(loss, prediction, target)
        return value

    def _backward(self) -> None:
        if self._exchange is not None:
            self._context.outside(partial(np.multiply, self._gradient, self._factor, out=self._gradient))
            self._exchange.begin()
        self.model.backward(self._gradient, self._context)
        if self._exchange is not None:
            self._exchange.finish(self._context)
        if self._context.observer is not None:
            self._context.observer.weight_gradients()

    def _owned(self, loss: Loss) -> Iterator[np.ndarray]:
        """Yield the arrays that stay in place from step to step, until `forward` detects a change."""
        yield from (self._flat.values, self._flat.grads, self._random.state)
        yield from (value for value in vars(loss).values() if isinstance(value, np.ndarray))
        yield from lasting_arrays(self.model.all_layers())
        if self._exchange is not None and self._context.share is not None:
            yield self._context.share.rows
            yield from (slots.rows for slots in self._exchange.ranks.all_slots)
        if self._context.observer is not None:
            yield from self._context.observer.arrays()

    def _forget(self, loss: Loss) -> None:
        """Discard the recordings, because something that they depend on has changed."""
        self._recordings.clear()
        self._current = None
        layers = list(self.model.all_layers())
        track_changes(layers, self._flat)
        methods = [method for layer in layers for method in (layer.forward, layer.backward)]
        self._recorder = recorder([*methods, loss.forward])
        if self._exchange is not None:
            self._exchange.lay_out()
            if self._recorder is not None:
                self._recorder = partial(Tape, self._recorder, self._context)
