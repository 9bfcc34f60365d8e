"""The checks before training: faults that they must find, healthy cases that they must leave alone, and no traces."""

import copy
import html.parser
import random

import numpy as np
import pytest

import pynn
from pynn.babysit.preflight import Check, Report, preflight
from pynn.babysit.preflight.report import failed, passed, skipped, warned


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


def normal(scale):
    """Return an initialisation with this standard deviation whatever the width."""
    return lambda shape: np.random.default_rng(0).normal(0, scale, shape)


@pytest.fixture(scope="module")
def classes():
    """Three classes in 12 standardised features, not linearly separable."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((900, 12)).astype(np.float32)
    scores = np.maximum(x @ rng.standard_normal((12, 10)), 0) @ rng.standard_normal((10, 3))
    return x, scores.argmax(axis=1)


@pytest.fixture(scope="module")
def amounts():
    """A smooth function of 6 features with a little noise, shape (700, 1)."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((700, 6)).astype(np.float32)
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] / 2 + 0.1 * rng.standard_normal((700, 1))
    return x, y.astype(np.float32)


@pytest.fixture(autouse=True)
def seeded():
    pynn.manual_seed(3)


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


class Narrowing(Rounding):
    """What it gives is float32, which the next layer refuses in float64."""

    def forward(self, x, ctx):
        ctx.x = x
        return np.tanh(x.astype(np.float32))

    def backward(self, dy, ctx):
        return super().backward(dy, ctx).astype(np.float32)


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
        ctx.normalised = (x - mean) / ctx.spread
        return ctx.normalised

    def backward(self, dy, ctx):
        return (dy - dy.mean(axis=0) - ctx.normalised * (dy * ctx.normalised).mean(axis=0)) / ctx.spread


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


class Raising(pynn.Layer):
    def forward(self, x, ctx):
        raise KeyError("no such table")

    def backward(self, dy, ctx):
        return dy


class Embedding(pynn.Layer):
    """Whole numbers below `size` as learned vectors."""

    def __init__(self, size, width):
        super().__init__()
        self.size, self.width = size, width
        self.table = pynn.Parameter(np.random.default_rng(0).standard_normal((size, width)))

    def forward(self, x, ctx):
        ctx.rows = x.astype(int)
        return np.ascontiguousarray(self.table.data[ctx.rows].reshape(len(x), -1))

    def backward(self, dy, ctx):
        self.table.grad[...] = 0
        np.add.at(self.table.grad, ctx.rows.reshape(-1), dy.reshape(-1, self.width))
        return np.zeros(ctx.rows.shape, dy.dtype)


def mean_square(prediction, target):
    difference = prediction - target
    return float((difference**2).mean()), 2 * difference / difference.size


def summed_square(prediction, target):
    value, gradient = mean_square(prediction, target)
    return value * len(prediction), gradient * len(prediction)


def climbing_square(prediction, target):
    value, gradient = mean_square(prediction, target)
    return value, -gradient


def poisson(prediction, target):
    rate = np.exp(prediction)
    return float((rate - target * prediction).mean()), (rate - target) / prediction.size


def with_layer(layer, features=12, units=24, outputs=3):
    return trainer_of(pynn.Sequential(pynn.Linear(features, units), layer, pynn.ReLU(), pynn.Linear(units, outputs)))


def swapped(function):
    """Return a case that changes the classes' x and y."""
    return lambda x, y: (trainer_of(network(12, [24], 3)), *function(x.copy(), y.copy()), {})


def plain(make):
    """Return a case that only makes a trainer."""
    return lambda x, y: (make(), x, y, {})


def shifted(layer, amount):
    layer.bias[...] += amount


def negative_biases():
    model = network(12, [24, 24], 3)
    shifted(model[0], -20)
    return trainer_of(model)


def frozen():
    model = network(12, [24], 3)
    model.freeze()
    return trainer_of(model)


def loud_output():
    model = network(12, [24], 3)
    model[-1].weight[...] *= 60
    return trainer_of(model)


