"""Preflight of regression: faults of loss, targets and output are found, healthy losses and targets pass."""

import numpy as np
import pytest
from preflight_networks import network, trainer_of

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture(scope="module")
def amounts():
    """A smooth function of 6 features with a little noise, shape (700, 1)."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((700, 6)).astype(np.float32)
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] / 2 + 0.1 * rng.standard_normal((700, 1))
    return x, y.astype(np.float32)


def test_validation_targets_of_another_scale_are_named(amounts):
    x, y = amounts
    trainer = trainer_of(network(6, [24], 1), pynn.MSELoss())
    raw = pynn.preflight(trainer, x[:500], y[:500], validation=(x[500:], 90 * y[500:] + 150))["validation scale"]
    assert raw.status == "fail" and "validation targets" in raw.evidence, raw
    assert pynn.preflight(trainer, x[:500], y[:500], validation=(x[500:], y[500:]))["validation scale"].status == "pass"


def test_targets_that_the_model_standardises_are_healthy_before_any_fit(amounts):
    x, y = amounts
    model = network(6, [24], 1)
    model.target_preprocessing = pynn.preprocessing.Standardize()
    raw = 1.7e9 + 300 * y.astype(np.float64)
    report = pynn.preflight(trainer_of(model, pynn.MSELoss()), x[:500], raw[:500], validation=(x[500:], raw[500:]))
    assert report.ok, report
    assert not model.target_preprocessing.is_fitted


def test_a_target_that_drowns_the_others_is_named(amounts):
    x, y = amounts
    both = np.hstack([1000 * y, y**2])
    for scale, status in ((1, "warn"), (1 / both.std(axis=0), "pass")):
        trainer = trainer_of(network(6, [24], 2), pynn.MSELoss())
        targets = (both * scale).astype(np.float32)
        check = pynn.preflight(trainer, x, targets)["target scale"]
        assert check.status == status, check
        monitor = pynn.Monitor(on_problem="silent")
        trainer.fit(x, targets, epochs=2, callbacks=[monitor])
        told = [finding for finding in monitor.verdict if "decides the loss" in finding.evidence]
        assert len(told) == (status == "warn")


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
