"""The gradient check finds wrong gradients of layers and losses of a user's own, and passes right ones with kinks."""

import numpy as np
import pytest
from gradient_mutants import (
    RIGHT_CLASS_LOSSES,
    RIGHT_LAYERS,
    RIGHT_LOSSES,
    WRONG_CLASS_LOSSES,
    WRONG_LAYERS,
    WRONG_LOSSES,
)

import pynn
from pynn.babysit.preflight import case as cases
from pynn.babysit.preflight import data, gradients, start

SIZE = 16


def checked(model, loss, x, y):
    """Return the gradient check alone, with the data prepared as `preflight` prepares them."""
    trainer = pynn.Trainer(model, loss, pynn.Adam(1e-3))
    case = cases.Case(trainer, model, trainer.loss, 32, 0)
    assert not data.load(case, data.RawData(x, y))
    assert start.first_step(case)[-1].status == "pass"
    return gradients.gradient_check(case)


def with_layer(layer, seed=0, before=pynn.ReLU):
    """Return the check of a classifier with a layer between two others."""
    pynn.manual_seed(seed)
    rng = np.random.default_rng(seed)
    width = SIZE // 2 if type(layer).__name__ == "Pool" else SIZE
    model = pynn.Sequential(pynn.Linear(8, SIZE), before(), layer, pynn.Linear(width, 3))
    return checked(model, pynn.CrossEntropyLoss(), rng.standard_normal((60, 8)), rng.integers(0, 3, 60))


def with_loss(loss, outputs, seed=0):
    """Return the check of a network with a loss of values, (n, 2), or of classes."""
    pynn.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 8))
    y = rng.standard_normal((60, 2)).astype(np.float32) if outputs == 2 else rng.integers(0, 3, 60)
    model = pynn.Sequential(pynn.Linear(8, SIZE), pynn.ReLU(), pynn.Linear(SIZE, outputs))
    return checked(model, loss, x, y)


def test_there_are_50_mutants():
    assert len(WRONG_LAYERS) + len(WRONG_LOSSES) + len(WRONG_CLASS_LOSSES) >= 50


@pytest.mark.parametrize("before", [pynn.ReLU, pynn.Tanh])
@pytest.mark.parametrize("name", WRONG_LAYERS)
def test_a_wrong_gradient_of_a_layer_is_found_in_its_place(name, before):
    check = with_layer(WRONG_LAYERS[name](SIZE), before=before)
    assert check.status == "fail"
    assert check.layer.startswith("2.")


@pytest.mark.parametrize("name", [*WRONG_LOSSES, *WRONG_CLASS_LOSSES])
def test_a_wrong_gradient_of_a_loss_is_found(name):
    values = name in WRONG_LOSSES
    check = with_loss((WRONG_LOSSES if values else WRONG_CLASS_LOSSES)[name], 2 if values else 3)
    assert check.status == "fail"
    assert "with respect to the prediction" in check.evidence


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("before", [pynn.ReLU, pynn.Tanh])
@pytest.mark.parametrize("name", RIGHT_LAYERS)
def test_a_right_gradient_of_a_layer_passes(name, before, seed):
    check = with_layer(RIGHT_LAYERS[name](SIZE), seed, before)
    assert check.status == "pass", check


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [*RIGHT_LOSSES, *RIGHT_CLASS_LOSSES])
def test_a_right_gradient_of_a_loss_passes(name, seed):
    values = name in RIGHT_LOSSES
    check = with_loss((RIGHT_LOSSES if values else RIGHT_CLASS_LOSSES)[name], 2 if values else 3, seed)
    assert check.status == "pass", check


def perceptron(activation, norm):
    layers = [pynn.Linear(12, 32), *([pynn.BatchNorm1d(32)] if norm else []), activation(), pynn.Dropout(0.3)]
    return [*layers, pynn.Linear(32, 32), activation(), pynn.Linear(32, 3)]


def convolutions(activation, norm):
    layers, channels = [], 3
    for width in (8, 12):
        layers += [pynn.Conv2d(channels, width, 3, padding=1), *([pynn.BatchNorm2d(width)] if norm else [])]
        layers += [activation(), pynn.MaxPool2d(2), pynn.Dropout(0.25)]
        channels = width
    return [*layers, pynn.Flatten(), pynn.Linear(48, 3)]


KINKED = [pynn.ReLU, pynn.LeakyReLU, pynn.Hardswish, pynn.Hardtanh, pynn.ReLU6, pynn.PReLU]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", KINKED)
@pytest.mark.parametrize("make", [perceptron, convolutions])
def test_a_healthy_network_with_kinks_passes(make, activation, norm, seed):
    pynn.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 12) if make is perceptron else (60, 3, 8, 8))
    if make is convolutions:
        x = np.maximum(x, 0)  # equal inputs, as the dark margins of images
    check = checked(pynn.Sequential(*make(activation, norm)), pynn.CrossEntropyLoss(), x, rng.integers(0, 3, 60))
    assert check.status == "pass", check


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "loss", [pynn.L1Loss(), pynn.HuberLoss(), pynn.SmoothL1Loss(), pynn.QuantileLoss([0.1, 0.9])], ids=repr
)
def test_a_healthy_loss_with_kinks_passes(loss, seed):
    check = with_loss(loss, 2, seed)
    assert check.status == "pass", check


def test_a_large_network_with_frozen_layers_is_checked_as_a_whole():
    pynn.manual_seed(0)
    rng = np.random.default_rng(0)
    model = pynn.Sequential(pynn.Linear(300, 600), pynn.ReLU(), pynn.Linear(600, 200), pynn.ReLU(), pynn.Linear(200, 3))
    model[0].freeze()
    check = checked(model, pynn.CrossEntropyLoss(), rng.standard_normal((60, 300)), rng.integers(0, 3, 60))
    assert check.status == "pass"
    assert check.evidence.startswith("4 tensors")