def holes(x, y):
    x[41, 7] = np.nan
    return x, y


def rare(x, y):
    y = (x[:, 0] > 2.2).astype(np.int64)
    return x, y


def stretched(x, y):
    x[:, 4] *= 500
    return x, y


# Each: the name of the check that must fail or warn, the symptom it must name, the layer, and the case.
FAULTS = {
    "wrong sign in backward": ("gradient check", "not_learning", "1.WrongSine", plain(lambda: with_layer(WrongSine()))),
    "one unit's gradient forgotten": (
        "gradient check",
        "not_learning",
        "1.OneUnitForgotten",
        plain(lambda: with_layer(OneUnitForgotten(24))),
    ),
    "gradients added up": ("gradient check", "not_learning", "1.factor", plain(lambda: with_layer(Adding(24)))),
    "wrong sign in float32": (
        "gradient check",
        "not_learning",
        "1.RoundingWrong",
        plain(lambda: with_layer(RoundingWrong())),
    ),
    "leak across the batch": (
        "batch independence",
        "not_learning",
        "1.BatchCentred",
        plain(lambda: with_layer(BatchCentred())),
    ),
    "leak in training beside batch norm": (
        "batch independence",
        "not_learning",
        "2.LeaksInTraining",
        plain(
            lambda: trainer_of(
                pynn.Sequential(
                    pynn.Linear(12, 24), pynn.BatchNorm1d(24), LeaksInTraining(), pynn.ReLU(), pynn.Linear(24, 3)
                )
            )
        ),
    ),
    "statistics never updated": (
        "training and inference",
        "batchnorm_mismatch",
        "1.ForgetsToUpdate",
        plain(
            lambda: trainer_of(
                pynn.Sequential(
                    pynn.Linear(12, 24, init=normal(1)), ForgetsToUpdate(24), pynn.ReLU(), pynn.Linear(24, 3)
                )
            )
        ),
    ),
    "batch norm without momentum": (
        "training and inference",
        "batchnorm_mismatch",
        "1.BatchNorm1d",
        plain(lambda: with_layer(pynn.BatchNorm1d(24, momentum=0.0))),
    ),
    "dropout without scaling": (
        "training and inference",
        "batchnorm_mismatch",
        "1.UnscaledDropout",
        plain(lambda: with_layer(UnscaledDropout())),
    ),
    "probabilities into cross-entropy": (
        "network output",
        "not_learning",
        "3.SoftmaxLayer",
        plain(
            lambda: trainer_of(
                pynn.Sequential(pynn.Linear(12, 24), pynn.ReLU(), pynn.Linear(24, 3), SoftmaxLayer()),
            )
        ),
    ),
    "ReLU behind the last layer": (
        "network output",
        "dead_units",
        "3.ReLU",
        plain(
            lambda: trainer_of(pynn.Sequential(pynn.Linear(12, 24), pynn.ReLU(), pynn.Linear(24, 3), pynn.ReLU())),
        ),
    ),
    "sum instead of mean": (
        "loss reduction",
        "bad_initial_loss",
        None,
        plain(lambda: trainer_of(network(12, [24], 3), pynn.CrossEntropyLoss(reduction="sum"), pynn.SGD(0.1))),
    ),
    "raw input": ("input scale", "input_not_normalised", None, swapped(lambda x, y: (100 + 30 * x, y))),
    "one feature in another unit": ("input scale", "input_not_normalised", None, swapped(stretched)),
    "input far from 0": ("input centring", "input_not_normalised", None, swapped(lambda x, y: (2 + x / 50, y))),
    "weights far too large": (
        "initial loss",
        "bad_initial_loss",
        None,
        plain(lambda: trainer_of(network(12, [64, 64], 3, init=normal(1.0)))),
    ),
    "last layer too loud": ("initial loss", "bad_initial_loss", None, plain(loud_output)),
    "weights far too small": (
        "activation spread",
        "bad_initialisation",
        "13.Tanh",
        plain(lambda: trainer_of(network(12, [64] * 7, 3, pynn.Tanh, init="normal"))),
    ),
    "all weights 0": (
        "symmetric units",
        "symmetric_units",
        "0.Linear",
        plain(lambda: trainer_of(network(12, [24], 3, init="zeros"))),
    ),
    "all weights equal": (
        "symmetric units",
        "symmetric_units",
        None,
        plain(lambda: trainer_of(network(12, [24, 24], 3, pynn.Tanh, init="constant"))),
    ),
    "saturated tanh": (
        "saturated units",
        "saturated_units",
        None,
        plain(lambda: trainer_of(network(12, [64, 64], 3, pynn.Tanh, init=normal(2.0)))),
    ),
    "ReLU that is never active": ("dead units", "dead_units", "3.ReLU", plain(negative_biases)),
    "deep sigmoid": (
        "gradient spread",
        "vanishing_gradient",
        "0.Linear",
        plain(lambda: trainer_of(network(12, [40] * 10, 3, pynn.Sigmoid, init="xavier_normal"))),
    ),
    "rate too high": (
        "learning rate",
        "lr_too_high",
        None,
        plain(lambda: trainer_of(network(12, [24], 3), optimizer=pynn.SGD(50.0))),
    ),
    "rate too low": (
        "learning rate",
        "lr_too_low",
        None,
        plain(lambda: trainer_of(network(12, [24], 3), optimizer=pynn.Adam(1e-8))),
    ),
    "rate 0": (
        "learning rate",
        "lr_too_low",
        None,
        plain(lambda: trainer_of(network(12, [24], 3), optimizer=pynn.SGD(0.0))),
    ),
    "gradient clipped away": (
        "learning rate",
        "not_learning",
        None,
        plain(lambda: trainer_of(network(12, [24], 3), optimizer=pynn.SGD(0.1), clip_norm=1e-7)),
    ),
    "schedule that puts the rate out": (
        "learning rate",
        "lr_too_low",
        None,
        plain(
            lambda: trainer_of(
                network(12, [24], 3), optimizer=pynn.SGD(0.1), schedule=pynn.ExponentialLR(0.7, by="step")
            )
        ),
    ),
    "weight decay too strong": (
        "regularisation",
        "regularisation_too_strong",
        None,
        plain(lambda: trainer_of(network(12, [24], 3), optimizer=pynn.SGD(0.1, weight_decay=1.0))),
    ),
    "penalty too strong": (
        "regularisation",
        "regularisation_too_strong",
        None,
        plain(lambda: trainer_of(network(12, [24], 3), regularizers=[pynn.L1(0.1)])),
    ),
    "dropout of nearly all": (
        "regularisation",
        "regularisation_too_strong",
        None,
        plain(lambda: trainer_of(network(12, [24], 3, dropout=0.97))),
    ),
    "targets in another order": (
        "beats the baseline",
        "not_learning",
        None,
        swapped(lambda x, y: (x, np.random.default_rng(0).permutation(y))),
    ),
    "no two inputs differ": ("constant features", "not_learning", None, swapped(lambda x, y: (np.ones_like(x), y))),
    "one class": ("label balance", "class_imbalance", None, swapped(lambda x, y: (x, np.zeros_like(y)))),
    "hardly any of one class": ("label balance", "class_imbalance", None, swapped(rare)),
    "NaN": ("data values", "non_finite", None, swapped(holes)),
    "label too large": ("targets", None, None, swapped(lambda x, y: (x, y + 1))),
    "everything frozen": ("one training step", "not_learning", None, plain(frozen)),
    "no activation": (
        "non-linearity",
        "underfitting",
        "0.Linear",
        plain(lambda: trainer_of(network(12, [24, 24], 3, activation=None))),
    ),
    "validation data seen in training": (
        "validation duplicates",
        None,
        None,
        lambda x, y: (trainer_of(network(12, [24], 3)), x[:700], y[:700], {"validation": (x[500:], y[500:])}),
    ),
    "validation data nearly seen in training": (
        "validation duplicates",
        None,
        None,
        lambda x, y: (trainer_of(network(12, [24], 3)), x[:700], y[:700], {"validation": (x[500:] + 1e-5, y[500:])}),
    ),
    "only the training data normalised": (
        "validation scale",
        "input_not_normalised",
        None,
        lambda x, y: (
            trainer_of(network(12, [24], 3)),
            x[:700],
            y[:700],
            {"validation": (40 + 9 * x[700:], y[700:])},
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_check_in_its_place(fault, classes):
    name, symptom, layer, make = FAULTS[fault]
    trainer, x, y, more = make(*classes)
    report = preflight(trainer, x, y, **more)
    check = report[name]
    assert check.status in ("warn", "fail"), str(report)
    assert check.symptom == symptom
    if layer is not None:
        assert check.layer == layer
    assert check.evidence
    assert check.advice.endswith(".")


@pytest.mark.parametrize(
    ("loss", "targets", "name"),
    [
        (summed_square, lambda y: y, "loss reduction"),
        (climbing_square, lambda y: y, "gradient check"),
        (pynn.MSELoss(), lambda y: 1e6 * y, "target scale"),
        (pynn.MSELoss(), np.ones_like, "target scale"),
        (pynn.MSELoss(), lambda y: np.random.default_rng(0).permutation(y), "beats the baseline"),
        (mean_square, lambda y: y[:, 0], "one training step"),
        (pynn.BCEWithLogitsLoss(), lambda y: np.sign(y), "targets"),
    ],
)
def test_a_fault_of_loss_or_targets_in_regression_is_found(loss, targets, name, amounts):
    x, y = amounts
    report = preflight(trainer_of(network(6, [32], 1), loss), x, targets(y))
    assert report[name].status in ("warn", "fail"), str(report)


def test_bounded_outputs_that_targets_exceed_are_found(amounts):
    x, y = amounts
    model = pynn.Sequential(pynn.Linear(6, 32), pynn.ReLU(), pynn.Linear(32, 1), pynn.Tanh())
    check = preflight(trainer_of(model, pynn.MSELoss()), x, 10 * y)["network output"]
    assert (check.status, check.symptom, check.layer) == ("fail", "underfitting", "3.Tanh")


def test_a_penalty_whose_gradient_lets_weights_grow_is_found(classes):
    class Backwards(pynn.L2):
        def add_gradient(self, flat):
            value = super().add_gradient(flat)
            flat.grads *= -1
            return value

    report = preflight(trainer_of(network(12, [24], 3), regularizers=[Backwards(1e-3)]), *classes)
    assert report["regularisation"].status == "fail"


def fine_tuned(x, y):
    trainer = trainer_of(network(12, [24], 3))
    trainer.fit(x, y, epochs=15)
    return pynn.Trainer(copy.deepcopy(trainer.model), pynn.CrossEntropyLoss(), pynn.Adam(1e-5))


def partly_frozen(x, y):
    model = network(12, [48, 24], 3)
    model[0].freeze()
    return trainer_of(model)


def first_step_from_0(x, y):
    model = network(12, [24], 3)
    model[-1].weight[...] = 0
    return trainer_of(model)


def preprocessed(x, y):
    model = network(12, [24], 3)
    model.preprocessing = pynn.preprocessing.Standardize()
    return trainer_of(model)


HEALTHY = {
    "as the tutorial has it": lambda x, y: trainer_of(network(12, [32], 3), optimizer=pynn.SGD(0.1, momentum=0.9)),
    "large rate with batch norm": lambda x, y: trainer_of(
        network(12, [48, 48], 3, batchnorm=True), optimizer=pynn.SGD(2.0)
    ),
    "small weights before batch norm": lambda x, y: trainer_of(network(12, [32, 32], 3, init="normal", batchnorm=True)),
    "slow running statistics": lambda x, y: with_layer(pynn.BatchNorm1d(24, momentum=0.01)),
    "many parameters": lambda x, y: trainer_of(network(12, [600, 400], 3)),
    "wide": lambda x, y: trainer_of(network(12, [1500], 3)),
    "deep": lambda x, y: trainer_of(network(12, [48] * 12, 3), optimizer=pynn.Adam(3e-4)),
    "deep with batch norm": lambda x, y: trainer_of(network(12, [32] * 16, 3, batchnorm=True)),
    "deep tanh": lambda x, y: trainer_of(network(12, [48] * 8, 3, pynn.Tanh, "lecun_normal")),
    "PyTorch's initialisation": lambda x, y: trainer_of(network(12, [32, 32], 3, init=None)),
    "dropout": lambda x, y: trainer_of(network(12, [96, 96], 3, dropout=0.5)),
    "GELU": lambda x, y: trainer_of(network(12, [32, 32], 3, pynn.GELU)),
    "SiLU": lambda x, y: trainer_of(network(12, [32, 32], 3, pynn.SiLU)),
    "PReLU": lambda x, y: trainer_of(network(12, [32, 32], 3, pynn.PReLU)),
    "sigmoid": lambda x, y: trainer_of(network(12, [32], 3, pynn.Sigmoid, "xavier_normal")),
    "Maxout": lambda x, y: trainer_of(pynn.Sequential(pynn.Maxout(12, 24), pynn.Maxout(24, 24), pynn.Linear(24, 3))),
    "linear": lambda x, y: trainer_of(pynn.Sequential(pynn.Linear(12, 3)), optimizer=pynn.SGD(0.5)),
    "float64": lambda x, y: trainer_of(network(12, [32], 3).astype(np.float64)),
    "frozen first layer": partly_frozen,
    "last layer starts at 0": first_step_from_0,
    "fine-tuning": fine_tuned,
    "unfitted preprocessing": preprocessed,
    "warm-up": lambda x, y: trainer_of(
        network(12, [48], 3), optimizer=pynn.SGD(0.5, momentum=0.9), schedule=pynn.WarmupLR(100)
    ),
    "usual regularisation": lambda x, y: trainer_of(
        network(12, [48], 3),
        optimizer=pynn.SGD(0.1, weight_decay=5e-4),
        regularizers=[pynn.L2(1e-4), pynn.MaxNorm(3.0)],
        clip_norm=5.0,
    ),
    "AdamW": lambda x, y: trainer_of(network(12, [48], 3), optimizer=pynn.AdamW(1e-3, weight_decay=0.1)),
    "hinge loss": lambda x, y: trainer_of(network(12, [32], 3), pynn.HingeLoss(), pynn.SGD(0.02)),
    "label smoothing": lambda x, y: trainer_of(network(12, [32], 3), pynn.CrossEntropyLoss(label_smoothing=0.1)),
    "a layer of one's own": lambda x, y: with_layer(Scale(24)),
    "a layer in float32": lambda x, y: with_layer(Rounding()),
    "a layer that gives float32": lambda x, y: with_layer(Narrowing()),
    "a batch norm of one's own": lambda x, y: with_layer(RunningNorm(24)),
    "a dropout of one's own": lambda x, y: with_layer(OwnDropout()),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_a_healthy_trainer_passes(case, classes):
    x, y = classes
    report = preflight(HEALTHY[case](x, y), x, y)
    assert report.status == "pass", str(report)


def sparse(rng):
    x = (rng.random((900, 200)) < 0.03) * rng.exponential(1, (900, 200))
    return x.astype(np.float32), (x @ rng.standard_normal(200) > 0).astype(np.int64)


def one_hot(rng):
    category = rng.integers(0, 10, (900, 3))
    x = np.concatenate([np.eye(10, dtype=np.float32)[column] for column in category.T], axis=1)
    return x, (category[:, 0] + category[:, 1] > 9).astype(np.int64)


def noisy_labels(rng):
    x = rng.standard_normal((900, 12)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    return x, np.where(rng.random(900) < 0.5, rng.integers(0, 2, 900), y)


def hard(rng):
    x = rng.standard_normal((900, 12)).astype(np.float32)
    return x, (rng.random(900) < 1 / (1 + np.exp(-0.7 * x[:, 0]))).astype(np.int64)


def rare_class(rng):
    x = rng.standard_normal((900, 12)).astype(np.float32)
    return x, np.digitize(x[:, 0] + x[:, 1], [-0.5, 0.7, 2.8])


def small(rng):
    x = rng.standard_normal((40, 12)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


@pytest.mark.parametrize("make", [sparse, one_hot, noisy_labels, hard, rare_class, small])
def test_healthy_data_pass(make, rng):
    x, y = make(rng)
    report = preflight(trainer_of(network(x.shape[1], [48], int(y.max()) + 1)), x, y)
    assert report.status == "pass", str(report)


@pytest.mark.parametrize("batch_size", [1, 3, 500, 5000])
def test_any_batch_size_passes(batch_size, classes):
    x, y = classes
    report = preflight(trainer_of(network(12, [24], 3), optimizer=pynn.SGD(0.02)), x, y, batch_size=batch_size)
    assert report.ok, str(report)


def test_tiny_batches_with_batch_norm_pass(classes):
    report = preflight(trainer_of(network(12, [32], 3, batchnorm=True)), *classes, batch_size=4)
    assert report.status == "pass", str(report)


@pytest.mark.parametrize("scale", [0.1, 1, 50])
def test_regression_passes_whatever_the_moderate_scale_of_its_targets(scale, amounts):
    x, y = amounts
    trainer = trainer_of(network(6, [48], 1), pynn.MSELoss(), pynn.Adam(1e-2))
    report = preflight(trainer, x[:500], 2 * scale + scale * y[:500], validation=(x[500:], 2 * scale + scale * y[500:]))
    assert report.status == "pass", str(report)


def test_a_loss_of_ones_own_that_may_be_negative_passes(rng):
    x = rng.standard_normal((600, 6)).astype(np.float32)
    y = rng.poisson(np.exp(0.5 * x[:, :1] + 1)).astype(np.float32)
    report = preflight(trainer_of(network(6, [32], 1), poisson), x, y)
    assert report.ok, str(report)


def test_several_yes_or_no_answers_pass(classes):
    x, _ = classes
    y = np.stack([x[:, 0] > 0, x[:, 1] + x[:, 2] > 1, x[:, 3] > 1.5], axis=1).astype(np.float32)
    report = preflight(trainer_of(network(12, [32], 3), pynn.BCEWithLogitsLoss()), x, y)
    assert report.status == "pass", str(report)


def test_whole_numbers_for_an_embedding_pass(rng):
    x = rng.integers(0, 40, (900, 3)).astype(np.float32)
    y = (rng.standard_normal(40)[x.astype(int)].sum(axis=1) > 0).astype(np.int64)
    model = pynn.Sequential(Embedding(40, 6), pynn.Linear(18, 24), pynn.ReLU(), pynn.Linear(24, 2))
    report = preflight(trainer_of(model), x, y)
    assert report.status == "pass", str(report)


def test_images_with_dark_margins_pass():
    x, y = pynn.datasets.load_digits()
    model = pynn.Sequential(pynn.Flatten(), pynn.Linear(64, 64, init="he_normal"), pynn.ReLU(), pynn.Linear(64, 10))
    report = preflight(trainer_of(model), x.reshape(-1, 8, 8) / 16, y)
    assert report.status == "pass", str(report)
    assert report["constant features"].evidence.startswith("3 of 64")


def test_ignored_labels_and_weights_take_no_part(classes):
    x, y = classes
    y = np.where(np.arange(len(y)) % 4 == 0, -100, y)
    report = preflight(trainer_of(network(12, [24], 3)), x, y, sample_weight=np.linspace(0, 2, len(y)))
    assert report.status == "pass", str(report)
    nothing = preflight(trainer_of(network(12, [24], 3)), x, np.full_like(y, -100))
    assert nothing["targets"].status == "fail"


def test_few_possible_values_make_equal_rows_no_fault(rng):
    x = rng.integers(0, 3, (900, 4)).astype(np.float32)
    y = (x.sum(axis=1) + rng.standard_normal(900) > 4).astype(np.int64)
    report = preflight(trainer_of(network(4, [24], 2)), x[:700], y[:700], validation=(x[700:], y[700:]))
    assert report["validation duplicates"].status == "pass", str(report)


def test_a_nan_is_named_and_the_rest_is_skipped(classes):
    report = preflight(trainer_of(network(12, [24], 3)), *holes(*(array.copy() for array in classes)))
    assert "row 41, column 7" in report.failures[0].evidence
    assert {check.status for check in report.checks[1:]} == {"skip"}


def test_a_layer_that_raises_is_a_failed_check_with_its_message(classes):
    trainer = trainer_of(pynn.Sequential(pynn.Linear(12, 3), Raising()))
    check = preflight(trainer, *classes)["one training step"]
    assert check.status == "fail"
    assert "KeyError" in check.evidence
    assert "no such table" in check.evidence


def test_a_layer_that_raises_only_for_large_batches_fails_where_it_does(classes):
    class Picky(Scale):
        def forward(self, x, ctx):
            if len(x) > 200:
                raise RuntimeError("too many")
            return super().forward(x, ctx)

    report = preflight(with_layer(Picky(24)), *classes)
    assert any(check.status == "fail" and "too many" in check.evidence for check in report)


def test_a_layer_that_cannot_be_copied_is_a_failed_check(classes):
    class Open(Scale):
        def __deepcopy__(self, memo):
            raise TypeError("holds a file")

    report = preflight(with_layer(Open(24)), *classes)
    assert "holds a file" in report.failures[0].evidence


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([["a"]], [0]),
        (np.zeros((0, 12)), np.zeros(0, int)),
        (np.zeros((3, 12)), np.zeros(2, int)),
        (np.zeros((3, 12)), np.zeros(3)),
        (np.zeros((3, 5)), np.zeros(3, int)),
        (np.zeros(12), np.zeros(12, int)),
        ([[1.0, 2.0], [1.0]], [0, 1]),
    ],
)
def test_data_of_the_wrong_form_are_a_failed_check(x, y):
    report = preflight(trainer_of(network(12, [24], 3)), x, y)
    assert not report.ok


def test_arguments_are_checked(classes):
    trainer = trainer_of(network(12, [24], 3))
    with pytest.raises(TypeError, match=r"expected a pynn\.Trainer"):
        preflight(trainer.model, *classes)
    with pytest.raises(ValueError, match="batch_size"):
        preflight(trainer, *classes, batch_size=0)
    with pytest.raises(ValueError, match="validation must be a pair"):
        preflight(trainer, *classes, validation=classes[0])


def messy_trainer():
    """A trainer of which as much as possible could change: batch norm, dropout, moments, layers with random numbers."""
    model = pynn.Sequential(
        pynn.Linear(12, 24), pynn.BatchNorm1d(24), pynn.ReLU(), pynn.Dropout(0.3), OwnDropout(), pynn.Linear(24, 3)
    )
    model.preprocessing = pynn.preprocessing.Standardize()
    return pynn.Trainer(
        model,
        pynn.CrossEntropyLoss(),
        pynn.Adam(1e-2, weight_decay=1e-3),
        regularizers=[pynn.L2(1e-3)],
        schedule=pynn.CosineAnnealingLR(5),
        clip_norm=1.0,
        seed=4,
    )


def all_of(trainer):
    state = trainer.model.state_dict() | {f"optimizer.{name}": array for name, array in trainer.optimizer.state.items()}
    return {name: array.tobytes() for name, array in state.items()}, repr(trainer.progress_state())


@pytest.mark.parametrize("epochs", [0, 2])
def test_the_trainer_and_all_random_numbers_are_left_as_they_were(epochs, classes):
    x, y = classes
    runs = []
    for looks in (False, True):
        pynn.manual_seed(1)
        np.random.seed(5)  # noqa: NPY002
        random.seed(6)
        trainer = messy_trainer()
        trainer.fit(x[:300], y[:300], epochs=epochs)
        before = all_of(trainer), trainer.model.preprocessing.is_fitted, trainer.model.flat.grads.tobytes()
        if looks:
            preflight(trainer, x, y, validation=(x[:50], y[:50]))
        after = all_of(trainer), trainer.model.preprocessing.is_fitted, trainer.model.flat.grads.tobytes()
        assert before == after
        trainer.fit(x, y, epochs=2)
        drawn = pynn.Linear(3, 3).weight[...].tobytes(), np.random.random(), random.random()  # noqa: NPY002
        runs.append((all_of(trainer)[0], trainer.history["loss"], drawn))
    assert runs[0] == runs[1]


def test_the_data_are_left_as_they_were_and_may_be_read_only(classes):
    x, y = (array.copy() for array in classes)
    x.flags.writeable = y.flags.writeable = False
    assert preflight(trainer_of(network(12, [24], 3)), x, y).ok
    assert x.tobytes() == classes[0].tobytes()


def test_the_same_seed_gives_the_same_report(classes):
    trainer = trainer_of(network(12, [24], 3, dropout=0.2))
    assert str(preflight(trainer, *classes, seed=3)) == str(preflight(trainer, *classes, seed=3))


def test_a_rate_interval_holds_rates_that_train(classes):
    trainer = trainer_of(network(12, [24], 3), optimizer=pynn.SGD(0.1, momentum=0.9))
    evidence = preflight(trainer, *classes)["learning rate"].evidence
    low, high = (float(word) for word in evidence.split("between ")[1].split(" they")[0].split(" and "))
    assert 1e-4 <= low <= 0.1 <= high <= 10


def test_reports_tell_the_worst_and_list_what_is_wrong():
    report = Report([passed("a", "fine"), skipped("b", "no data"), warned("c", "dead_units", "half", "Do.", "1.ReLU")])
    assert (report.status, report.ok, len(report.failures), len(report.warnings)) == ("warn", True, 0, 1)
    report.checks.append(failed("d", None, "gone", "Run."))
    assert (report.status, report.ok, report.failures[0].name) == ("fail", False, "d")
    assert report.summary() == "1 failed, 1 warned, 1 passed, 1 skipped"
    assert Report([skipped("b", "no data")]).status == "pass"
    assert Report().status == "pass"
    text = str(report)
    for expected in ("warn  c", "1.ReLU: half", "-> Do.", "-> Run.", "preflight: 1 failed"):
        assert expected in text
    assert "Nothing to do" not in text
    with pytest.raises(KeyError, match="expected one of a, b, c, d"):
        report["e"]
    with pytest.raises(ValueError, match="expected one of"):
        Check("a", "pass", "headache", None, "", "")


class Page(html.parser.HTMLParser):
    """Reads a page: its text by element, and whether every element that was opened is closed."""

    VOID = ("link", "meta")

    def __init__(self, content):
        super().__init__()
        self.open, self.texts, self.links = [], [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)


def test_the_page_holds_every_check_escaped_and_needs_nothing_else(tmp_path):
    nasty = '<script>alert("1")</script> & more'
    report = Report([passed("input scale", "rms 1"), failed("gradient check", "not_learning", nasty, nasty, "1.<b>")])
    report.to_html(tmp_path / "report.html")
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(content)
    assert page.open == []
    assert all(link.startswith("data:") for link in page.links)
    text = "".join(page.texts)
    for check in report:
        assert check.name in text
        assert check.evidence in text
    assert nasty not in content
    assert "url(" not in content
    assert "prefers-color-scheme: dark" in content
    assert "width=device-width" in content
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_page_of_a_real_report_holds_all_its_checks(tmp_path, classes):
    report = preflight(trainer_of(network(12, [24], 3), optimizer=pynn.SGD(50.0)), *classes)
    report.to_html(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    text = "".join(page.texts)
    assert all(check.name in text and check.evidence in text for check in report)
    assert "Preflight: fail" in text
