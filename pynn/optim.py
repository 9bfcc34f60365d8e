"""Optimisers: what to remember of past gradients, and one kernel call over the flat parameter buffer per step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import ops
from .arguments import fraction, number
from .backend import kernels
from .config import Configurable
from .interrupt import Uninterrupted
from .layers.base import is_replayable, replayable
from .parameters import OwnedError, aligned_zeros, native

if TYPE_CHECKING:
    from .parameters import FlatParameters, Parameter


class Optimizer(Configurable):
    """Base of the optimisers.

    Parameters common to all
    ------------------------
    lr : float
        Learning rate; may be assigned between steps.
    weight_decay : float
        Adds weight_decay * w to the gradient (an L2 penalty of weight_decay / 2 * w^2); AdamW shrinks w directly.
    decay_all : bool
        True decays every parameter, as PyTorch does; False spares biases, batch norm and PReLU slopes.
    """

    #: How many updates there have been, int64 (1,): an array, because recorded updates read it.
    counter: np.ndarray
    #: Names of the state buffers that this optimiser keeps.
    state_names: tuple[str, ...] = ()

    def __init__(self, lr: float, weight_decay: float, decay_all: bool) -> None:
        self.lr = lr
        self.weight_decay = number(weight_decay, "weight_decay", least=0)
        self.decay_all = decay_all
        self.counter = np.zeros(1, np.int64)
        self.flat: FlatParameters | None = None
        self.state: Mapping[str, np.ndarray] = {}
        self._plans: dict[bool, _Plan] = {}
        self._stats: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """How many updates there have been."""
        return int(self.counter[0])

    @steps.setter
    def steps(self, value: int) -> None:
        self.counter[0] = value

    @property
    def stats(self) -> np.ndarray | None:
        """Where `update` is to leave the sums that ops call `stats`; None unless the step is watched."""
        return self._stats

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "lr":
            value = number(value, "lr", least=0)
        object.__setattr__(self, name, value)
        if name not in ("lr", "steps") and not name.startswith("_"):  # a number that recordings or the table hold
            object.__setattr__(self, "_plans", {})

    def __getstate__(self) -> dict[str, Any]:
        if self.flat is not None:
            raise TypeError(
                f"this {type(self).__name__} serves a model, of which a copy would know nothing; copy the trainer, or "
                f"make a new one: {self!r}"
            )
        return self.__dict__ | {"counter": self.counter.copy(), "_plans": {}, "_stats": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"counter": native(state["counter"])})

    def unbound(self) -> Optimizer:
        """Return a copy with the same settings that serves no model yet, and has done no steps."""
        copied = object.__new__(type(self))
        # The class's own state buffers come with `bind`.
        fresh: dict[str, Any] = {
            "flat": None,
            "state": {},
            "counter": np.zeros(1, np.int64),
            "_plans": {},
            "_stats": None,
        }
        copied.__dict__.update(self.__dict__ | fresh)
        return copied

    def bind(self, flat: FlatParameters) -> None:
        """Take charge of a model's parameters; an optimiser serves one model."""
        if self.flat is flat:
            return
        if self.flat is not None:
            raise OwnedError(
                f"this optimizer, {type(self).__name__}, already serves another model; make a new one", self
            )
        self.flat = flat
        flat.bound = True
        # Read-only, because recorded updates hold the arrays: they can be written to, not replaced.
        self.state = MappingProxyType(
            {name: aligned_zeros(flat.values.shape, flat.values.dtype) for name in self.state_names}
        )

    def step(self, lr: float | None = None, grad_scale: float = 1.0, stats: np.ndarray | None = None) -> None:
        """Update the parameters from their gradients, at the rate `lr` (by default the optimiser's own).

        `stats`, float64 (parameters, 3), receives for each parameter that is not frozen the sums of squares of the
        values before the update, of the scaled gradient, and of the update. It does not change the update.

        An update that fails leaves parameters, state and `steps` as they were.
        """
        if self.flat is None:
            raise RuntimeError("the optimiser has no parameters yet; give it to a Trainer, or call bind(model.flat)")
        plan, backend = self._plan(stats is not None), kernels()
        if grad_scale != 1 or plan.recorded_for is not backend or plan.recorded_stats is not stats:
            with Uninterrupted():
                self._first_step(plan, backend, lr, grad_scale, stats)
            return
        recording = plan.recording
        runs = recording.runs
        self.counter[0] += 1
        try:
            plan.set_rate(self.rate(self.lr if lr is None else lr))
            if recording.run() is None:
                raise MemoryError("no memory for the sums of an optimiser step")
        except BaseException:  # a signal's handler may raise before the update, or after it
            if recording.runs == runs:
                self.counter[0] -= 1
            raise

    def _first_step(
        self, plan: _Plan, backend: Any, lr: float | None, grad_scale: float, stats: np.ndarray | None
    ) -> None:
        """Make a step that is not recorded yet, or cannot be."""
        steps = int(self.counter[0])
        self.counter[0] = steps + 1
        try:
            plan.set_rate(self.rate(self.lr if lr is None else lr))
            self._update(plan, backend, grad_scale, stats)
        except BaseException:
            self.counter[0] = steps
            raise

    def _update(self, plan: _Plan, backend: Any, grad_scale: float, stats: np.ndarray | None) -> None:
        """Make the update through Python, and record it if it can be repeated."""
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
        """Make an update that may fail half-way; write to `measured` what it did."""
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
        """Return copies of what a step changes, the parameters first."""
        return [array.copy() for array in self._changed()]

    def take_back(self, kept: list[np.ndarray]) -> None:
        """Return to what `keep` has copied."""
        for array, before in zip(self._changed(), kept, strict=True):
            np.copyto(array, before)

    def _changed(self) -> tuple[np.ndarray, ...]:
        assert self.flat is not None
        return self.flat.values, *self.state.values(), self.counter

    def _arrays(self, plan: _Plan) -> list[np.ndarray]:
        """Return what an update may read: arrays that stay in place."""
        assert self.flat is not None
        own = (array for array in vars(self).values() if isinstance(array, np.ndarray))
        return [self.flat.values, self.flat.grads, *self.state.values(), plan.bounds, plan.rates, *own]

    def rate(self, lr: float) -> float:
        """Return the rate of this step, given that of the schedule."""
        return lr

    @property
    def bounds(self) -> np.ndarray:
        """Where in the flat buffers the parameters lie that are not frozen, int64 (segments, 2)."""
        return self._plan(False).bounds

    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        """Call the op. Marked as `replayable`, a method is called again only after settings have changed."""
        raise TypeError(f"{type(self).__name__} does not define update(self, flat, bounds, rates, grad_scale)")

    def _plan(self, watched: bool) -> _Plan:
        assert self.flat is not None
        plan = self._plans.get(watched)
        if plan is None or plan.version != self.flat.version:
            plan = self._plans[watched] = _Plan(self.flat, self._decay, join=not watched)
        return plan

    def _decay(self, parameter: Parameter) -> float:
        return self.weight_decay if self.decay_all or parameter.decay else 0.0


