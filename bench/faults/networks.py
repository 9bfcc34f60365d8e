"""The networks of the corpus, with its custom layers, losses and callbacks."""

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
    """Return the named initialiser times `gain`."""
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


def cnn(
    seed: int,
    channels: Sequence[int] = (1, 8, 16),
    activation: Callable[[], pynn.Layer] = pynn.ReLU,
    init: Init | None = "he_normal",
    *,
    size: int = 8,
    classes: int = 10,
    norm: float | None = None,
    first_norm: bool = False,
    pooled: int = 2,
    average: bool = False,
    hidden: int = 0,
    dropout: float = 0.0,
    last_init: Init | None = None,
    tail: Sequence[pynn.Layer] = (),
) -> pynn.Sequential:
    """Return a network of 3x3 convolutions for images `size` wide; the first `pooled` are followed by a pooling.

    `norm` is the momentum of a batch norm before every activation; `first_norm` adds one for the images; `hidden` is
    the width of a linear layer; `average` adds global average pooling before the last layer.
    """
    pynn.manual_seed(seed)
    layers: list[pynn.Layer] = [pynn.BatchNorm2d(channels[0])] if first_norm else []
    for index, (given, made) in enumerate(itertools.pairwise(channels)):
        layers.append(pynn.Conv2d(given, made, 3, padding=1, init=init))
        if norm is not None:
            layers.append(pynn.BatchNorm2d(made, momentum=norm))
        layers.append(activation())
        if index < pooled:
            layers.append(pynn.MaxPool2d(2))
            size //= 2
        if dropout:
            layers.append(pynn.Dropout2d(dropout))
    features = channels[-1] * (1 if average else size * size)
    layers += [pynn.AdaptiveAvgPool2d(1), pynn.Flatten()] if average else [pynn.Flatten()]
    if hidden:
        layers += [pynn.Linear(features, hidden, init=init), activation()]
    layers.append(pynn.Linear(hidden or features, classes, init=last_init))
    return pynn.Sequential(*layers, *tail)


def block(
    channels: int,
    *,
    norm: bool = True,
    last: Init | None = "he_normal",
    gamma: float = 1.0,
    first: bool = False,
    activation: Callable[[], pynn.Layer] = pynn.ReLU,
) -> pynn.Residual:
    """Return a residual block of two convolutions.

    The second starts as `last` or, if a batch norm follows, at the scale `gamma`; `first` puts batch norm and
    activation before the convolutions.
    """
    one = pynn.Conv2d(channels, channels, 3, padding=1, init="he_normal")
    two = pynn.Conv2d(channels, channels, 3, padding=1, init=last)
    if not norm:
        return pynn.Residual(pynn.Sequential(one, activation(), two))
    norms = pynn.BatchNorm2d(channels), pynn.BatchNorm2d(channels)
    if first:
        return pynn.Residual(pynn.Sequential(norms[0], activation(), one, norms[1], activation(), two))
    norms[1].weight[...] = gamma
    return pynn.Residual(pynn.Sequential(one, norms[0], activation(), two, norms[1]))


def set_hidden_biases(model: pynn.Sequential, value: float) -> None:
    """Set the biases of all linear layers and convolutions but the last."""
    kinds = pynn.Linear | pynn.Conv2d
    biases = [layer.bias for layer in model if isinstance(layer, kinds) and layer.bias is not None]
    for bias in biases[:-1]:
        bias[...] = value


class Softmax(pynn.Layer):
    """A redundant softmax after the last layer, although the loss includes one."""

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        exponential = np.exp(x - x.max(axis=1, keepdims=True))
        ctx.y = exponential / exponential.sum(axis=1, keepdims=True)
        return ctx.y

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return ctx.y * (dy - (dy * ctx.y).sum(axis=1, keepdims=True))


class Swish(pynn.Layer):
    """A custom activation x sigmoid(x); `sign` -1 gives its gradient the wrong sign."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, x: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        ctx.x, ctx.gate = x, 1 / (1 + np.exp(-x))
        return x * ctx.gate

    def backward(self, dy: np.ndarray, ctx: pynn.Context) -> np.ndarray:
        return self.sign * dy * ctx.gate * (1 + ctx.x * (1 - ctx.gate))


class Residual(pynn.Layer):
    """x + scale * relu(x) W with its own W."""

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
    """A custom batch norm without scale and shift; `updates` sets whether it updates running statistics."""

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
    """A custom dropout with its own generator; its backward pass only works in training."""

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
    """Subtracts the mean of each example; with `axis` 0 that of the batch, so that examples affect each other."""

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
    """Return a custom cross-entropy with log(p + floor): the sum times `scale(batch size)`."""

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
    """Return -y log p - (1 - y) log(1 - p) and its gradient, unstabilised: p rounds to 1 from a logit of 17 on."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        p = 1 / (1 + np.exp(-prediction))
        value = -float((target * np.log(p) + (1 - target) * np.log(1 - p)).mean())
        return value, ((p - target) / p.size).astype(prediction.dtype)
