"""Layers: forward passes against plain NumPy and SciPy, what they refuse, and what they compute or leave out."""

import copy
import pickle

import numpy as np
import pytest
from scipy import special

import pynn

pytestmark = pytest.mark.usefixtures("backend")

ELEMENTWISE = {
    "relu": (pynn.ReLU, {}, lambda x: np.maximum(x, 0)),
    "leaky_relu": (pynn.LeakyReLU, {"negative_slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
    "elu": (pynn.ELU, {"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0)))),
    "selu": (
        pynn.SELU,
        {},
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    ),
    "sigmoid": (pynn.Sigmoid, {}, special.expit),
    "tanh": (pynn.Tanh, {}, np.tanh),
    "softplus": (pynn.Softplus, {"beta": 2.0}, lambda x: np.logaddexp(0, 2 * x) / 2),
    "gelu": (pynn.GELU, {}, lambda x: x * special.ndtr(x)),
    "gelu_tanh": (
        pynn.GELU,
        {"approximate": "tanh"},
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": (pynn.SiLU, {}, lambda x: x * special.expit(x)),
    "mish": (pynn.Mish, {}, lambda x: x * np.tanh(np.logaddexp(0, x))),
    "logsigmoid": (pynn.LogSigmoid, {}, special.log_expit),
    "celu": (pynn.CELU, {"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0) / 0.7))),
    "relu6": (pynn.ReLU6, {}, lambda x: np.clip(x, 0, 6)),
    "hardsigmoid": (pynn.Hardsigmoid, {}, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hardswish": (pynn.Hardswish, {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "softsign": (pynn.Softsign, {}, lambda x: x / (1 + np.abs(x))),
    "hardtanh": (pynn.Hardtanh, {"min_val": -0.5, "max_val": 2.0}, lambda x: np.clip(x, -0.5, 2)),
    "softmax": (pynn.Softmax, {}, lambda x: special.softmax(x, axis=1)),
    "log_softmax": (pynn.LogSoftmax, {"dim": 1}, lambda x: special.log_softmax(x, axis=1)),
    "identity": (pynn.Identity, {}, lambda x: x),
    "prelu": (pynn.PReLU, {"init": 0.3}, lambda x: np.where(x > 0, x, 0.3 * x)),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activation_forward(name, dtype, tolerance, rng):
    layer_class, arguments, expected = ELEMENTWISE[name]
    extra = {"dtype": dtype} if layer_class is pynn.PReLU else {}
    model = pynn.Sequential(pynn.Linear(5, 5, init="zeros", dtype=dtype), layer_class(**arguments, **extra))
    model[0].weight[...] = np.eye(5)
    x = rng.normal(size=(7, 5)).astype(dtype) * 3
    y = model(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected(x.astype(np.float64)), **tolerance)


def test_linear_forward(dtype, tolerance, rng):
    layer = pynn.Linear(6, 4, dtype=dtype)
    x = rng.normal(size=(9, 6))
    expected = x @ layer.weight[...].astype(float) + layer.bias[...]
    np.testing.assert_allclose(pynn.Sequential(layer)(x), expected, **tolerance)


@pytest.mark.parametrize("shape", [(3, 5, 6), (2, 3, 4, 6), (0, 5, 6), (3, 0, 6)])
@pytest.mark.parametrize("activation", [None, pynn.ReLU, pynn.GELU])
def test_linear_takes_the_last_dimension(shape, activation, dtype, tolerance, rng):
    """As over the rows of a matrix, forward and backward, with and without a fused activation."""
    made = [pynn.Linear(6, 4, dtype=dtype)] + ([] if activation is None else [activation()])
    model = pynn.Sequential(*made)
    x, dy = rng.normal(size=shape).astype(dtype), rng.normal(size=(*shape[:-1], 4)).astype(dtype)
    model.train()
    y, dx = model(x), model.backward(dy)
    z = x.astype(float) @ made[0].weight[...] + made[0].bias[...]
    factor = {None: np.ones_like, pynn.ReLU: lambda z: (z > 0) * 1.0, pynn.GELU: gelu_slope}[activation](z)
    expected = {None: z, pynn.ReLU: np.maximum(z, 0), pynn.GELU: z * special.ndtr(z)}[activation]
    np.testing.assert_allclose(y, expected, **tolerance)
    dz = (dy * factor).reshape(-1, 4)
    np.testing.assert_allclose(made[0].weight.grad, x.reshape(-1, 6).T.astype(float) @ dz, **tolerance)
    np.testing.assert_allclose(made[0].bias.grad, dz.sum(axis=0), **tolerance)
    assert dx.shape == x.shape
    np.testing.assert_allclose(dx, (dz @ made[0].weight[...].T.astype(float)).reshape(shape), **tolerance)


def gelu_slope(z):
    return special.ndtr(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 5), r"expected \(batch, 6\)$"),
        ((2, 3, 5), r"expected \(batch, \.\.\., 6\)$"),
        ((2, 3, 2), r"expected \(batch, 6\); put Flatten\(\) before it"),
    ],
)
def test_linear_names_what_does_not_fit(shape, expected):
    with pytest.raises(ValueError, match=expected):
        pynn.Sequential(pynn.Linear(6, 4))(np.ones(shape))


def test_linear_without_bias(rng):
    layer = pynn.Linear(6, 4, bias=False, dtype="float64")
    x = rng.normal(size=(9, 6))
    assert layer.bias is None
    np.testing.assert_allclose(pynn.Sequential(layer)(x), x @ layer.weight[...], rtol=1e-12)


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout_forward(pieces, dtype, tolerance, rng):
    layer = pynn.Maxout(6, 4, pieces, dtype=dtype)
    layer.bias[...] = rng.normal(size=layer.bias.shape)
    x = rng.normal(size=(9, 6)).astype(dtype)
    columns = (x.astype(float) @ layer.weight[...] + layer.bias[...]).reshape(9, pieces, 4)
    np.testing.assert_allclose(pynn.Sequential(layer)(x), columns.max(axis=1), **tolerance)


def test_batchnorm_forward_and_running_statistics(dtype, tolerance, rng):
    layer = pynn.BatchNorm1d(4, eps=1e-3, momentum=0.2, dtype=dtype)
    layer.weight[...], layer.bias[...] = rng.uniform(0.5, 2, 4), rng.normal(size=4)
    model = pynn.Sequential(layer).train()
    mean, var = np.zeros(4), np.ones(4)
    for _ in range(3):
        x = rng.normal(2, 3, size=(11, 4)).astype(dtype).astype(float)
        expected = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3) * layer.weight[...] + layer.bias[...]
        np.testing.assert_allclose(model(x), expected, **tolerance)
        mean, var = 0.8 * mean + 0.2 * x.mean(axis=0), 0.8 * var + 0.2 * x.var(axis=0, ddof=1)
    np.testing.assert_allclose(layer.running_mean, mean, **tolerance)
    np.testing.assert_allclose(layer.running_var, var, **tolerance)
    kept = layer.running_mean.copy()
    expected = (x - mean) / np.sqrt(var + 1e-3) * layer.weight[...] + layer.bias[...]
    np.testing.assert_allclose(model.eval()(x), expected, **tolerance)
    np.testing.assert_array_equal(layer.running_mean, kept)


def test_batchnorm_refuses_a_single_example_in_training():
    model = pynn.Sequential(pynn.BatchNorm1d(3)).train()
    with pytest.raises(ValueError, match="1"):
        model(np.ones((1, 3)))
    assert model.eval()(np.ones((1, 3))).shape == (1, 3)


def test_flatten_keeps_the_order(rng):
    x = rng.normal(size=(5, 3, 4, 2)).astype(np.float32)
    model = pynn.Sequential(pynn.Flatten())
    np.testing.assert_array_equal(model(x), x.reshape(5, 24))
    assert model.backward(np.ones((5, 24))).shape == x.shape


def test_unflatten_is_the_inverse_of_flatten(rng):
    x = rng.normal(size=(5, 3, 4, 2)).astype(np.float32)
    model = pynn.Sequential(pynn.Flatten(), pynn.Unflatten(1, (3, 4, 2)))
    np.testing.assert_array_equal(model(x), x)
    assert model.backward(np.ones_like(x)).shape == x.shape
    np.testing.assert_array_equal(pynn.Sequential(pynn.Unflatten(2, [2, 2]))(x), x.reshape(5, 3, 2, 2, 2))


def test_unflatten_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"Unflatten got an input of shape \(2, 7\); expected 12 in dimension 1"):
        pynn.Sequential(pynn.Unflatten(1, (3, 4)))(np.ones((2, 7)))


@pytest.mark.parametrize("dim", [0, 1.5, None])
def test_softmax_over_the_batch_is_refused(dim):
    with pytest.raises(ValueError, match="dim is"):
        pynn.Softmax(dim)


def test_softmax_of_images_is_over_channels(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(pynn.Sequential(pynn.Softmax(1))(x).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout(p, rng):
    model = pynn.Sequential(pynn.Dropout(p)).train()
    x = rng.uniform(1, 2, size=(200, 50)).astype(np.float32)
    y = model(x)
    dropped = y == 0
    assert abs(dropped.mean() - p) < 0.02
    np.testing.assert_allclose(y[~dropped], x[~dropped] / (1 - p if p < 1 else 1), rtol=1e-6)
    dx = model.backward(np.ones_like(x))
    np.testing.assert_array_equal(dx == 0, dropped)
    np.testing.assert_array_equal(model.eval()(x), x)


def test_dropout_draws_a_new_mask_each_time():
    model = pynn.Sequential(pynn.Dropout(0.5)).train()
    x = np.ones((20, 20), dtype=np.float32)
    assert (model(x) != model(x)).any()


def test_two_dropouts_in_one_pass_are_independent():
    model = pynn.Sequential(pynn.Dropout(0.5), pynn.Dropout(0.5)).train()
    kept = (model(np.ones((200, 100), dtype=np.float32)) != 0).mean()
    assert abs(kept - 0.25) < 0.02


def test_gradient_of_a_bias_before_batchnorm_is_exactly_zero(dtype, rng):
    model = pynn.Sequential(pynn.Linear(5, 4, dtype=dtype), pynn.BatchNorm1d(4, dtype=dtype), pynn.Tanh()).train()
    model[0].bias.grad[...] = 7
    model.backward(rng.normal(size=model(rng.normal(size=(8, 5))).shape))
    assert not model[0].bias.grad.any()
    assert model[0].weight.grad.any()
    model.eval().backward(rng.normal(size=model(rng.normal(size=(8, 5))).shape))
    assert model[0].bias.grad.all()


def test_bias_before_batchnorm_across_a_nested_model(rng):
    inner = pynn.Sequential(pynn.Linear(5, 4))
    model = pynn.Sequential(inner, pynn.BatchNorm1d(4), pynn.Tanh()).train()
    model.backward(rng.normal(size=model(rng.normal(size=(8, 5))).shape))
    assert not inner[0].bias.grad.any()


def test_bias_before_a_frozen_batchnorm_has_its_gradient(rng):
    model = pynn.Sequential(pynn.Linear(5, 4), pynn.BatchNorm1d(4), pynn.Tanh()).train()
    model[1].freeze()
    dy = rng.normal(size=model(rng.normal(size=(8, 5))).shape)
    model.backward(dy)
    assert model[0].bias.grad.all()


class Probe(pynn.Layer):
    """Passes x on and notes whether its backward pass was asked for dx."""

    def __init__(self):
        super().__init__()
        self.scale = pynn.Parameter(np.ones(1, dtype=np.float32))
        self.asked = []

    def forward(self, x, ctx):
        return x

    def backward(self, dy, ctx):
        self.asked.append(ctx.needs_dx)
        self.scale.grad[...] = 0
        return dy if ctx.needs_dx else None


def test_a_method_without_ctx_is_refused_where_the_class_is_written():
    with pytest.raises(
        TypeError, match=r"^Mine\.forward\(self, x\) lacks an argument; expected forward\(self, x, ctx\)$"
    ):
        type("Mine", (pynn.Layer,), {"forward": lambda self, x: x})
    with pytest.raises(TypeError, match=r"expected backward\(self, dy, ctx\)$"):
        type("Mine", (pynn.Layer,), {"backward": lambda self, dy: dy})
    type(
        "Any", (pynn.Layer,), {"forward": lambda *arguments: arguments[1], "backward": lambda self, dy, ctx, more=1: dy}
    )


def test_a_layer_need_not_call_the_constructor_of_its_base():
    class Bare(pynn.Layer):
        def __init__(self, size):
            self.size, self.scale = size, pynn.Parameter(np.ones(size, dtype=np.float32))

        def forward(self, x, ctx):
            return x * self.scale

    layer = Bare(3)
    model = pynn.Sequential(layer)
    np.testing.assert_array_equal(model(np.full((2, 3), 2.0)), np.full((2, 3), 2.0))
    with pytest.raises(ValueError, match="already belongs to a model"):
        pynn.Sequential(layer)


def test_first_layer_is_not_asked_for_the_inputs_gradient():
    first, second = Probe(), Probe()
    model = pynn.Sequential(pynn.Flatten(), first, pynn.Linear(3, 4), second, pynn.Linear(4, 2))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    trainer.step(np.ones((4, 3)), [0, 1, 0, 1])
    assert first.asked == [False]
    assert second.asked == [True]
    y = model(np.ones((4, 3)))
    assert model.backward(np.ones_like(y)).shape == (4, 3)
    assert first.asked == [False, True]


def test_first_layer_in_a_nested_model_is_not_asked_either():
    probe = Probe()
    model = pynn.Sequential(pynn.Sequential(probe, pynn.Linear(3, 4)), pynn.Linear(4, 2))
    pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1)).step(np.ones((4, 3)), [0, 1, 0, 1])
    assert probe.asked == [False]


class Forgetful(Probe):
    def backward(self, dy, ctx):
        self.scale.grad[...] = 0


def test_a_layer_that_returns_no_gradient_is_named():
    model = pynn.Sequential(pynn.Linear(3, 4), Forgetful(), pynn.Linear(4, 2))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    with pytest.raises(TypeError, match="Forgetful"):
        trainer.step(np.ones((4, 3)), [0, 1, 0, 1])


@pytest.mark.parametrize("missing", ["forward", "backward"])
def test_a_layer_without_passes_says_so(missing):
    layer = pynn.Layer()
    with pytest.raises(TypeError, match=missing):
        getattr(layer, missing)(np.ones((1, 1)), pynn.Context())


@pytest.mark.parametrize("layer", [lambda: pynn.Linear(3, 2), lambda: pynn.Maxout(3, 2), lambda: pynn.BatchNorm1d(3)])
def test_wrong_width_at_run_time(layer):
    model = pynn.Sequential(layer())
    with pytest.raises(ValueError, match=r"\(4, 5\); expected \(batch, 3\)"):
        model(np.ones((4, 5)))


def test_a_parameter_works_like_an_array():
    layer = pynn.Linear(2, 3, init="zeros", dtype="float64")
    layer.weight[...] = np.arange(6).reshape(2, 3)
    layer.weight += 1
    layer.weight[0, 0] = -1
    assert isinstance(layer.weight, pynn.Parameter)
    np.testing.assert_array_equal(np.asarray(layer.weight), [[-1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(np.ones((1, 2)) @ layer.weight, [[3, 7, 9]])
    np.testing.assert_array_equal(2 * layer.weight[1], [8, 10, 12])
    assert np.sum(layer.weight) == 19
    assert (len(layer.weight), layer.weight.size, layer.weight.ndim) == (2, 6, 2)
    copied = np.array(layer.weight)
    copied[...] = 0
    assert layer.weight[0, 1] == 2


def test_a_parameter_cannot_be_overwritten_by_accident():
    layer = pynn.Linear(2, 3)
    with pytest.raises(TypeError, match=r"layer.weight\[...\]"):
        layer.weight = np.zeros((2, 3))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copied_layer_is_free_for_another_model(copied):
    layer = pynn.Linear(2, 3)
    model = pynn.Sequential(layer, pynn.ReLU())
    other = pynn.Sequential(copied(layer))
    other[0].weight[...] = 0
    assert model[0].weight[...].any()


def test_repr_names_the_arguments():
    assert repr(pynn.Dropout(0.25)) == "Dropout(p=0.25)"
    assert repr(pynn.Maxout(3, 2, 4)) == "Maxout(in_features=3, out_features=2, pieces=4, init=None)"


def test_layers_and_parameters_are_listed_while_a_layer_keeps_something_more():
    layer = pynn.Residual(pynn.Sequential(pynn.Linear(3, 3)), pynn.Linear(3, 3))
    names = []
    for name, _ in layer.named_parameters():
        for each in layer.all_layers():
            setattr(each, f"_kept_{len(names)}", 0)  # as a step in another thread does
        names.append(name)
    assert names == ["inner.0.weight", "inner.0.bias", "shortcut.weight", "shortcut.bias"]
