"""The gradient check of networks whose max pooling sees equal inputs: the zeros of a ReLU, and of dropout."""

import numpy as np
import pytest
from preflight_networks import WrongSine

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


def images(rng):
    return rng.standard_normal((60, 3, 8, 8)).astype(np.float32), rng.integers(0, 3, 60)


def trainer_of(*first, order):
    """Return a trainer of two stages of a convolution, an activation and a batch norm, in this order, and pooling."""
    chain = list(first)
    for channels, width in ((3, 8), (8, 12)):
        made = {
            "conv": pynn.Conv2d(channels, width, 3, padding=1),
            "relu": pynn.ReLU(),
            "norm": pynn.BatchNorm2d(width),
        }
        chain += [*(made[name] for name in order.split()), pynn.Dropout(0.3), pynn.MaxPool2d(2)]
    model = pynn.Sequential(*chain, pynn.ReLU(), pynn.Flatten(), pynn.Linear(48, 3))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-3))


@pytest.mark.parametrize("order", ["conv norm relu", "conv relu norm"])
def test_a_healthy_network_passes(order, rng):
    check = preflight(trainer_of(order=order), *images(rng))["gradient check"]
    assert check.status == "pass", check


def test_the_wrong_layer_is_named_not_the_pooling(rng):
    check = preflight(trainer_of(pynn.Conv2d(3, 3, 1), WrongSine(), order="conv relu norm"), *images(rng))[
        "gradient check"
    ]
    assert check.status == "fail"
    assert check.layer == "1.WrongSine"
