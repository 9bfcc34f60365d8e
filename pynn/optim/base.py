"""The base of optimisers: binding to a model's flat buffers, recorded steps, and steps that are taken wholly or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.selection import kernels
from ..nn.parameters import OwnedError, aligned_zeros, native
from ..nn.recording import is_replayable
from ..utils.config import Configurable, is_own, parameters_of
from ..utils.interrupt import Uninterrupted
from ..utils.validation import flag, fraction, number

if TYPE_CHECKING:
    from ..nn.parameters import FlatParameters, Parameter


def elementwise(update: Callable[..., None]) -> Callable[..., None]:
    """Mark an `update` that treats each element by itself, so that ranks can share out the parameters."""
    update.elementwise = True  # type: ignore[attr-defined]
    return update


class Optimizer(Configurable):
    """Base class of the optimisers.

    Parameters
    ----------
    lr : float
        Learning rate; may be assigned between steps.
    weight_decay : float
        Adds weight_decay * w to the gradient (an L2 penalty of weight_decay / 2 * w^2); AdamW shrinks w directly.
    decay_all : bool
        True decays every parameter, as PyTorch does; False excludes biases, batch norm and PReLU slopes.

    Examples
    --------
    >>> import pynn
    >>> optimizer = pynn.SGD(lr=0.1)
    >>> isinstance(optimizer, pynn.Optimizer)
    True
    >>> optimizer.lr = 0.01
    >>> optimizer
    SGD(lr=0.01, momentum=0.0, weight_decay=0.0, nesterov=False, decay_all=True)
    """

    #: The number of updates so far, int64 (1,): an array, because recorded updates read it.
    counter: np.ndarray
    #: The momentum of the current update, float64 (1,): likewise.
    current_momentum: np.ndarray
    #: The parameters that it is bound to, and its state buffers, as long as them.
    flat: FlatParameters | None
    state: Mapping[str, np.ndarray]
    #: Names of the state buffers that this optimiser keeps.
    state_names: tuple[str, ...] = ()
    # By whether the parameters' sums are wanted; for a part of the parameters also by its bounds.
    _plans: dict[bool | tuple[bool, int, int], _Plan]
    _stats: np.ndarray | None

    def __init__(self, lr: float, weight_decay: float, decay_all: bool) -> None:
        self.__dict__.update(_unbound())
        self.lr = lr
        self.weight_decay = number(weight_decay, "weight_decay", minimum=0)
        self.decay_all = flag(decay_all, "decay_all")

    @property
    def own_momentum(self) -> float | None:
        """The momentum, or Adam's beta1, in whose place a schedule may set another; None without one."""
        return None

    @property
    def steps(self) -> int:
        """The number of updates so far."""
        return int(self.counter[0])

    @steps.setter
    def steps(self, value: int) -> None:
        self.counter[0] = value

    @property
    def stats(self) -> np.ndarray | None:
        """The array to which `update` writes the sums that ops call `stats`; None unless the step is observed."""
        return self._stats

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lr":
            object.__setattr__(self, name, number(value, "lr", minimum=0))
            return
        if not name.startswith("_") and not hasattr(self, name):
            self._refuse_unknown(name)
        super().__setattr__(name, value)
        if name != "steps" and not name.startswith("_"):  # recordings and plans depend on this setting
            object.__setattr__(self, "_plans", {})

    def setting_of(self, made: Optimizer, name: str) -> Any:
        value = super().setting_of(made, name)
        if made.state_names != self.state_names:
            if self.flat is not None:
                raise ValueError(
                    f"{name} is {value!r}, for which {type(self).__name__} keeps other state than it has; assign a new "
                    f"optimizer to the trainer: trainer.optimizer = {made!r}"
                )
            self.state_names = made.state_names
        return value

    def _refuse_unknown(self, name: str) -> None:
        """Raise AttributeError for a new attribute of an optimiser of pynn's once it has all settings."""
        settings = parameters_of(type(self))
        if not is_own(self) and all(setting in self.__dict__ for setting in settings):
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}; it has {', '.join(settings)}")

    def __getstate__(self) -> dict[str, Any]:
        if self.flat is not None:
            raise TypeError(
                f"this {type(self).__name__} is bound to a model, and a copy would not be; copy the trainer, or make a "
                f"new one: {self!r}"
            )
        return self.__dict__ | {"counter": self.counter.copy(), "_plans": {}, "_stats": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies, because joblib may map a file's arrays read-only.
        arrays = {name: native(value.copy()) for name, value in state.items() if isinstance(value, np.ndarray)}
        self.__dict__.update(state | arrays)

    def unbound(self) -> Optimizer:
        """Return an unbound copy with the same settings and no steps taken."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__ | _unbound())
        return copied

    def bind(self, flat: FlatParameters) -> None:
        """Bind the optimiser to a model's parameters; it can be bound to only one model."""
        if self.flat is flat:
            return
        if self.flat is not None:
            raise OwnedError(
                f"this optimizer, {type(self).__name__}, is already bound to another model; make a new one", self
            )
        self.flat = flat
        flat.bound = True
        # A read-only mapping, because recorded updates hold the arrays: they can be written to but not replaced.
        self.state = MappingProxyType(
            {name: aligned_zeros(flat.values.shape, flat.values.dtype) for name in self.state_names}
        )

    def step(
        self,
        lr: float | None = None,
        grad_scale: float = 1.0,
        stats: np.ndarray | None = None,
        momentum: float | None = None,
        part: slice | None = None,
    ) -> None:
        """Update the parameters from their gradients, at the rate `lr` and with `momentum`, by default its own.

        With `part`, only these elements of the flat buffers.

        `stats`, float64 (parameters, 3), receives for each unfrozen parameter the sums of squares of the values before
        the update, of the scaled gradient, and of the update. It does not affect the update.

        A failed update leaves parameters, state and `steps` unchanged.
        """
        if self.flat is None:
            raise RuntimeError("the optimiser has no parameters yet; pass it to a Trainer, or call bind(model.flat)")
        plan, backend = self._plan(stats is not None, part), kernels()
        own = self.own_momentum or 0.0
        self.current_momentum[0] = own if momentum is None else fraction(momentum, "momentum", one=False)
        if grad_scale != 1 or plan.recorded_for is not backend or plan.recorded_stats is not stats:
            with Uninterrupted():
                self._first_step(plan, backend, lr, grad_scale, stats)
            return
        recording = plan.recording
        runs, updates = recording.runs, self.counter.item()
        self.counter[0] = updates + 1
        try:
            plan.set_rate(self.rate(self.lr if lr is None else lr))
            if recording.run() is None:
                raise MemoryError("no memory for an optimiser step")
        except BaseException:  # a signal handler may raise before or after the update
            if recording.runs == runs:
                self.counter[0] = updates
            raise

    def _first_step(
        self, plan: _Plan, backend: Any, lr: float | None, grad_scale: float, stats: np.ndarray | None
    ) -> None:
        """Take a step that is not recorded yet, or cannot be."""
        steps = int(self.counter[0])
        self.counter[0] = steps + 1
        try:
            plan.set_rate(self.rate(self.lr if lr is None else lr))
            self._update(plan, backend, grad_scale, stats)
        except BaseException:
            self.counter[0] = steps
            raise

    def _update(self, plan: _Plan, backend: Any, grad_scale: float, stats: np.ndarray | None) -> None:
        """Run the update in Python, and record it if it can be replayed."""
        assert self.flat is not None
        recorder = getattr(backend, "Recording", None)
        replayable = is_replayable(self.update)
        self._stats = stats
        try:
            if not (replayable and getattr(backend, "WHOLE_UPDATES", False)):
                self._update_reversibly(plan, grad_scale, None if replayable else stats)
            elif grad_scale != 1 or recorder is None:
                self.update(self.flat, plan.bounds, plan.rates, grad_scale)
            else:
                with recorder((), lambda: self._arrays(plan)) as recording:
                    self.update(self.flat, plan.bounds, plan.rates, grad_scale)
                if recording.complete:
                    plan.recording, plan.recorded_for, plan.recorded_stats = recording, backend, stats
        finally:
            self._stats = None

    def _update_reversibly(self, plan: _Plan, grad_scale: float, measured: np.ndarray | None) -> None:
        """Run an update that may fail half-way, rolling it back then; write its stats to `measured`."""
        assert self.flat is not None
        kept = self.keep()
        try:
            self.update(self.flat, plan.bounds, plan.rates, grad_scale)
            if measured is not None:
                _measure(kept[0], self.flat, plan.bounds, grad_scale, measured)
        except BaseException:
            self.take_back(kept)
            raise

    def keep(self) -> list[np.ndarray]:
        """Return copies of the arrays that a step changes, the parameters first."""
        return [array.copy() for array in self._changed()]

    def take_back(self, kept: list[np.ndarray]) -> None:
        """Restore the arrays that `keep` copied."""
        for array, before in zip(self._changed(), kept, strict=True):
            np.copyto(array, before)

    def _changed(self) -> tuple[np.ndarray, ...]:
        assert self.flat is not None
        return self.flat.values, *self.state.values(), self.counter

    def _arrays(self, plan: _Plan) -> list[np.ndarray]:
        """Return the arrays that an update may read; they stay in place."""
        assert self.flat is not None
        own = (array for array in vars(self).values() if isinstance(array, np.ndarray))
        return [self.flat.values, self.flat.grads, *self.state.values(), plan.bounds, plan.rates, *own]

    def rate(self, lr: float) -> float:
        """Return the rate of this step, given the schedule's rate."""
        return lr

    @property
    def bounds(self) -> np.ndarray:
        """The bounds of the unfrozen parameters in the flat buffers, int64 (segments, 2)."""
        return self._plan(False).bounds

    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        """Call the op. A method marked `replayable` is called again only after settings have changed."""
        raise TypeError(f"{type(self).__name__} does not define update(self, flat, bounds, rates, grad_scale)")

    def _plan(self, watched: bool, part: slice | None = None) -> _Plan:
        assert self.flat is not None
        key = watched if part is None else (watched, part.start, part.stop)
        plan = self._plans.get(key)
        if plan is None or plan.version != self.flat.version:
            first, last = (0, len(self.flat.values)) if part is None else (part.start, part.stop)
            plan = self._plans[key] = _Plan(self.flat, self._decay, first, last, join=not watched)
        return plan

    def _decay(self, parameter: Parameter) -> float:
        return self.weight_decay if self.decay_all or parameter.decay else 0.0


def _unbound() -> dict[str, Any]:
    """Return the attributes of an optimiser that has no parameters yet and has taken no step."""
    counters = {"counter": np.zeros(1, np.int64), "current_momentum": np.zeros(1)}
    return {**counters, "flat": None, "state": {}, "_plans": {}, "_stats": None}


class _Plan:
    """The input of an update: segments of the flat buffers, their rates, and the recorded kernel call.

    Neighbouring parameters with the same settings are merged into one segment, unless each needs separate sums.
    Segments end at `first` and `last`; one outside is empty.
    """

    def __init__(
        self, flat: FlatParameters, decay: Callable[[Parameter], float], first: int, last: int, *, join: bool
    ) -> None:
        self.version = flat.version
        bounds, owners = flat.segments((lambda p: (p.lr_factor, decay(p))) if join else None)
        self.bounds = bounds.clip(first, last)
        self.rates = np.zeros((len(owners), 2))
        self.rates[:, 1] = [decay(owner) for owner in owners]
        self.recording: Any = None
        self.recorded_for: Any = None  # the backend
        self.recorded_stats: np.ndarray | None = None
        factors = np.array([owner.lr_factor for owner in owners], dtype=np.float64)
        self._lr_factors = None if (factors == 1).all() else factors
        self._lrs = self.rates[:, 0]
        self._last_rate = math.nan

    def set_rate(self, rate: float) -> None:
        """Write the learning rate of every segment."""
        if rate != self._last_rate:
            if self._lr_factors is None:
                self._lrs.fill(rate)  # a quarter of the time of a product
            else:
                np.multiply(self._lr_factors, rate, out=self._lrs)
            self._last_rate = rate


def _measure(
    before: np.ndarray, flat: FlatParameters, bounds: np.ndarray, grad_scale: float, stats: np.ndarray
) -> None:
    """Compute the sums that kernels write to `stats`, for an update that does not write them itself."""
    for row, (start, stop) in zip(stats, bounds, strict=True):
        arrays = (before[start:stop], grad_scale * flat.grads[start:stop], flat.values[start:stop] - before[start:stop])
        row[:] = [np.square(array, dtype=np.float64).sum() for array in arrays]