class _Plan:
    """What an update walks over: segments of the flat buffers, their rates, and the recorded kernel call.

    Neighbours of the same settings are joined into one segment, unless each parameter is to have sums of its own.
    """

    def __init__(self, flat: FlatParameters, decay: Callable[[Parameter], float], *, join: bool) -> None:
        self.version = flat.version
        self.bounds, owners = flat.segments((lambda p: (p.lr_factor, decay(p))) if join else None)
        self.rates = np.zeros((len(owners), 2))
        self.rates[:, 1] = [decay(owner) for owner in owners]
        self.recording: Any = None
        self.recorded_for: Any = None  # the backend
        self.recorded_stats: np.ndarray | None = None
        self._lr_factors = np.array([owner.lr_factor for owner in owners], dtype=np.float64)
        self._lrs = self.rates[:, 0]
        self._last_rate = math.nan

    def set_rate(self, rate: float) -> None:
        """Write the learning rate of every segment."""
        if rate != self._last_rate:
            np.multiply(self._lr_factors, rate, out=self._lrs)
            self._last_rate = rate


def _measure(
    before: np.ndarray, flat: FlatParameters, bounds: np.ndarray, grad_scale: float, stats: np.ndarray
) -> None:
    """Write what kernels leave in `stats`, for an update that does not say itself what it did."""
    for row, (start, stop) in zip(stats, bounds, strict=True):
        arrays = (before[start:stop], grad_scale * flat.grads[start:stop], flat.values[start:stop] - before[start:stop])
        row[:] = [np.square(array, dtype=np.float64).sum() for array in arrays]


