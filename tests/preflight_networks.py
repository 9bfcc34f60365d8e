"""Trainers for tests of preflight, and layers of the user's own, each right and with what may be wrong with it."""

import numpy as np

import pynn


def network(features, hidden, outputs, activation=pynn.ReLU, init="he_normal", batchnorm=False, dropout=0.0):
    layers, width = [], features
    for units in hidden:
        layers.append(pynn.Linear(width, units, init=init))
        layers += [pynn.BatchNorm1d(units)] if batchnorm else []
        layers += [activation()] if activation else []
        layers += [pynn.Dropout(dropout)] if dropout else []
        width = units
    return pynn.Sequential(*layers, pynn.Linear(width, outputs))


def trainer_of(model, loss=None, optimizer=None, **settings):
    return pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), optimizer or pynn.Adam(2e-3), **settings)


def with_layer(layer, features=12, units=24, outputs=3):
    return trainer_of(pynn.Sequential(pynn.Linear(features, units), layer, pynn.ReLU(), pynn.Linear(units, outputs)))


def holes(x, y):
    x[41, 7] = np.nan
    return x, y


class Sine(pynn.Layer):
    sign = 1

    def forward(self, x, ctx):
        ctx.x = x
        return np.sin(x)

    def backward(self, dy, ctx):
        return self.sign * dy * np.cos(ctx.x)


class WrongSine(Sine):
    sign = -1


class Scale(pynn.Layer):
    """x times a learned factor per feature."""

    def __init__(self, features):
        super().__init__()
        self.features = features
        self.factor = pynn.Parameter(np.ones(features))

    def forward(self, x, ctx):
        ctx.x = x
        return x * self.factor

    def backward(self, dy, ctx):
        self.factor.grad[...] = (dy * ctx.x).sum(axis=0)
        return dy * self.factor


class OneUnitForgotten(Scale):
    def backward(self, dy, ctx):
        dx = super().backward(dy, ctx)
        self.factor.grad[-1] = 0
        return dx


class Adding(Scale):
    def backward(self, dy, ctx):
        self.factor.grad[...] += (dy * ctx.x).sum(axis=0)
        return dy * self.factor


class Rounding(pynn.Layer):
    """tanh that computes in float32 whatever it is given."""

    def forward(self, x, ctx):
        ctx.x = x
        return np.tanh(x.astype(np.float32)).astype(x.dtype)

    def backward(self, dy, ctx):
        return dy * (1 - np.tanh(ctx.x) ** 2)


class RoundingWrong(Rounding):
    def backward(self, dy, ctx):
        return -super().backward(dy, ctx)


class BatchCentred(pynn.Layer):
    def forward(self, x, ctx):
        return x - x.mean(axis=0)

    def backward(self, dy, ctx):
        return dy - dy.mean(axis=0)


class LeaksInTraining(pynn.Layer):
    def forward(self, x, ctx):
        ctx.mixes = ctx.training
        return x + 0.5 * np.roll(x, 1, axis=0) if ctx.mixes else 1.5 * x

    def backward(self, dy, ctx):
        return dy + 0.5 * np.roll(dy, -1, axis=0) if ctx.mixes else 1.5 * dy


class RunningNorm(pynn.Layer):
    """A batch norm of the user's own."""

    buffer_names = ("mean", "var")
    updates = True

    def __init__(self, features):
        super().__init__()
        self.features = features
        self.mean, self.var = np.zeros(features, np.float32), np.ones(features, np.float32)

    def forward(self, x, ctx):
        if not ctx.training:
            return ((x - self.mean) / np.sqrt(self.var + 1e-5)).astype(x.dtype)
        mean, var = x.mean(axis=0), x.var(axis=0)
        if self.updates:
            self.mean[...] = 0.9 * self.mean + 0.1 * mean
            self.var[...] = 0.9 * self.var + 0.1 * var
        ctx.spread = np.sqrt(var + 1e-5)
        ctx.normalized = (x - mean) / ctx.spread
        return ctx.normalized

    def backward(self, dy, ctx):
        return (dy - dy.mean(axis=0) - ctx.normalized * (dy * ctx.normalized).mean(axis=0)) / ctx.spread


class ForgetsToUpdate(RunningNorm):
    updates = False


class UnscaledDropout(pynn.Layer):
    scale = 1

    def forward(self, x, ctx):
        ctx.mask = np.ones_like(x)
        if ctx.training:
            ctx.mask = self.scale * (np.random.random(x.shape) < 0.5).astype(x.dtype)  # noqa: NPY002
        return x * ctx.mask

    def backward(self, dy, ctx):
        return dy * ctx.mask


class OwnDropout(UnscaledDropout):
    scale = 2


class SoftmaxLayer(pynn.Layer):
    def forward(self, x, ctx):
        shares = np.exp(x - x.max(axis=1, keepdims=True))
        ctx.p = shares / shares.sum(axis=1, keepdims=True)
        return ctx.p

    def backward(self, dy, ctx):
        return ctx.p * (dy - (dy * ctx.p).sum(axis=1, keepdims=True))
