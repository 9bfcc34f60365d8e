"""Initialisation: spreads, limits and fans; what the lecture claims of them; LSUV; seeds."""

import math

import numpy as np
import pytest

import pynn
from pynn import init

IN, OUT = 400, 300
NORMAL = {
    "normal": 0.01,
    "xavier_normal": math.sqrt(2 / (IN + OUT)),
    "lecun_normal": math.sqrt(1 / IN),
    "he_normal": math.sqrt(2 / IN),
}
UNIFORM = {
    "uniform": 0.05,
    "xavier_uniform": math.sqrt(6 / (IN + OUT)),
    "lecun_uniform": math.sqrt(3 / IN),
    "he_uniform": math.sqrt(6 / IN),
    "torch_linear": 1 / math.sqrt(IN),
}


def test_the_tables_here_name_every_initialiser():
    assert {*NORMAL, *UNIFORM, "zeros", "constant", "orthogonal"} == set(init.INITIALIZERS)


@pytest.mark.parametrize("name", NORMAL)
def test_normal(name, rng):
    w = init.INITIALIZERS[name]((IN, OUT), rng=rng) / NORMAL[name]
    # Standard errors for n = 120,000 values: mean 0.003, std 0.002; a share of 0.0027 lies beyond 3.
    assert abs(w.mean()) < 0.015
    assert abs(w.std() - 1) < 0.01
    assert 0.0015 < (np.abs(w) > 3).mean() < 0.004


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform(name, rng):
    w = init.INITIALIZERS[name]((IN, OUT), rng=rng) / UNIFORM[name]
    assert 0.999 < np.abs(w).max() <= 1
    assert abs(w.mean()) < 0.01
    assert abs(w.std() - 1 / math.sqrt(3)) < 0.005


@pytest.mark.parametrize("name", ["lecun_normal", "lecun_uniform", "he_normal", "he_uniform"])
def test_fan_out_mode(name, rng):
    gain = 2 if name.startswith("he") else 1
    w = init.INITIALIZERS[name]((IN, OUT), mode="fan_out", rng=rng)
    assert abs(w.std() * math.sqrt(OUT / gain) - 1) < 0.01
    with pytest.raises(ValueError, match=r'mode is \'fan_avg\'; expected "fan_in" or "fan_out"'):
        init.INITIALIZERS[name]((IN, OUT), mode="fan_avg", rng=rng)


def test_fans_override_the_shape(rng):
    assert abs(init.he_normal((1000,), fans=(50, 2), rng=rng).std() - 0.2) < 0.02
    with pytest.raises(ValueError, match=r"\(3,\).*fans"):
        init.he_normal((3,))


def test_zeros_and_constant():
    assert not init.zeros((3, 4)).any()
    np.testing.assert_array_equal(init.constant((2, 2), 0.3), [[0.3, 0.3], [0.3, 0.3]])


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (20, 60)])
def test_orthogonal(shape, rng):
    w = init.orthogonal(shape, gain=1.5, rng=rng) / 1.5
    product = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-12)


def test_orthogonal_favours_no_sign(rng):
    corners = np.array([init.orthogonal((2, 2), rng=rng)[0, 0] for _ in range(2000)])
    assert abs(corners.mean()) < 0.08


def test_orthogonal_is_for_matrices():
    with pytest.raises(ValueError, match=r"two dimensions.*\(3,\)"):
        init.orthogonal((3,))


def test_defaults_of_layers():
    pynn.manual_seed(0)
    linear = pynn.Linear(400, 300)
    assert 0.99 < np.abs(linear.weight).max() * 20 <= 1.0001
    assert 0.95 < np.abs(linear.bias).max() * 20 <= 1.0001
    maxout = pynn.Maxout(400, 100, 3)
    assert 0.99 < np.abs(maxout.weight).max() * 20 <= 1.0001
    assert not np.any(pynn.Linear(4, 3, init="he_normal").bias)


def test_maxout_fans_are_those_of_one_piece():
    pynn.manual_seed(0)
    layer = pynn.Maxout(300, 100, 4, init="xavier_normal")
    assert abs(np.std(layer.weight[...]) / math.sqrt(2 / 400) - 1) < 0.02


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (pynn.Linear, (2, 3)),
        (pynn.Conv1d, (2, 3, 3)),
        (pynn.ConvTranspose2d, (2, 3, 3)),
        (pynn.Maxout, (2, 3)),
        (pynn.Embedding, (5, 2)),
        (pynn.EmbedColumns, ((0, 3), 2)),
    ],
)
def test_layers_take_a_function_as_init_and_a_file_leaves_it_out(kind, sizes):
    layer = kind(*sizes, init=lambda shape: np.full(shape, 0.5))
    weight = next(parameter for name, parameter in layer.named_parameters() if name.endswith("weight"))
    assert (weight[...] == 0.5).all()
    assert weight.dtype == np.float32
    assert layer.config()["init"] is None
    assert kind(*sizes, init="zeros").config()["init"] == "zeros"


