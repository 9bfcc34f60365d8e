"""The optimisers: the state that each keeps, and one kernel call over the flat parameter buffer per step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import ops
from ..nn.recording import replayable
from ..utils.validation import flag, fraction, number
from .base import Optimizer, elementwise

if TYPE_CHECKING:
    from ..nn.parameters import FlatParameters


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
        self.momentum = fraction(momentum, "momentum", one=False)
        self.nesterov = flag(nesterov, "nesterov")
        if self.nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0")
        self.state_names = ("velocity",) if momentum else ()

    @property
    def own_momentum(self) -> float | None:
        return self.momentum or None

    @elementwise
    @replayable
    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        ops.sgd(
            flat.values,
            flat.grads,
            self.state.get("velocity"),
            bounds,
            rates,
            momentum=self.current_momentum,
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

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.Adagrad(lr=0.1))
    >>> history = trainer.fit(x, y, epochs=2)
    >>> history["loss"][1] < history["loss"][0]
    True
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
        self.lr_decay = number(lr_decay, "lr_decay", minimum=0)
        self.eps = number(eps, "eps", minimum=0)

    def rate(self, lr: float) -> float:
        return lr / (1 + (self.steps - 1) * self.lr_decay)

    @elementwise
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

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.RMSprop(lr=0.01))
    >>> history = trainer.fit(x, y, epochs=2)
    >>> history["loss"][1] < history["loss"][0]
    True
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
        self.eps = number(eps, "eps", minimum=0)
        self.momentum = fraction(momentum, "momentum", one=False)
        self.state_names = ("square_avg", "velocity") if momentum else ("square_avg",)

    @property
    def own_momentum(self) -> float | None:
        return self.momentum or None

    @elementwise
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
            momentum=self.current_momentum,
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
        self.eps = number(eps, "eps", minimum=0)

    @property
    def own_momentum(self) -> float | None:
        return self.betas[0]

    @property
    def corrected_step(self) -> np.ndarray:
        """The number of steps for which the kernel corrects the bias of the averages."""
        return self.counter

    @elementwise
    @replayable
    def update(self, flat: FlatParameters, bounds: np.ndarray, rates: np.ndarray, grad_scale: float) -> None:
        ops.adam(
            flat.values,
            flat.grads,
            self.state["exp_avg"],
            self.state["exp_avg_sq"],
            bounds,
            rates,
            step=self.corrected_step,
            beta1=self.current_momentum,
            beta2=self.betas[1],
            eps=self.eps,
            decoupled=self.decoupled,
            grad_scale=grad_scale,
            stats=self.stats,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): w -= lr weight_decay w, plus Adam's update.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.AdamW(lr=0.01, weight_decay=0.1))
    >>> history = trainer.fit(x, y, epochs=2)
    >>> history["loss"][1] < history["loss"][0]
    True
    """

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
