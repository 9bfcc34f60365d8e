"""Preflight of what cannot run: data of the wrong form and layers that raise fail checks, wrong arguments raise."""

import numpy as np
import pytest
from preflight_networks import Scale, holes, network, trainer_of, with_layer

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("seeded")


class Raising(pynn.Layer):
    def forward(self, x, ctx):
        raise KeyError("no such table")

    def backward(self, dy, ctx):
        return dy


def test_a_nan_is_named_and_the_rest_is_skipped(classes):
    report = preflight(trainer_of(network(12, [24], 3)), *holes(*(array.copy() for array in classes)))
    assert "row 41, column 7" in report.failures[0].evidence
    assert {check.status for check in report.checks[1:]} == {"skip"}


def test_a_layer_that_raises_is_a_failed_check_with_its_message(classes):
    trainer = trainer_of(pynn.Sequential(pynn.Linear(12, 3), Raising()))
    check = preflight(trainer, *classes)["one training step"]
    assert check.status == "fail"
    assert "KeyError" in check.evidence
    assert "no such table" in check.evidence


def test_a_layer_that_raises_only_for_large_batches_fails_where_it_does(classes):
    class Picky(Scale):
        def forward(self, x, ctx):
            if len(x) > 200:
                raise RuntimeError("too many")
            return super().forward(x, ctx)

    report = preflight(with_layer(Picky(24)), *classes)
    assert any(check.status == "fail" and "too many" in check.evidence for check in report)


def test_a_layer_that_cannot_be_copied_is_a_failed_check(classes):
    class Open(Scale):
        def __deepcopy__(self, memo):
            raise TypeError("holds a file")

    report = preflight(with_layer(Open(24)), *classes)
    assert "holds a file" in report.failures[0].evidence


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([["a"]], [0]),
        (np.zeros((0, 12)), np.zeros(0, int)),
        (np.zeros((3, 12)), np.zeros(2, int)),
        (np.zeros((3, 12)), np.zeros(3)),
        (np.zeros((3, 5)), np.zeros(3, int)),
        (np.zeros(12), np.zeros(12, int)),
        ([[1.0, 2.0], [1.0]], [0, 1]),
    ],
)
def test_data_of_the_wrong_form_are_a_failed_check(x, y):
    report = preflight(trainer_of(network(12, [24], 3)), x, y)
    assert not report.ok


def test_arguments_are_checked(classes):
    trainer = trainer_of(network(12, [24], 3))
    with pytest.raises(TypeError, match=r"expected a pynn\.Trainer"):
        preflight(trainer.model, *classes)
    with pytest.raises(ValueError, match="batch_size"):
        preflight(trainer, *classes, batch_size=0)
    with pytest.raises(ValueError, match="validation must be a pair"):
        preflight(trainer, *classes, validation=classes[0])


@pytest.mark.parametrize("bounded", [pynn.Hardsigmoid, pynn.Hardtanh, pynn.ReLU6, pynn.Softsign, pynn.Softmax])
def test_an_activation_that_bounds_the_scores_is_a_failed_check(bounded, classes):
    check = preflight(trainer_of(pynn.Sequential(pynn.Linear(12, 3), bounded())), *classes)["network output"]
    assert check.status == "fail"
    assert "1." in check.advice


@pytest.mark.parametrize("bounded", [lambda: pynn.Hardtanh(-0.5, 0.5), pynn.ReLU6, pynn.LogSigmoid])
def test_targets_that_the_last_activation_cannot_give_are_a_failed_check(bounded, rng):
    x = rng.normal(size=(200, 4))
    model = pynn.Sequential(pynn.Linear(4, 1), bounded())
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.Adam())
    check = preflight(trainer, x, 3 * x[:, :1])["network output"]
    assert check.status == "fail"
    assert "of the targets lie outside" in check.evidence
