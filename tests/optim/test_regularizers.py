"""MaxNorm: what it takes for a unit's incoming weights, layer by layer."""

import copy
import pickle

import numpy as np
import pytest

import pynn

pytestmark = pytest.mark.usefixtures("backend")
LIMIT = 0.8

# Layers, and an index into their weight per unit.
LAYERS = {
    "Linear": (lambda: pynn.Linear(5, 4), lambda w: [np.s_[:, unit] for unit in range(4)]),
    "Maxout": (lambda: pynn.Maxout(5, 3, 2), lambda w: [np.s_[:, unit] for unit in range(w.shape[1])]),
    "Embedding": (lambda: pynn.Embedding(6, 3), lambda w: list(range(6))),
    "Embedding with padding": (lambda: pynn.Embedding(6, 3, padding_idx=2), lambda w: list(range(6))),
    "Conv1d": (lambda: pynn.Conv1d(3, 4, 5), lambda w: list(range(4))),
    "Conv2d": (lambda: pynn.Conv2d(3, 4, 3), lambda w: list(range(4))),
    "Conv2d of one filter": (lambda: pynn.Conv2d(1, 1, 3), lambda w: [0]),
    "Conv2d, 1x1": (lambda: pynn.Conv2d(3, 4, 1), lambda w: list(range(4))),
    "Conv2d, grouped": (lambda: pynn.Conv2d(6, 4, 3, groups=2), lambda w: list(range(4))),
    "Conv2d, depthwise": (lambda: pynn.Conv2d(4, 8, 3, groups=4), lambda w: list(range(8))),
    "ConvTranspose1d": (lambda: pynn.ConvTranspose1d(3, 4, 5), lambda w: [np.s_[:, unit] for unit in range(4)]),
    "ConvTranspose2d": (lambda: pynn.ConvTranspose2d(3, 4, 3), lambda w: [np.s_[:, unit] for unit in range(4)]),
    "ConvTranspose2d, grouped": (
        lambda: pynn.ConvTranspose2d(6, 4, 3, groups=2),
        lambda w: [np.s_[3 * group : 3 * group + 3, unit] for group in range(2) for unit in range(2)],
    ),
    "ConvTranspose2d, depthwise": (
        lambda: pynn.ConvTranspose2d(4, 4, 3, groups=4),
        lambda w: [np.s_[unit : unit + 1, 0] for unit in range(4)],
    ),
}


def limited(layer, dtype="float32"):
    """Return a layer's weight with its norms limited."""
    layer = copy.deepcopy(layer)
    pynn.MaxNorm(LIMIT).constrain(pynn.Sequential(layer).astype(dtype).flat)
    return layer.weight[...]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", LAYERS)
def test_each_unit_s_incoming_weights_are_limited(kind, dtype, rng):
    make, units = LAYERS[kind]
    layer = make()
    weight = rng.normal(size=layer.weight.shape).astype(np.float32)
    places = units(weight)
    for number, unit in enumerate(places):  # one within the limit, the others beyond it
        weight[unit] *= (0.5 if number == 1 else 2.0) / np.linalg.norm(weight[unit])
    layer.weight[...] = weight
    weight = layer.weight[...].astype(float)
    expected = weight.copy()
    for unit in places:
        expected[unit] *= min(1, LIMIT / np.linalg.norm(weight[unit]))
    assert sum(expected[unit].size for unit in places) == weight.size
    np.testing.assert_allclose(limited(layer, dtype), expected, rtol=1e-6 if dtype == "float32" else 1e-12)


def test_a_convolution_s_units_are_its_output_channels(rng):
    """A unit's weights determine its channel alone: scaling them scales that channel."""
    for make, units in (LAYERS[kind] for kind in LAYERS if kind.startswith("Conv")):
        layer = make()
        layer.bias[...] = 0
        x = rng.normal(size=(2, layer.in_channels, *[7] * (layer.weight.ndim - 2)))
        before = pynn.Sequential(layer).predict(x)
        for channel, unit in enumerate(units(layer.weight.data)):
            layer.weight.data[unit] *= 2
            after = pynn.Sequential(copy.deepcopy(layer)).predict(x)
            layer.weight.data[unit] /= 2
            np.testing.assert_allclose(after[:, channel], 2 * before[:, channel], rtol=1e-5)
            rest = np.delete(np.arange(after.shape[1]), channel)
            np.testing.assert_array_equal(after[:, rest], before[:, rest])


def test_tables_of_columns_are_limited_by_row(rng):
    layer = pynn.EmbedColumns([0, 4, 0], 3)
    for table in layer.parameters():
        table[...] = 10 * rng.normal(size=table.shape)
    pynn.MaxNorm(LIMIT).constrain(pynn.Sequential(layer).flat)
    for table in layer.parameters():
        np.testing.assert_allclose(np.linalg.norm(table[...], axis=1), LIMIT, rtol=1e-6)


class Own(pynn.Layer):
    def __init__(self, shape, axis=None):
        self.weight = pynn.Parameter(np.full(shape, 9.0))
        self.weight.unit_axis = axis


@pytest.mark.parametrize(
    ("shape", "axis", "units"),
    [((3, 4), axis, units) for axis, units in ((None, 1), (0, 0), (1, 1), (-1, 1), (-2, 0))]
    + [((3, 4, 2), axis, units) for axis, units in ((None, 0), (0, 0), (1, 1), (2, 2), (-1, 2))],
)
def test_the_units_of_a_parameter_of_the_user_s_own_are_along_its_unit_axis(shape, axis, units):
    weight = limited(Own(shape, axis))
    others = tuple(other for other in range(len(shape)) if other != units)
    np.testing.assert_allclose(np.sqrt(np.square(weight).sum(axis=others)), LIMIT, rtol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_a_copy_s_units_are_those_of_the_original(copied):
    layer = copied(pynn.Embedding(6, 3))
    layer.weight[...] = 9
    np.testing.assert_allclose(np.linalg.norm(limited(layer), axis=1), LIMIT, rtol=1e-6)


def test_vectors_and_what_does_not_decay_and_frozen_weights_stay():
    model = pynn.Sequential(pynn.Conv2d(1, 2, 3), pynn.BatchNorm2d(2), pynn.Flatten(), pynn.Embedding(4, 2))
    for parameter in model.parameters():
        parameter[...] = 9
    model[0].weight.frozen = True
    model[3].weight.decay = False
    pynn.MaxNorm(LIMIT).constrain(model.flat)
    assert all((parameter[...] == 9).all() for parameter in model.parameters())
