"""Layers and losses of a user's own with right gradients, and the same with a mistake in the backward pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import pynn

Array = np.ndarray


class Own(pynn.Layer):
    """A layer of two functions: the output, and the gradient of the input from dy, x and y."""

    def __init__(self, forward: Callable, backward: Callable) -> None:
        super().__init__()
        self.way, self.back = forward, backward

    def forward(self, x, ctx):
        ctx.x, ctx.y = x, self.way(x)
        return ctx.y

    def backward(self, dy, ctx):
        return self.back(dy, ctx.x, ctx.y).astype(dy.dtype)


class Dense(pynn.Layer):
    """A linear layer with a gradient for each of input, weight and bias."""

    def __init__(self, size: int, **gradients: Callable) -> None:
        super().__init__()
        rng = np.random.default_rng(3)
        self.weight = pynn.Parameter(rng.standard_normal((size, size)) / np.sqrt(size))
        self.bias = pynn.Parameter(0.1 * rng.standard_normal(size))
        right = {
            "dx": lambda dy, x, w: dy @ w.T,
            "dw": lambda dy, x, w: x.T @ dy,
            "db": lambda dy, x, w: dy.sum(axis=0),
        }
        self.gradients = right | gradients

    def forward(self, x, ctx):
        ctx.x = x
        return x @ self.weight.data + self.bias.data

    def backward(self, dy, ctx):
        weight = self.weight.data
        self.weight.grad[...] = self.gradients["dw"](dy, ctx.x, weight)
        self.bias.grad[...] = self.gradients["db"](dy, ctx.x, weight)
        return self.gradients["dx"](dy, ctx.x, weight)


class Norm(pynn.Layer):
    """A batch norm without scale; `parts` says what of the gradient of the statistics is kept, (mean, variance)."""

    buffer_names = ("mean", "var")

    def __init__(self, size: int, parts: tuple[float, float] = (1, 1), axis: int = 0, root: bool = True) -> None:
        super().__init__()
        self.parts, self.axis, self.root = parts, axis, root
        self.mean, self.var = np.zeros(size), np.ones(size)

    def forward(self, x, ctx):
        if not ctx.training:
            return ((x - self.mean) / np.sqrt(self.var + 1e-5)).astype(x.dtype)
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.mean, self.var = 0.9 * self.mean + 0.1 * mean, 0.9 * self.var + 0.1 * var
        ctx.spread = np.sqrt(var + 1e-5)
        ctx.normalized = (x - mean) / ctx.spread
        return ctx.normalized

    def backward(self, dy, ctx):
        of_mean, of_var = self.parts
        normalized, spread = ctx.normalized, ctx.spread if self.root else ctx.spread**2
        of_mean = of_mean * dy.mean(axis=self.axis, keepdims=True)
        return (dy - of_mean - of_var * normalized * (dy * normalized).mean(axis=self.axis, keepdims=True)) / spread


class Scale(pynn.Layer):
    """x times a learned factor per feature."""

    def __init__(self, size: int, gradient: Callable = lambda dy, x: (dy * x).sum(axis=0)) -> None:
        super().__init__()
        self.factor = pynn.Parameter(np.linspace(0.5, 1.5, size))
        self.gradient = gradient

    def forward(self, x, ctx):
        ctx.x = x
        return x * self.factor.data

    def backward(self, dy, ctx):
        self.factor.grad[...] = self.gradient(dy, ctx.x)
        return dy * self.factor.data


class Pool(pynn.Layer):
    """The maximum of each window of two neighbours; the gradient goes `off` windows further, or to all in a window."""

    def __init__(self, off: int = 0, to_all: bool = False) -> None:
        super().__init__()
        self.off, self.to_all = off, to_all

    def forward(self, x, ctx):
        pairs = x.reshape(len(x), -1, 2)
        ctx.first, ctx.shape = pairs.argmax(axis=2), x.shape
        return pairs.max(axis=2)

    def backward(self, dy, ctx):
        pairs = np.zeros((len(dy), dy.shape[1], 2), dy.dtype)
        chosen = [np.full_like(ctx.first, side) for side in (0, 1)] if self.to_all else [ctx.first]
        for first in chosen:
            np.put_along_axis(pairs, first[:, :, None], np.roll(dy, self.off, axis=1)[:, :, None], axis=2)
        return pairs.reshape(ctx.shape)


class Mask(pynn.Layer):
    """Dropout of half of the inputs, whose backward pass may forget the mask or the factor."""

    def __init__(self, *, forgets: str = "") -> None:
        super().__init__()
        self.forgets = forgets

    def forward(self, x, ctx):
        ctx.mask = 2.0 * (np.random.random(x.shape) < 0.5) if ctx.training else np.ones(x.shape)  # noqa: NPY002
        return (x * ctx.mask).astype(x.dtype)

    def backward(self, dy, ctx):
        mask = {"": ctx.mask, "mask": np.ones_like(ctx.mask), "factor": ctx.mask / 2}[self.forgets]
        return (dy * mask).astype(dy.dtype)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    shares = np.exp(x - x.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def gelu(x: Array) -> Array:
    return x * sigmoid(1.702 * x)


def centred(x: Array) -> Array:
    return x - x.mean(axis=1, keepdims=True)


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def norms(x: Array) -> Array:
    return np.linalg.norm(x, axis=1, keepdims=True)


#: Layers of `size` inputs whose gradients are right.
RIGHT_LAYERS: dict[str, Callable[[int], pynn.Layer]] = {
    "ReLU": lambda size: Own(lambda x: np.maximum(x, 0), lambda dy, x, y: dy * (x > 0)),
    "leaky ReLU": lambda size: Own(
        lambda x: np.where(x > 0, x, 0.1 * x), lambda dy, x, y: dy * np.where(x > 0, 1, 0.1)
    ),
    "clipping": lambda size: Own(lambda x: np.clip(x, -0.5, 0.5), lambda dy, x, y: dy * (np.abs(x) < 0.5)),
    "absolute": lambda size: Own(np.abs, lambda dy, x, y: dy * np.sign(x)),
    "softmax": lambda size: Own(softmax, lambda dy, x, y: y * (dy - (dy * y).sum(axis=1, keepdims=True))),
    "unit length": lambda size: Own(unit, lambda dy, x, y: (dy - y * (dy * y).sum(axis=1, keepdims=True)) / norms(x)),
    "dense": Dense,
    "batch norm": Norm,
    "scale": Scale,
    "pooling": lambda size: Pool(),
    "dropout": lambda size: Mask(),
}

#: Layers of `size` inputs with a mistake in the backward pass.
WRONG_LAYERS: dict[str, Callable[[int], pynn.Layer]] = {
    "sign of tanh": lambda size: Own(np.tanh, lambda dy, x, y: dy * (y**2 - 1)),
    "tanh without its derivative": lambda size: Own(np.tanh, lambda dy, x, y: dy),
    "tanh with 1 - y for 1 - y^2": lambda size: Own(np.tanh, lambda dy, x, y: dy * (1 - y)),
    "sigmoid of twice the slope": lambda size: Own(sigmoid, lambda dy, x, y: 2 * dy * y * (1 - y)),
    "sigmoid with x for y": lambda size: Own(sigmoid, lambda dy, x, y: dy * x * (1 - x)),
    "ReLU without its mask": lambda size: Own(lambda x: np.maximum(x, 0), lambda dy, x, y: dy),
    "ReLU with the mask of dy": lambda size: Own(lambda x: np.maximum(x, 0), lambda dy, x, y: dy * (dy > 0)),
    "ReLU with the mask turned": lambda size: Own(lambda x: np.maximum(x, 0), lambda dy, x, y: dy * (x <= 0)),
    "leaky ReLU with another slope": lambda size: Own(
        lambda x: np.where(x > 0, x, 0.1 * x), lambda dy, x, y: dy * np.where(x > 0, 1, 0.01)
    ),
    "clipping that lets all pass": lambda size: Own(lambda x: np.clip(x, -0.5, 0.5), lambda dy, x, y: dy),
    "GELU without its second term": lambda size: Own(gelu, lambda dy, x, y: dy * sigmoid(1.702 * x)),
    "square of half the slope": lambda size: Own(lambda x: x**2 / 4, lambda dy, x, y: dy * x / 4),
    "softmax of its diagonal only": lambda size: Own(softmax, lambda dy, x, y: dy * y * (1 - y)),
    "softmax over the wrong axis": lambda size: Own(softmax, lambda dy, x, y: y * (dy - (dy * y).sum(axis=0))),
    "centring that forgets the mean": lambda size: Own(centred, lambda dy, x, y: dy),
    "unit length as a constant": lambda size: Own(unit, lambda dy, x, y: dy / norms(x)),
    "weight transposed for the input": lambda size: Dense(size, dx=lambda dy, x, w: dy @ w),
    "weight gradient transposed": lambda size: Dense(size, dw=lambda dy, x, w: dy.T @ x),
    "weight gradient divided by n": lambda size: Dense(size, dw=lambda dy, x, w: x.T @ dy / len(x)),
    "bias gradient forgotten": lambda size: Dense(size, db=lambda dy, x, w: 0),
    "bias gradient a mean": lambda size: Dense(size, db=lambda dy, x, w: dy.mean(axis=0)),
    "batch norm with constant statistics": lambda size: Norm(size, parts=(0, 0)),
    "batch norm with constant variance": lambda size: Norm(size, parts=(1, 0)),
    "batch norm with constant mean": lambda size: Norm(size, parts=(0, 1)),
    "batch norm over the wrong axis": lambda size: Norm(size, axis=1),
    "batch norm divided by the variance": lambda size: Norm(size, root=False),
    "scale of one unit forgotten": lambda size: Scale(size, lambda dy, x: (dy * x).sum(axis=0) * (np.arange(size) > 0)),
    "scale from one example": lambda size: Scale(size, lambda dy, x: dy[0] * x[0]),
    "pooling off by one window": lambda size: Pool(off=1),
    "pooling back to the whole window": lambda size: Pool(to_all=True),
    "dropout without its mask": lambda size: Mask(forgets="mask"),
    "dropout without its factor": lambda size: Mask(forgets="factor"),
}


def of_values(cost: Callable, slope: Callable, times: Callable[[Array], float] = lambda p: 1 / p.size) -> Callable:
    """Return a loss of p and t from the cost of each element and its slope, and the factor of their sum."""
    return lambda p, t: (float(cost(p, t).mean()), slope(p, t) * times(p))


def square(p: Array, t: Array) -> Array:
    return (p - t) ** 2


def huber(p: Array, t: Array) -> Array:
    far = np.abs(p - t)
    return np.where(far < 1, far**2 / 2, far - 0.5)


def quantile(p: Array, t: Array) -> Array:
    return np.maximum(0.8 * (t - p), 0.2 * (p - t))


def log_cosh(p: Array, t: Array) -> Array:
    return np.log(np.cosh(p - t))


def poisson(p: Array, t: Array) -> Array:
    return np.exp(p) - np.abs(t) * p


def logistic(p: Array, t: Array) -> Array:
    return np.logaddexp(0, p) - (t > 0) * p


#: Losses of values whose gradients are right.
RIGHT_LOSSES: dict[str, Callable] = {
    "squared error": of_values(square, lambda p, t: 2 * (p - t)),
    "absolute error": of_values(lambda p, t: np.abs(p - t), lambda p, t: np.sign(p - t)),
    "Huber": of_values(huber, lambda p, t: np.clip(p - t, -1, 1)),
    "quantile": of_values(quantile, lambda p, t: np.where(p > t, 0.2, -0.8)),
    "log cosh": of_values(log_cosh, lambda p, t: np.tanh(p - t)),
    "Poisson": of_values(poisson, lambda p, t: np.exp(p) - np.abs(t)),
    "logistic": of_values(logistic, lambda p, t: sigmoid(p) - (t > 0)),
}


def classes(gradient: Callable, cost: Callable = lambda s, y: -np.log(s[np.arange(len(y)), y]).mean()) -> Callable:
    """Return a loss of scores and labels from shares: the cost, and the gradient from shares and one-hot rows."""

    def loss(p, y):
        shares = softmax(p)
        return float(cost(shares, y)), gradient(shares, np.eye(p.shape[1])[y]).astype(p.dtype)

    return loss


RIGHT_CLASS_LOSSES: dict[str, Callable] = {
    "cross-entropy": classes(lambda s, o: (s - o) / len(s)),
    "hinge": lambda p, y: _hinge(p, y),
}


def _hinge(p: Array, y: Array, *, own: float = 1, mask: bool = True, n: float = 1) -> tuple[float, Array]:
    rows = np.arange(len(y))
    margins = p - p[rows, y][:, None] + 1
    margins[rows, y] = 0
    slope = (margins > 0).astype(p.dtype) if mask else np.ones_like(p)
    slope[rows, y] = 0
    slope[rows, y] = -own * slope.sum(axis=1)
    return float(np.maximum(margins, 0).sum() / len(y)), slope / len(y) * n


def _smoothed(shares: Array, y: Array) -> float:
    other = -np.log(shares).mean(axis=1)
    return float((-0.9 * np.log(shares[np.arange(len(y)), y]) + 0.1 * other).mean())


#: Losses of values with a mistake in the gradient.
WRONG_LOSSES: dict[str, Callable] = {
    "squared error of half the slope": of_values(square, lambda p, t: p - t),
    "squared error, sign": of_values(square, lambda p, t: 2 * (t - p)),
    "squared error without 1/n": of_values(square, lambda p, t: 2 * (p - t), lambda p: 1),
    "squared error with 1/n^2": of_values(square, lambda p, t: 2 * (p - t), lambda p: 1 / p.size**2),
    "squared error without the target": of_values(square, lambda p, t: 2 * p),
    "squared error of the mean": of_values(square, lambda p, t: 2 * (p - t).mean() + 0 * p),
    "squared error of the first row": of_values(square, lambda p, t: 2 * (p - t) * (np.arange(len(p)) == 0)[:, None]),
    "absolute error with the slope of squares": of_values(lambda p, t: np.abs(p - t), lambda p, t: 2 * (p - t)),
    "absolute error, sign": of_values(lambda p, t: np.abs(p - t), lambda p, t: np.sign(t - p)),
    "Huber without its bound": of_values(huber, lambda p, t: p - t),
    "Huber with the sign alone": of_values(huber, lambda p, t: np.sign(p - t)),
    "Huber with another bound": of_values(huber, lambda p, t: np.clip(p - t, -2, 2)),
    "quantile the other way": of_values(quantile, lambda p, t: np.where(p > t, 0.8, -0.2)),
    "quantile without its level": of_values(quantile, lambda p, t: np.where(p > t, 1.0, -1.0)),
    "log cosh with the slope of cosh": of_values(log_cosh, lambda p, t: np.sinh(p - t)),
    "log cosh without tanh": of_values(log_cosh, lambda p, t: p - t),
    "Poisson without its target": of_values(poisson, lambda p, t: np.exp(p)),
    "Poisson of the rate itself": of_values(poisson, lambda p, t: p - np.abs(t)),
    "logistic without the label": of_values(logistic, lambda p, t: sigmoid(p)),
    "logistic with p for its sigmoid": of_values(logistic, lambda p, t: p - (t > 0)),
}

WRONG_CLASS_LOSSES: dict[str, Callable] = {
    "cross-entropy, sign": classes(lambda s, o: (o - s) / len(s)),
    "cross-entropy without 1/n": classes(lambda s, o: s - o),
    "cross-entropy over classes too": classes(lambda s, o: (s - o) / s.size),
    "cross-entropy without its label": classes(lambda s, o: s / len(s)),
    "cross-entropy of the label only": classes(lambda s, o: (s - o) * o / len(s)),
    "cross-entropy with respect to the shares": classes(lambda s, o: -o / s / len(s)),
    "cross-entropy, softmax over the batch": classes(lambda s, o: (s / s.sum(axis=0) - o) / len(s)),
    "label smoothing forgotten in the gradient": classes(lambda s, o: (s - o) / len(s), _smoothed),
    "hinge without its mask": lambda p, y: _hinge(p, y, mask=False),
    "hinge without the label's own slope": lambda p, y: _hinge(p, y, own=0),
    "hinge of twice the slope": lambda p, y: _hinge(p, y, n=2),
}