class SGD(Optimizer):
    """Gradient descent with momentum: v = momentum v + g; w -= lr v (Nesterov: lr (g + momentum v)).

    Parameters
    ----------
    lr, momentum, weight_decay : float
    nesterov : bool
    decay_all : bool
        See `Optimizer`.

    Examples
    --------
    >>> SGD(lr=0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=False, decay_all=True)
    """

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        decay_all: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, decay_all)
        if nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0")
        self.momentum = fraction(momentum, "momentum", one=False)
        self.nesterov = nesterov
        self.state_names = ("velocity",) if momentum else ()

    @replayable
    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        ops.sgd(
            flat.values,
            flat.grads,
            self.state.get("velocity"),
            bounds,
            rates,
            momentum=self.momentum,
            nesterov=self.nesterov,
            grad_scale=grad_scale,
            stats=self.stats,
        )


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): s += g^2; w -= lr g / (sqrt(s) + eps), lr shrinking by 1 + lr_decay per step.

    Parameters
    ----------
    lr, lr_decay, weight_decay, eps : float
    decay_all : bool
        See `Optimizer`.
    """

    state_names = ("square_sum",)

    def __init__(
        self,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        eps: float = 1e-10,
        *,
        decay_all: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, decay_all)
        self.lr_decay = number(lr_decay, "lr_decay", least=0)
        self.eps = number(eps, "eps", least=0)

    def rate(self, lr: float) -> float:
        return lr / (1 + (self.steps - 1) * self.lr_decay)

    @replayable
    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        ops.adagrad(
            flat.values,
            flat.grads,
            self.state["square_sum"],
            bounds,
            rates,
            eps=self.eps,
            grad_scale=grad_scale,
            stats=self.stats,
        )


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012): s = alpha s + (1 - alpha) g^2; w -= lr g / (sqrt(s) + eps).

    Parameters
    ----------
    lr, alpha, eps, weight_decay, momentum : float
    decay_all : bool
        See `Optimizer`.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        *,
        decay_all: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, decay_all)
        self.alpha = fraction(alpha, "alpha", one=False)
        self.eps = number(eps, "eps", least=0)
        self.momentum = fraction(momentum, "momentum", one=False)
        self.state_names = ("square_avg", "velocity") if momentum else ("square_avg",)

    @replayable
    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        ops.rmsprop(
            flat.values,
            flat.grads,
            self.state["square_avg"],
            self.state.get("velocity"),
            bounds,
            rates,
            alpha=self.alpha,
            momentum=self.momentum,
            eps=self.eps,
            grad_scale=grad_scale,
            stats=self.stats,
        )


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015).

    Parameters
    ----------
    lr : float
    betas : (float, float)
        Decay of the averages of the gradient and of its square.
    eps, weight_decay : float
    decay_all : bool
        See `Optimizer`.

    Examples
    --------
    >>> Adam().lr
    0.001
    """

    state_names = ("exp_avg", "exp_avg_sq")
    #: AdamW shrinks the weights by lr * weight_decay instead of adding to the gradient.
    decoupled = False

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decay_all: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, decay_all)
        if not (isinstance(betas, tuple | list) and len(betas) == 2):
            raise ValueError(f"betas is {betas!r}; expected two numbers in [0, 1)")
        self.betas = (fraction(betas[0], "betas[0]", one=False), fraction(betas[1], "betas[1]", one=False))
        self.eps = number(eps, "eps", least=0)

    @replayable
    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        ops.adam(
            flat.values,
            flat.grads,
            self.state["exp_avg"],
            self.state["exp_avg_sq"],
            bounds,
            rates,
            step=self.counter,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            decoupled=self.decoupled,
            grad_scale=grad_scale,
            stats=self.stats,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): w -= lr weight_decay w beside Adam's update."""

    decoupled = True

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        decay_all: bool = True,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, decay_all=decay_all)
