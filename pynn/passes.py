"""The forward and backward pass of a training step: op by op at first, then by repeating the kernel calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .backend import kernels
from .config import changes
from .context import Context
from .layers.base import is_replayable

if TYPE_CHECKING:
    from .babysit.watch import Watch
    from .losses import Loss
    from .model import Sequential
    from .random import Stream

#: Batch shapes whose recordings are kept; a run has one or two.
MOST_RECORDINGS = 16


class _Recorded(NamedTuple):
    forward: Any
    backward: Any
    prediction: np.ndarray


class Passes:
    """Runs a model and its loss forward and backward on one minibatch at a time.

    Where the backend can record kernel calls, and every layer and the loss does nothing but call ops on arrays that
    stay where they are (see `layers.base.replayable`), the first step with a batch shape is recorded, and the later
    ones repeat its calls without going through Python: the same calls, so the same bits. What the calls were made from
    may change between steps (a layer's attribute, a frozen parameter, the backend); then they are recorded again. A
    step that reads an array which the next step would not fill, such as a converted copy, is not repeated.

    Attributes
    ----------
    prediction : ndarray
        What the last forward pass gave; overwritten by the next.
    inputs : tuple
        What it was given: inputs, targets, and weights of the examples or None.
    """

    def __init__(self, model: Sequential, random: Stream, undo: Callable[[], None]) -> None:
        self.model = model
        self._undo = undo  # takes back what an attempt that failed has changed
        self.prediction = np.empty(0)
        self._random = random
        self._context = Context(training=True, random=random, reuse=True)
        self._context.needs_dx = False
        self._gradient = np.empty(0)
        self._recordings: dict[tuple[Any, ...], _Recorded] = {}
        self._version: tuple[Any, ...] = ()
        self._recorder: Callable[..., Any] | None = None
        self._current: _Recorded | None = None
        self.inputs: tuple[Any, ...] = ()

    def forward(
        self,
        loss: Loss,
        x: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray | None,
        watch: Watch | None = None,
    ) -> float:
        """Return the loss of a minibatch; the arrays must be what `arguments.ready` gives.

        `watch` is shown what the layers make of the batch.
        """
        version = (changes.count, self.model.flat.version, kernels(), loss)
        if version != self._version:
            self._forget(loss)
            self._version = version
        self._context.watch = watch
        inputs = self.inputs = (x, target, weights)
        key = (x.shape, target.shape, target.dtype, None if weights is None else weights.shape, watch)
        recorded = self._recordings.get(key)
        if recorded is not None and recorded.forward.complete and recorded.backward.complete:
            value = recorded.forward.run(inputs)
            if value is not None:
                self._current, self.prediction = recorded, recorded.prediction
                return value
            self._undo()  # a call failed: taking the step op by op tells why
        if self._recorder is None:
            self._current = None
            return self._forward(loss, x, target, weights)
        owned = partial(self._owned, loss)
        with self._recorder(inputs, owned) as recording:
            value = self._forward(loss, x, target, weights)
        if len(self._recordings) >= MOST_RECORDINGS:
            self._recordings.clear()
        backward = self._recorder(inputs, owned, recording)
        self._current = self._recordings[key] = _Recorded(recording, backward, self.prediction)
        return value

    def backward(self) -> None:
        """Write the gradients of the last forward pass's loss."""
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
        if self._context.watch is not None:
            self._context.watch.inputs(x)
        prediction = self.model.forward(x, self._context)
        out = self._context.buffer("dprediction", prediction.shape, prediction.dtype)
        value, gradient = loss.forward(prediction, target, weights, out)
        gradient = np.ascontiguousarray(gradient, dtype=prediction.dtype)
        if gradient.shape != prediction.shape:
            raise ValueError(f"the loss returned a gradient of shape {gradient.shape}; expected {prediction.shape}")
        self.prediction, self._gradient = prediction, gradient
        if self._context.watch is not None:
            self._context.watch.scores(loss, prediction, target)
        return value

    def _backward(self) -> None:
        self.model.backward(self._gradient, self._context)
        if self._context.watch is not None:
            self._context.watch.weight_gradients()

    def _owned(self, loss: Loss) -> Iterator[np.ndarray]:
        """Yield the arrays that stay in place from step to step, until `forward` notices a change."""
        yield from (self.model.flat.values, self.model.flat.grads, self._random.state)
        yield from (value for value in vars(loss).values() if isinstance(value, np.ndarray))
        for layer in self.model.all_layers():  # a layer's private attributes may be replaced unnoticed
            for name, value in vars(layer).items():
                if isinstance(value, np.ndarray) and not name.startswith("_"):
                    yield value
        if self._context.watch is not None:
            yield from self._context.watch.arrays()

    def _forget(self, loss: Loss) -> None:
        """Forget the recordings, because something that they were made from has changed."""
        self._recordings.clear()
        methods = [(layer.forward, layer.backward) for layer in self.model.all_layers()]
        replayable = all(is_replayable(method) for method in (*sum(methods, ()), loss.forward))
        self._recorder = getattr(kernels(), "Recording", None) if replayable else None
