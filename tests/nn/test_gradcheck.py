"""Gradients of every layer, loss and of deep networks; and that the check catches what is wrong."""

import numpy as np
import pytest

import pynn


def over(channels, *layers):
    """Return layers that take six features as sequences, with the result as vectors."""
    return pynn.Sequential(pynn.Unflatten(1, (channels, 6 // channels)), *layers, pynn.Flatten())


LAYERS = {
    "linear": (lambda: pynn.Linear(6, 5), 1e-7),
    "linear_rows": (lambda: over(2, pynn.Linear(3, 4), pynn.ReLU(), pynn.Linear(4, 2), pynn.BatchNorm1d(2)), 1e-5),
    "linear_no_bias": (lambda: pynn.Linear(6, 5, bias=False), 1e-7),
    "batchnorm": (lambda: pynn.BatchNorm1d(6), 1e-7),
    "sigmoid": (pynn.Sigmoid, 1e-7),
    "tanh": (pynn.Tanh, 1e-7),
    "softplus": (lambda: pynn.Softplus(2.0), 1e-7),
    "gelu": (pynn.GELU, 1e-7),
    "gelu_tanh": (lambda: pynn.GELU("tanh"), 1e-7),
    "silu": (pynn.SiLU, 1e-7),
    "mish": (pynn.Mish, 1e-7),
    "logsigmoid": (pynn.LogSigmoid, 1e-7),
    "softsign": (pynn.Softsign, 1e-5),
    "softmax": (pynn.Softmax, 1e-7),
    "log_softmax": (pynn.LogSoftmax, 1e-7),
    "identity": (pynn.Identity, 1e-7),
    "unflatten": (lambda: pynn.Sequential(pynn.Unflatten(1, (2, 3)), pynn.Flatten()), 1e-7),
    "celu": (lambda: pynn.CELU(0.7), 1e-5),
    "relu6": (pynn.ReLU6, 1e-5),
    "hardtanh": (lambda: pynn.Hardtanh(-0.5, 0.6), 1e-5),
    "hardsigmoid": (pynn.Hardsigmoid, 1e-5),
    "hardswish": (pynn.Hardswish, 1e-5),
    "flatten": (pynn.Flatten, 1e-7),
    "dropout": (lambda: pynn.Dropout(0.4), 1e-7),
    "relu": (pynn.ReLU, 1e-5),
    "leaky_relu": (lambda: pynn.LeakyReLU(0.1), 1e-5),
    "elu": (lambda: pynn.ELU(0.5), 1e-5),
    "selu": (pynn.SELU, 1e-5),
    "prelu": (pynn.PReLU, 1e-5),
    "prelu_per_unit": (lambda: pynn.PReLU(6), 1e-5),
    "maxout": (lambda: pynn.Maxout(6, 5, 3), 1e-5),
    "max_pool1d": (lambda: over(2, pynn.MaxPool1d(2, 1)), 1e-5),
    "avg_pool1d": (lambda: over(2, pynn.AvgPool1d(2, 1, 1)), 1e-7),
    "adaptive_avg_pool1d": (lambda: over(2, pynn.AdaptiveAvgPool1d(2)), 1e-7),
    "adaptive_max_pool1d": (lambda: over(1, pynn.AdaptiveMaxPool1d(3)), 1e-5),
    "transposed_1d": (lambda: over(2, pynn.ConvTranspose1d(2, 3, 2, 2)), 1e-7),
    "rms_norm": (lambda: pynn.RMSNorm(6), 1e-7),
    "rms_norm_rows": (lambda: over(2, pynn.RMSNorm(3, 1e-2)), 1e-7),
    "glu": (pynn.GLU, 1e-7),
    "glu_channels": (lambda: over(2, pynn.GLU(1)), 1e-7),
    "pixel_shuffle": (lambda: over(1, pynn.Unflatten(2, (2, 3)), pynn.Conv2d(1, 4, 1), pynn.PixelShuffle(2)), 1e-7),
    "pixel_unshuffle": (
        lambda: over(1, pynn.Unflatten(2, (2, 3)), pynn.ZeroPad2d((0, 1, 0, 0)), pynn.PixelUnshuffle(2)),
        1e-7,
    ),
    "zeros_1d": (lambda: over(2, pynn.ZeroPad1d((-1, 2))), 1e-7),
    "zeros_2d": (lambda: over(1, pynn.Unflatten(2, (2, 3)), pynn.ZeroPad2d((2, -1, 1, 0))), 1e-7),
    "concat": (lambda: pynn.Concat(pynn.Linear(6, 5), pynn.Sequential(pynn.Tanh()), pynn.Identity()), 1e-7),
    "average": (lambda: pynn.Average(pynn.Linear(6, 5), pynn.Linear(6, 5), weights=[1, 2]), 1e-7),
}
LOSSES = {
    "cross_entropy": (pynn.CrossEntropyLoss(), "labels"),
    "cross_entropy_all": (pynn.CrossEntropyLoss([0.5, 2, 1, 3], 0, "sum", 0.2), "labels"),
    "hinge": (pynn.HingeLoss(0.7), "labels"),
    "multi_margin": (pynn.MultiMarginLoss(), "labels"),
    "mse": (pynn.MSELoss(), "soft"),
    "mse_sum": (pynn.MSELoss("sum"), "soft"),
    "nll": (pynn.NLLLoss([0.5, 2, 1, 3]), "labels"),
    "focal": (pynn.FocalLoss(1.5, [0.5, 2, 1, 3]), "labels"),
    "l1": (pynn.L1Loss(), "soft"),
    "smooth_l1": (pynn.SmoothL1Loss(beta=0.5), "soft"),
    "huber": (pynn.HuberLoss("sum", 0.5), "soft"),
    "quantile": (pynn.QuantileLoss(0.8), "soft"),
    "quantiles": (pynn.QuantileLoss([0.1, 0.3, 0.5, 0.9]), "soft"),
    "poisson": (pynn.PoissonNLLLoss(full=True), "soft"),
    "kl": (pynn.KLDivLoss("batchmean"), "soft"),
    "kl_log": (pynn.KLDivLoss("sum", log_target=True), "soft"),
    "bce": (pynn.BCEWithLogitsLoss(pos_weight=3.0), "soft"),
}


@pytest.fixture(autouse=True)
def seeded():
    pynn.manual_seed(3)


def wrong(checks, tolerance):
    return [check for check in checks if not check.ok(tolerance)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_the_gradients_of_a_layer_are_finite_differences(name, training, backend, rng):
    make, tolerance = LAYERS[name]
    model = pynn.Sequential(pynn.Linear(4, 6), make(), pynn.Tanh())
    x = rng.normal(size=(9, 4))
    y = rng.normal(size=model.predict(x).shape)
    checks = pynn.gradcheck(model, pynn.MSELoss(), x, y, training=training)
    assert wrong(checks, tolerance) == []
    assert len(checks) == len(model.parameters()) + 1


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_of_a_loss_is_the_finite_difference(name, backend, rng):
    loss, kind = LOSSES[name]
    targets = {"labels": np.arange(9) % 4, "soft": rng.uniform(size=(9, 4))}[kind]
    model = pynn.Sequential(pynn.Linear(5, 4))
    assert wrong(pynn.gradcheck(model, loss, rng.normal(size=(9, 5)), targets), 1e-6) == []


def test_a_deep_network_with_everything(backend, rng):
    blocks = []
    for activation in (pynn.ReLU, pynn.Tanh, pynn.SiLU, pynn.ELU, pynn.LeakyReLU, pynn.GELU, pynn.SELU, pynn.Sigmoid):
        blocks += [pynn.Linear(8, 8, init="he_normal"), pynn.BatchNorm1d(8), activation(), pynn.Dropout(0.2)]
    model = pynn.Sequential(
        pynn.Flatten(),
        pynn.Linear(6, 8),
        *blocks[:16],
        pynn.Maxout(8, 8, 3),
        pynn.Sequential(*blocks[16:]),
        pynn.PReLU(8),
        pynn.Linear(8, 3),
    )
    x = rng.normal(size=(12, 3, 2))
    checks = pynn.gradcheck(model, pynn.CrossEntropyLoss(), x, np.arange(12) % 3, max_coordinates=30)
    skipped, checked = sum(check.skipped for check in checks), sum(check.checked for check in checks)
    assert skipped <= 0.01 * (skipped + checked)
    assert [check for check in checks if check.error >= 1e-5 and check.difference >= 1e-9] == []
    assert len(checks) == len(model.parameters()) + 1


@pytest.mark.parametrize("training", [True, False])
def test_frozen_batchnorm(training, backend, rng):
    model = pynn.Sequential(pynn.Linear(4, 6), pynn.BatchNorm1d(6), pynn.Tanh(), pynn.Linear(6, 3))
    model[1].freeze()
    model[1].running_mean[...], model[1].running_var[...] = rng.normal(size=6), rng.uniform(1, 2, size=6)
    checks = pynn.gradcheck(
        model, pynn.CrossEntropyLoss(), rng.normal(size=(9, 4)), np.arange(9) % 3, training=training
    )
    assert wrong(checks, 1e-7) == []


def test_the_model_is_left_as_it_was(rng):
    model = pynn.Sequential(pynn.Linear(4, 3), pynn.BatchNorm1d(3), pynn.Dropout(0.5)).train()
    before, data = model.state_dict(), model[0].weight.data
    pynn.gradcheck(model, pynn.MSELoss(), rng.normal(size=(5, 4)), rng.normal(size=(5, 3)))
    assert model[0].weight.data is data
    assert model[0].weight.dtype == np.float32
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


class Square(pynn.Layer):
    """y = scale x^2 + shift, whose backward pass can be broken in the ways people break them."""

    def __init__(self, fault=None):
        super().__init__()
        self.fault = fault
        self.scale = pynn.Parameter(np.full(3, 1.5, dtype=np.float32))
        self.shift = pynn.Parameter(np.full(3, 0.5, dtype=np.float32))

    def forward(self, x, ctx):
        ctx.x = x
        return self.scale * x**2 + self.shift

    def backward(self, dy, ctx):
        sign = -1 if self.fault == "sign" else 1
        self.scale.grad[...] = sign * (dy * ctx.x**2).sum(axis=0)
        self.shift.grad[...] = dy.mean(axis=0) if self.fault == "mean" else dy.sum(axis=0)
        if self.fault == "missing term":
            return dy * ctx.x
        return 2 * dy * self.scale * ctx.x * (1 + 1e-5 * (self.fault == "slightly off"))


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (None, set()),
        ("sign", {"1.scale"}),
        ("mean", {"1.shift"}),
        ("missing term", {"0.weight", "0.bias", "x"}),
        ("slightly off", {"0.weight", "0.bias", "x"}),
    ],
)
def test_a_wrong_gradient_is_found_where_it_is(fault, named, rng):
    model = pynn.Sequential(pynn.Linear(4, 3), Square(fault))
    checks = pynn.gradcheck(model, pynn.MSELoss(), rng.normal(size=(6, 4)), rng.normal(size=(6, 3)))
    assert {check.name for check in wrong(checks, 1e-7)} == named


def test_a_wrong_loss_gradient_is_found(rng):
    def loss(prediction, target):
        difference = prediction - target
        return float((difference**2).mean()), difference / difference.size  # the factor 2 is missing

    model = pynn.Sequential(pynn.Linear(4, 3))
    checks = pynn.gradcheck(model, loss, rng.normal(size=(6, 4)), rng.normal(size=(6, 3)))
    assert {check.name for check in wrong(checks, 1e-7)} == {"0.weight", "0.bias", "x"}


def test_a_step_across_a_kink_is_left_out_and_counted():
    model = pynn.Sequential(pynn.Linear(2, 1, bias=False, init="zeros"), pynn.ReLU())
    model[0].weight[...] = [[1e-7], [1.0]]
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    checks = pynn.gradcheck(model, pynn.MSELoss("sum"), x, [[1.0], [0.0]])
    weight = next(check for check in checks if check.name == "0.weight")
    assert (weight.checked, weight.skipped) == (1, 1)
    assert not weight.ok()


def test_max_coordinates(rng):
    model = pynn.Sequential(pynn.Linear(30, 20))
    x, y = rng.normal(size=(4, 30)), rng.normal(size=(4, 20))
    checks = {check.name: check for check in pynn.gradcheck(model, pynn.MSELoss(), x, y, max_coordinates=7)}
    assert {name: check.checked for name, check in checks.items()} == {"0.weight": 7, "0.bias": 7, "x": 7}


class Bend(pynn.Layer):
    """x + bend x^2, which is smooth but steep for large inputs; `reduce` sums or, wrongly, averages the gradient."""

    def __init__(self, features, reduce):
        super().__init__()
        self.features, self.reduce = features, reduce
        self.bend = pynn.Parameter(np.full(features, 0.1))

    def forward(self, x, ctx):
        ctx.x = x
        return x + self.bend * x * x

    def backward(self, dy, ctx):
        self.bend.grad[...] = self.reduce(dy * ctx.x * ctx.x, axis=0)
        return dy * (1 + 2 * self.bend * ctx.x)


@pytest.mark.parametrize("reduce", [np.sum, np.mean])
def test_a_steep_smooth_layer_has_no_kinks(reduce):
    pynn.manual_seed(0)
    x, y = pynn.datasets.blobs(n=300, classes=3, seed=0)
    model = pynn.Sequential(pynn.Linear(2, 16), Bend(16, reduce), pynn.Tanh(), pynn.Linear(16, 3))
    checks = pynn.gradcheck(model, pynn.CrossEntropyLoss(), x[:20], y[:20])
    assert [check.name for check in checks if not check.ok()] == ([] if reduce is np.sum else ["1.bend"])
    assert not any(check.skipped for check in checks)
