"""The networks of the corpus, and the layers, losses and callbacks that its users wrote themselves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pynn

Init = str | Callable[[tuple[int, ...]], np.ndarray]


def gaussian(std: float) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Return an initialiser N(0, std^2) for `Linear`."""
    return lambda shape: pynn.init.normal(shape, std)


def scaled(name: str, gain: float) -> Callable[[tuple[int, ...]], np.ndarray]:
    """Return the initialiser of that name times `gain`."""
    return lambda shape: gain * pynn.init.INITIALIZERS[name](shape)


def mlp(
    seed: int,
    sizes: Sequence[int],
    activation: Callable[[], pynn.Layer] | None = pynn.ReLU,
    init: Init | None = "he_normal",
    *,
    norm: float | None = None,
    dropout: float = 0.0,
    last_init: Init | None = None,
    tail: Sequence[pynn.Layer] = (),
    dtype: Any = np.float32,
) -> pynn.Sequential:
    """Return a network of linear layers; `norm` is the momentum of a batch norm before every activation."""
    pynn.manual_seed(seed)
    layers: list[pynn.Layer] = []
    last = len(sizes) - 2
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        start = last_init if index == last and last_init is not None else init
        layers.append(pynn.Linear(fan_in, fan_out, init=start, dtype=dtype))
        if index == last:
            break
        if norm is not None:
            layers.append(pynn.BatchNorm1d(fan_out, momentum=norm, dtype=dtype))
        if activation is not None:
            layers.append(activation())
        if dropout:
            layers.append(pynn.Dropout(dropout))
    return pynn.Sequential(*layers, *tail)


def set_hidden_biases(model: pynn.Sequential, value: float) -> None:
    """Set the biases of all linear layers but the last."""
    biases = [layer.bias for layer in model if isinstance(layer, pynn.Linear) and layer.bias is not None]
    for bias in biases[:-1]:
        bias[...] = value


class Softmax(pynn.Layer):
    """The softmax that many put behind the last layer, although the loss has one."""

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        exponential = np.exp(x - x.max(axis=1, keepdims=True))
        ctx.y = exponential / exponential.sum(axis=1, keepdims=True)
        return ctx.y

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return ctx.y * (dy - (dy * ctx.y).sum(axis=1, keepdims=True))


class Swish(pynn.Layer):
    """An activation x sigmoid(x) of one's own; `sign` -1 gives its gradient the wrong sign."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        ctx.x, ctx.gate = x, 1 / (1 + np.exp(-x))
        return x * ctx.gate

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return self.sign * dy * ctx.gate * (1 + ctx.x * (1 - ctx.gate))


class Residual(pynn.Layer):
    """x + scale * relu(x) W with a W of one's own."""

    def __init__(self, features: int, scale: float) -> None:
        super().__init__()
        self.features, self.scale = features, scale
        self.weight = pynn.Parameter(pynn.init.he_normal((features, features)))

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        ctx.active = np.maximum(x, 0)
        return x + self.scale * (ctx.active @ self.weight.data)

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        self.weight.grad[...] = self.scale * (ctx.active.T @ dy)
        return dy + self.scale * (dy @ self.weight.data.T) * (ctx.active > 0)


class OwnNorm(pynn.Layer):
    """A batch norm of one's own without scale and shift; `axis` 0 is right, `updates` whether it keeps statistics."""

    buffer_names = ("running_mean", "running_var")

    def __init__(self, features: int, updates: bool = True) -> None:
        super().__init__()
        self.features, self.updates = features, updates
        self.running_mean = np.zeros(features, np.float32)
        self.running_var = np.ones(features, np.float32)

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        mean, var = self.running_mean, self.running_var
        ctx.batch = ctx.training
        if ctx.training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            if self.updates:
                self.running_mean += 0.1 * (mean - self.running_mean)
                self.running_var += 0.1 * (var - self.running_var)
        ctx.rstd = 1 / np.sqrt(var + np.float32(1e-5))
        ctx.y = (x - mean) * ctx.rstd
        return ctx.y

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        if not ctx.batch:
            return dy * ctx.rstd
        return ctx.rstd * (dy - dy.mean(axis=0) - ctx.y * (dy * ctx.y).mean(axis=0))


class OwnDropout(pynn.Layer):
    """A dropout of one's own, which draws from a generator of its own and goes backward in training only."""

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        self.p, self.rng = p, np.random.default_rng(seed)

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        if not ctx.training:
            return x
        ctx.mask = (self.rng.random(x.shape) > self.p) / np.float32(1 - self.p)
        return x * ctx.mask.astype(x.dtype)

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return dy * ctx.mask.astype(dy.dtype)


class CentreRows(pynn.Layer):
    """Takes the mean of each example away; with `axis` 0 that of the batch, so that examples see each other."""

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return x - x.mean(axis=self.axis, keepdims=True)

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return dy - dy.mean(axis=self.axis, keepdims=True)


class UnitRows(pynn.Layer):
    """Divides each row by its length; without `eps` a row of zeros gives NaN."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            ctx.length = np.sqrt((x * x).sum(axis=1, keepdims=True)) + np.float32(self.eps)
            ctx.y = x / ctx.length
        return ctx.y

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return (dy - ctx.y * (dy * ctx.y).sum(axis=1, keepdims=True)) / ctx.length


class At(pynn.Callback):
    """Do something once, at the end of a step."""

    def __init__(self, step: int, action: Callable[[pynn.Trainer], None]) -> None:
        self.step, self.action = step, action

    def on_step_end(self, trainer: pynn.Trainer) -> None:
        if trainer.steps == self.step:
            self.action(trainer)


def set_rate(lr: float) -> Callable[[pynn.Trainer], None]:
    """Return an action for `At` that sets the learning rate."""

    def action(trainer: pynn.Trainer) -> None:
        trainer.optimizer.lr = lr

    return action


def naive_cross_entropy(scale: Callable[[int], float], floor: float) -> Callable[..., tuple[float, np.ndarray]]:
    """Return a cross-entropy of one's own: `scale` of the batch size times the sum; log(p + floor) is taken."""

    def loss(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        exponential = np.exp(prediction - prediction.max(axis=1, keepdims=True))
        p = exponential / exponential.sum(axis=1, keepdims=True)
        rows = np.arange(len(target))
        factor = scale(len(target))
        with np.errstate(divide="ignore"):
            value = -factor * float(np.log(p[rows, target] + floor).sum())
        p[rows, target] -= 1
        return value, (factor * p).astype(prediction.dtype)

    return loss


def naive_binary_cross_entropy(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Return -y log p - (1 - y) log(1 - p) and its gradient as they stand: p rounds to 1 from a logit of 17 on."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        p = 1 / (1 + np.exp(-prediction))
        value = -float((target * np.log(p) + (1 - target) * np.log(1 - p)).mean())
        return value, ((p - target) / p.size).astype(prediction.dtype)
