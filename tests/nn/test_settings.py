"""Settings assigned to layers, losses, schedules and regularisers: checked as the constructor's, and never in vain."""

import numpy as np
import pytest

import pynn

#: Objects, and a value of a setting that their constructors refuse.
REFUSED = {
    "Dropout": (lambda: pynn.Dropout(0.5), "p", 3),
    "LeakyReLU": (pynn.LeakyReLU, "negative_slope", float("nan")),
    "Hardtanh": (pynn.Hardtanh, "min_val", 9),
    "GELU": (pynn.GELU, "approximate", "erf"),
    "Softmax": (pynn.Softmax, "dim", 0),
    "BatchNorm1d": (lambda: pynn.BatchNorm1d(4), "momentum", -1),
    "LayerNorm": (lambda: pynn.LayerNorm(4), "eps", 0),
    "GroupNorm": (lambda: pynn.GroupNorm(2, 4), "num_groups", 3),
    "Conv2d": (lambda: pynn.Conv2d(3, 4, 3), "stride", 0),
    "Conv1d": (lambda: pynn.Conv1d(3, 4, 3), "padding", "all"),
    "ConvTranspose2d": (lambda: pynn.ConvTranspose2d(3, 4, 3), "output_padding", 5),
    "MaxPool2d": (lambda: pynn.MaxPool2d(2), "padding", 5),
    "Upsample": (lambda: pynn.Upsample(scale_factor=2), "mode", "cubic"),
    "Embedding": (lambda: pynn.Embedding(5, 3), "padding_idx", 9),
    "CrossEntropyLoss": (pynn.CrossEntropyLoss, "label_smoothing", 3),
    "NLLLoss": (pynn.NLLLoss, "ignore_index", "none"),
    "FocalLoss": (pynn.FocalLoss, "gamma", -1),
    "HuberLoss": (pynn.HuberLoss, "delta", 0),
    "StepLR": (lambda: pynn.StepLR(3), "step_size", 0),
    "OneCycleLR": (lambda: pynn.OneCycleLR(1.0, 10), "pct_start", 2),
    "L2": (lambda: pynn.L2(0.1), "coefficient", -1),
    "EMA": (pynn.EMA, "decay", 1),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_constructor_refuses_cannot_be_assigned(kind):
    make, name, value = REFUSED[kind]
    thing = make()
    before = repr(thing)
    with pytest.raises(ValueError, match=name):
        setattr(thing, name, value)
    assert repr(thing) == before


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (pynn.Conv2d(2, 2, 3), "stride", 2),
        (pynn.Conv2d(2, 2, 3), "padding", "same"),
        (pynn.MaxPool2d(2), "stride", 1),
        (pynn.GroupNorm(1, 2), "num_groups", 2),
        (pynn.Softmax(), "dim", 1),
    ],
)
def test_an_assigned_setting_is_the_constructors(layer, name, value, rng):
    x = rng.normal(size=(3, 2, 6, 6)).astype(np.float32)
    model = pynn.Sequential(layer)
    before = model.predict(x)
    setattr(layer, name, value)
    twin = type(layer)(**layer.config())
    assert repr(twin) == repr(layer)
    other = pynn.Sequential(twin)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(model.predict(x), other.predict(x))
    assert before.shape != model.predict(x).shape or (before != model.predict(x)).any()


def test_assigning_a_setting_draws_no_weights():
    drawn = []
    for assigns in (False, True):
        layer = pynn.Conv2d(2, 2, 3)
        pynn.manual_seed(0)
        if assigns:
            layer.stride = 2
        drawn.append(pynn.Linear(2, 2).weight[...])
    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (pynn.Linear(3, 4), "in_features", 5),
        (pynn.Linear(3, 4, bias=False), "bias", True),
        (pynn.BatchNorm1d(4), "num_features", 5),
        (pynn.Conv2d(3, 4, 3), "kernel_size", 5),
        (pynn.LayerNorm(4), "elementwise_affine", False),
    ],
)
def test_shapes_of_parameters_are_fixed(layer, name, value):
    with pytest.raises(ValueError, match=rf"{name} is fixed, .*: {type(layer).__name__}\(.*{name}="):
        setattr(layer, name, value)


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (pynn.Sequential(pynn.ReLU()), "layers", (pynn.Tanh(),)),
        (pynn.Residual(pynn.ReLU()), "inner", pynn.Tanh()),
        (pynn.Concat(pynn.ReLU(), pynn.Tanh()), "branches", (pynn.Tanh(),)),
        (pynn.Average(pynn.ReLU(), pynn.Tanh()), "weights", [1, 2]),
    ],
)
def test_what_a_container_holds_is_fixed(layer, name, value):
    with pytest.raises(TypeError, match=f"{name} of {type(layer).__name__} is fixed"):
        setattr(layer, name, value)


class Wrapped(pynn.Layer):
    def __init__(self):
        super().__init__()
        self.inner = pynn.Linear(3, 3)
        self.scale = 1.0

    def forward(self, x, ctx):
        return self.inner.forward(x, ctx)

    def backward(self, dy, ctx):
        return self.inner.backward(dy, ctx)


@pytest.mark.parametrize("used", ["trained", "predicted"])
@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (lambda model: model[0], "inner", pynn.Linear(3, 3)),
        (lambda model: model[0], "inner", None),
        (lambda model: model[0], "extra", pynn.Parameter(np.ones(3))),
        (lambda model: model[0].inner, "weight", pynn.Parameter(np.ones((3, 3)))),
        (lambda model: model[1], "bias", pynn.Parameter(np.ones(2))),
    ],
)
def test_a_model_in_use_takes_no_other_parameters(place, name, value, used, rng):
    """They would neither be trained nor saved, without a word."""
    x, y = rng.normal(size=(8, 3)), np.arange(8) % 2
    model = pynn.Sequential(Wrapped(), pynn.Linear(3, 2, bias=False))
    if used == "trained":
        pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1)).step(x, y)
    else:
        model.predict(x)
    with pytest.raises(RuntimeError, match=f"{name} of .* holds parameters"):
        setattr(place(model), name, value)
    model[0].scale = 2.0


def test_parameters_may_be_replaced_before_the_first_use(rng):
    model = pynn.Sequential(Wrapped(), pynn.Linear(3, 2, bias=False))
    model[0].inner = pynn.Linear(3, 3)
    model[1].bias = pynn.Parameter(np.zeros(2))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    before = model[0].inner.weight[...].copy()
    trainer.step(rng.normal(size=(8, 3)), np.zeros(8, int))
    assert (model[0].inner.weight[...] != before).all()
    assert model[1].bias[...].all()
