"""Preflight finds faults of layers, networks, settings and data in a classifier, each by its check and in its place."""

import numpy as np
import pytest
from preflight_networks import (
    Adding,
    BatchCentred,
    ForgetsToUpdate,
    LeaksInTraining,
    OneUnitForgotten,
    RoundingWrong,
    SoftmaxLayer,
    UnscaledDropout,
    WrongSine,
    holes,
    network,
    trainer_of,
    with_layer,
)

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


def normal(scale):
    """Return an initialisation with this standard deviation whatever the width."""
    return lambda shape: np.random.default_rng(0).normal(0, scale, shape)


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


def test_a_class_of_few_examples_is_noted(classes):
    x, y = classes
    kept = (y != 2) | (np.cumsum(y == 2) <= 12)
    check = preflight(trainer_of(network(12, [24], 3)), x[kept], y[kept])["label balance"]
    assert (check.status, check.symptom) == ("note", "class_imbalance")
    assert "12 against" in check.evidence


def test_a_penalty_whose_gradient_lets_weights_grow_is_found(classes):
    class Backwards(pynn.L2):
        def add_gradient(self, flat):
            value = super().add_gradient(flat)
            flat.grads *= -1
            return value

    report = preflight(trainer_of(network(12, [24], 3), regularizers=[Backwards(1e-3)]), *classes)
    assert report["regularisation"].status == "fail"
