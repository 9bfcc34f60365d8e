"""Training steps: networks and optimisers by name, batches of several lengths, and what some steps leave behind."""

import contextlib

import numpy as np

import pynn
from pynn.backends.selection import kernels


class Doubled(pynn.Layer):
    """A layer of the user's own, which computes with NumPy: it cannot be recorded."""

    def forward(self, x, ctx):
        return 2 * x

    def backward(self, dy, ctx):
        return 2 * dy


class Around(pynn.Layer):
    """A container of the user's own, which needs its dy after an inner network has used it."""

    def __init__(self):
        super().__init__()
        self.left = pynn.Sequential(pynn.Linear(8, 8), pynn.Tanh(), pynn.Linear(8, 8), pynn.PReLU())
        self.right = pynn.Sequential(pynn.PReLU(), pynn.Linear(8, 8))

    def forward(self, x, ctx):
        left, right = ctx.children(2)
        return x + self.left.forward(x, left) + self.right.forward(x, right)

    def backward(self, dy, ctx):
        left, right = ctx.children(2)
        return self.left.backward(dy, left) + self.right.backward(dy, right) + dy


def chain(*middle):
    return lambda: pynn.Sequential(pynn.Linear(6, 8), *[layer() for layer in middle], pynn.Linear(8, 3))


def frozen_bottom():
    model = chain(lambda: pynn.BatchNorm1d(8), pynn.ReLU)()
    model[0].freeze()
    model[1].freeze()
    return model


MODELS = {
    "linear": lambda: pynn.Sequential(pynn.Linear(6, 3)),
    "relu": chain(pynn.ReLU),
    "batchnorm": chain(lambda: pynn.BatchNorm1d(8), pynn.ReLU),
    "gelu": chain(pynn.GELU),
    "batchnorm and silu": chain(lambda: pynn.BatchNorm1d(8), pynn.SiLU),
    "dropout": chain(pynn.Tanh, lambda: pynn.Dropout(0.4)),
    "dropout first": lambda: pynn.Sequential(pynn.Dropout(0.2), pynn.Linear(6, 3)),
    "prelu": chain(pynn.PReLU),
    "batchnorm and mish": chain(lambda: pynn.BatchNorm1d(8), pynn.Mish),
    "hard activations": chain(pynn.Hardswish, pynn.Hardtanh, pynn.ReLU6, pynn.LogSoftmax),
    "branches": chain(lambda: pynn.Concat(pynn.Linear(8, 2), pynn.Sequential(pynn.CELU(), pynn.Linear(8, 6)))),
    "two activations": chain(pynn.ELU, pynn.Sigmoid),
    "nested": chain(lambda: pynn.Sequential(pynn.Linear(8, 8), pynn.LeakyReLU())),
    "maxout": chain(lambda: pynn.Maxout(8, 8, pieces=2)),
    "own layer": chain(Doubled, pynn.ReLU),
    "own container": chain(Around, pynn.PReLU),
    "residual": chain(lambda: pynn.Residual(pynn.Sequential(pynn.PReLU(), pynn.Linear(8, 8))), pynn.PReLU),
    "frozen": frozen_bottom,
}
OPTIMIZERS = {
    "sgd": lambda: pynn.SGD(lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda: pynn.AdamW(lr=0.01),
    "rmsprop": lambda: pynn.RMSprop(lr=0.01, momentum=0.5),
}
#: A short last batch in between, a lonely shape, and a long one at the end.
BATCHES = (16, 16, 5, 16, 5, 16, 2, 40, 16)


@contextlib.contextmanager
def op_by_op(monkeypatch):
    """Take away what records; where the backend has none, nothing changes."""
    with monkeypatch.context() as patch:
        patch.delattr(kernels(), "Recording", raising=False)
        yield


def batches(rng, weighted=False):
    for n in BATCHES:
        x, y = rng.normal(size=(n, 6)).astype(np.float32), rng.integers(0, 3, n)
        yield (x, y, rng.uniform(0.1, 2, n)) if weighted else (x, y)


def run(model, optimizer, loss=None, weighted=False):
    """Return the losses and the final state of a few steps from a fixed start."""
    pynn.manual_seed(3)
    network = model()
    trainer = pynn.Trainer(network, loss or pynn.CrossEntropyLoss(), optimizer(), seed=5)
    losses = [trainer.step(*batch) for batch in batches(np.random.default_rng(1), weighted)]
    return losses, {name: np.array(value) for name, value in network.state_dict().items()}


def assert_same(a, b):
    assert a[0] == b[0]
    assert a[1].keys() == b[1].keys()
    for name, value in a[1].items():
        np.testing.assert_array_equal(value, b[1][name], err_msg=name)