def test_manual_seed():
    def drawn(seed):
        pynn.manual_seed(seed)
        return np.array(pynn.Linear(5, 5).weight), np.array(pynn.Maxout(5, 5).weight)

    for first, again, other in zip(drawn(1), drawn(1), drawn(2), strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_apply_reaches_every_weight_and_spares_batchnorm():
    model = pynn.Sequential(pynn.Linear(4, 5), pynn.Sequential(pynn.BatchNorm1d(5), pynn.PReLU(5)), pynn.Maxout(5, 3))
    init.apply(model, "constant", bias=0.25)
    for layer in (model[0], model[2]):
        np.testing.assert_array_equal(layer.weight, np.full(layer.weight.shape, 0.01, np.float32))
        np.testing.assert_array_equal(layer.bias, np.full(layer.bias.shape, 0.25, np.float32))
    assert (model[1][0].weight[...] == 1).all()
    assert (model[1][1].weight[...] == 0.25).all()
    init.apply(model, "zeros", bias=None)
    assert (model[0].bias[...] == 0.25).all()


def test_apply_writes_where_a_trainer_reads():
    model = pynn.Sequential(pynn.Linear(4, 3))
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.1))
    init.apply(model, "zeros")
    assert trainer.step(np.ones((2, 4)), np.full((2, 3), 2.0)) == 4.0


def spreads(initializer, activation, depth=10, width=256):
    """Return the standard deviations (or root mean squares) of the activations, layer by layer."""
    pynn.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(512, width)).astype(np.float32)
    result = []
    for _ in range(depth):
        x = pynn.Sequential(pynn.Linear(width, width, init=initializer), activation()).predict(x)
        result.append(float(np.sqrt(np.mean(np.square(x)))))
    return result


def test_small_random_numbers_collapse_through_tanh():
    assert spreads("normal", pynn.Tanh)[-1] < 1e-6


def test_lecun_keeps_the_spread_through_tanh():
    assert min(spreads("lecun_normal", pynn.Tanh)) > 0.2
    assert min(spreads("xavier_normal", pynn.Tanh)) > 0.2


def test_he_keeps_the_mean_square_through_relu_and_lecun_halves_it():
    he, lecun = spreads("he_normal", pynn.ReLU), spreads("lecun_normal", pynn.ReLU)
    # he: E[relu(z)^2] = E[z^2] / 2 = mean square of the input.
    assert all(0.7 < rms < 1.4 for rms in he)
    assert 0.6 < lecun[-1] * 2 ** (len(lecun) / 2) < 1.5


def test_lsuv_reaches_unit_variance(backend, rng):
    layers = [pynn.Linear(20, 30, init="zeros"), pynn.ReLU(), pynn.Maxout(30, 30), pynn.BatchNorm1d(30), pynn.Dropout()]
    model = pynn.Sequential(*layers, pynn.Sequential(pynn.Linear(30, 40), pynn.Tanh()), pynn.Linear(40, 5))
    x = 100 * rng.normal(size=(500, 20))
    variances = init.lsuv(model, x, tolerance=0.005, rng=rng)
    assert list(variances) == ["0", "2", "5.0", "6"]
    assert all(abs(variance - 1) < 0.005 for variance in variances.values())
    assert abs(model.predict(x).var() - variances["6"]) < 1e-5
    assert not model[3].running_mean.any()


def test_lsuv_refuses_a_constant_output(rng):
    model = pynn.Sequential(pynn.Linear(4, 4))
    with pytest.raises(ValueError, match="layer 0 has variance 0"):
        init.lsuv(model, np.zeros((10, 4)))


def test_init_errors():
    with pytest.raises(ValueError, match=r"unknown initialisation 'xavier'.*xavier_normal"):
        init.make("xavier", (2, 2))
    with pytest.raises(ValueError, match=r"\(2,\); expected \(2, 2\)"):
        init.make(lambda shape: np.ones(2), (2, 2))
