"""The state that a layer keeps between its forward and backward pass, and the buffers for its results."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .parameters import aligned_zeros

if TYPE_CHECKING:
    from .observer import Observer
    from .random import Stream
    from .share import Share, Slots, Tape


class Mode:
    """What holds for all layers of a pass; their contexts share it."""

    __slots__ = ("observer", "output_only", "random", "share", "tape", "training")

    def __init__(self, training: bool, random: Stream | None, output_only: bool) -> None:
        self.training = training
        self.random = random
        self.output_only = output_only
        self.observer: Observer | None = None
        self.share: Share | None = None
        self.tape: Tape | None = None


class GradientPool:
    """A few arrays that the layers of a chain take turns to write gradients to."""

    def __init__(self) -> None:
        self.largest = 0  # bytes of the largest output of a layer
        self._arrays: list[np.ndarray] = []

    def take(self, shape: tuple[int, ...], dtype: np.dtype, apart: tuple[np.ndarray | None, ...]) -> np.ndarray:
        """Return an array that does not overlap those in `apart`, which may be None."""
        size = math.prod(shape) * dtype.itemsize
        index = 0
        while index < len(self._arrays) and any(
            array is not None and np.may_share_memory(self._arrays[index], array) for array in apart
        ):
            index += 1
        if index == len(self._arrays):
            self._arrays.append(np.empty(0, np.uint8))
        if self._arrays[index].size < size:
            # The size of the largest output at once: gradients have output shapes and come in growing sizes.
            self._arrays[index] = aligned_zeros((max(size, self.largest),), np.uint8)
        return self._arrays[index][:size].view(dtype).reshape(shape)


class Context:
    """One layer's memory between its forward and its backward pass.

    A layer itself holds only parameters, so that several callers can use one model at once; the state of a pass lives
    here. A layer may set any attributes (``ctx.x = x`` in forward, read in backward).

    Attributes
    ----------
    training : bool
        Whether dropout drops and batch norm uses the batch.
    output_only : bool
        Inference only: no backward pass follows and intermediates are not kept, so layers may be fused.
    random : Stream
        Source of randomness in training.
    observer : Observer, optional
        Sees every layer's output and its gradient.
    share : Share, optional
        The rows of the minibatch that this process computes; None if it computes all of them.
    tape : Tape, optional
        Records the pass, if other processes compute parts of it.
    finished : callable, optional
        Called by the outermost `Sequential` with each layer whose gradients are complete.
    activation : (str, float or None), optional
        The activation that a layer marked `applies_activation` must apply to its result, in the ops' form.
    folded : (ndarray, ndarray), optional
        Weights and bias that a convolution uses instead of its own, with the following batch norm folded in.
    needs_dx : bool
        Whether backward must return the gradient of the input; False for the first layer of a network.
    dy_sums_to_zero, dx_sums_to_zero : bool
        Whether the gradient that backward receives (or returns) sums to exactly zero over the batch in every column,
        as the gradient of a training-mode batch norm's input does.

    Examples
    --------
    >>> ctx = Context()
    >>> ctx.buffer("y", (2, 3), "float32").shape
    (2, 3)
    """

    def __init__(
        self,
        *,
        training: bool = False,
        random: Stream | None = None,
        reuse: bool = False,
        output_only: bool = False,
    ) -> None:
        self._begin(Mode(training, random, output_only), reuse, None)

    def _begin(self, mode: Mode, reuse: bool, pool: GradientPool | None) -> None:
        self._mode = mode
        self._pool = pool  # of the chain that the layer is in
        self.activation: tuple[str, float | None] | None = None
        self.folded: tuple[np.ndarray, np.ndarray] | None = None
        self.finished: Callable[[Any], None] | None = None
        self.needs_dx = True
        self.dy_sums_to_zero = False
        self.dx_sums_to_zero = False
        self._reuse = reuse
        self._store: dict[str, np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}
        self._slots: dict[str, Slots] = {}
        self._children: list[Context] = []

    @property
    def training(self) -> bool:
        return self._mode.training

    @property
    def output_only(self) -> bool:
        return self._mode.output_only

    @property
    def random(self) -> Stream | None:
        return self._mode.random

    @property
    def observer(self) -> Observer | None:
        return self._mode.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self._mode.observer = observer

    @property
    def share(self) -> Share | None:
        return self._mode.share

    @share.setter
    def share(self, share: Share | None) -> None:
        self._mode.share = share

    @property
    def tape(self) -> Tape | None:
        return self._mode.tape

    @tape.setter
    def tape(self, tape: Tape | None) -> None:
        self._mode.tape = tape

    def outside(self, call: Callable[[], None]) -> None:
        """Make a call that is no op, such as an exchange with other processes; a recorded step makes it again.

        It may read and write only arrays that stay in place from step to step.
        """
        if self.tape is None:
            call()
        else:
            self.tape.outside(call)

    if TYPE_CHECKING:  # layers may set any attribute

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"the forward pass stored no {name!r}; backward needs a forward pass with the same context"
        )

    def buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an uninitialised array to write a result to.

        A trainer's context reuses the same memory in every step, sized for the largest batch so far; any other context
        allocates a new array, which the caller owns.
        """
        if not self._reuse:
            return np.empty(shape, dtype)
        view = self._views.get(name)
        if view is not None and view.shape == shape and view.dtype == dtype:
            return view
        store = self._store.get(name)
        if store is None or store.dtype != dtype or store.shape[1:] != shape[1:] or len(store) < shape[0]:
            store = self._store[name] = aligned_zeros(shape, dtype)
            if self._pool is not None:
                self._pool.largest = max(self._pool.largest, store.nbytes)
        view = self._views[name] = store[: shape[0]]
        return view

    def slots(self, name: str, shape: tuple[int, ...], dtype: Any) -> Slots:
        """Return arrays that the processes of the `share` show each other; the same in every step."""
        assert self.share is not None
        known = self._slots.get(name)
        if known is None or known.rows.shape[1:] != shape or known.rows.dtype != dtype:
            known = self._slots[name] = self.share.group.slots(shape, np.dtype(dtype))
        return known

    def gradient(self, name: str, shape: tuple[int, ...], dtype: Any, *apart: np.ndarray | None) -> np.ndarray:
        """Return an uninitialised array for a gradient that only the preceding layer reads.

        In a trainer's pass the layers of a `Sequential` take turns with a few shared arrays; the result does not
        overlap the arrays in `apart`, which may be None. With an observer, which reads all gradients after the step,
        each gradient is a separate `buffer`.
        """
        if self._pool is None or self.observer is not None or not self._reuse:
            return self.buffer(name, shape, dtype)
        return self._pool.take(shape, np.dtype(dtype), apart)

    def owned(self, result: np.ndarray | None) -> np.ndarray | None:
        """Return a result of the pass for its caller to keep: a copy if later passes reuse its memory."""
        return result.copy() if self._reuse and result is not None else result

    def children(self, count: int, *, chained: bool = False) -> list[Context]:
        """Return the contexts of a container's inner layers, in its mode.

        With `chained`, the inner layers' gradients share memory: each layer reads only the one returned by its
        successor.
        """
        pool = self._children[0]._pool if self._children else GradientPool() if chained else None
        while len(self._children) < count:
            child = Context.__new__(Context)
            child._begin(self._mode, self._reuse, pool)
            self._children.append(child)
        return self._children
