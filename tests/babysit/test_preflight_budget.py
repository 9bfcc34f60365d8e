"""Preflight of a large network trains on few examples, so that it takes seconds; work is counted, not time."""

import numpy as np
import pytest
from preflight_networks import trainer_of

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


def images(rng, classes=10):
    """Return noisy images, a pattern for each class."""
    y = rng.integers(0, classes, 1200)
    patterns = rng.standard_normal((classes, 3, 32, 32))
    return (0.5 * patterns[y] + rng.standard_normal((1200, 3, 32, 32))).astype(np.float32), y


def usual_network():
    """Return the usual network for CIFAR-10."""
    layers, channels = [], 3
    for width in (32, 64, 128):
        for _ in range(2):
            convolution = pynn.Conv2d(channels, width, 3, padding=1, init="he_normal")
            layers += [convolution, pynn.BatchNorm2d(width), pynn.ReLU()]
            channels = width
        layers += [pynn.MaxPool2d(2), pynn.Dropout(0.25)]
    return pynn.Sequential(*layers, pynn.Flatten(), pynn.Linear(2048, 10, init="he_normal"))


@pytest.fixture
def trained(monkeypatch):
    """Return a list of the numbers of examples of all training steps."""
    sizes, step = [], pynn.Trainer.step

    def counting(self, x, *more):
        sizes.append(len(x))
        return step(self, x, *more)

    monkeypatch.setattr(pynn.Trainer, "step", counting)
    return sizes


@pytest.mark.parametrize("optimizer", [pynn.Adam(1e-3), pynn.SGD(0.01, momentum=0.9)], ids=repr)
def test_a_healthy_convolutional_network_passes_after_few_examples(optimizer, trained, rng):
    report = preflight(trainer_of(usual_network(), optimizer=optimizer), *images(rng))
    assert report.status == "pass", str(report)
    assert report["gradient check"].status == "pass"
    assert sum(trained) < 1500


def test_a_rate_too_high_for_it_is_found_after_few_examples(trained, rng):
    report = preflight(trainer_of(usual_network(), optimizer=pynn.SGD(1e4)), *images(rng))
    assert report["learning rate"].symptom == "lr_too_high"
    assert sum(trained) < 4000
