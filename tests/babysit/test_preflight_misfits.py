"""Preflight of what cannot run: data of the wrong form and layers that raise fail checks, wrong arguments raise."""

import numpy as np
import pytest
from preflight_networks import Scale, holes, network, trainer_of, with_layer

import pynn
from pynn.babysit.preflight import preflight
from pynn.babysit.preflight.rows import near_duplicates

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
    with pytest.raises(ValueError, match=r"validation is array.*\.\.\.; expected a pair"):
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


def several_questions(rng):
    x = rng.standard_normal((400, 6)).astype(np.float32)
    return x, (x[:, :3] + 0.5 * x[:, 3:] > 0).astype(np.float32)


def asking(last):
    return pynn.Sequential(pynn.Linear(6, 16), pynn.ReLU(), pynn.Linear(16, 3), last)


def of_probabilities(prediction, target):
    """Return the cross-entropy of yes or no; clipped near 0 and 1, where the gradient goes on."""
    p = np.clip(prediction, 1e-7, 1 - 1e-7)
    loss = -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p), dtype=np.float64)
    return float(loss), (p - target) / (p * (1 - p)) / p.size


@pytest.mark.parametrize("loss", [of_probabilities, pynn.MSELoss(), pynn.BCEWithLogitsLoss()])
def test_a_softmax_over_questions_that_do_not_exclude_each_other_is_named(loss, rng):
    x, y = several_questions(rng)
    model = asking(pynn.Softmax(1))
    check = preflight(trainer_of(model, loss), x, y)["network output"]
    assert check.status == "fail"
    assert "summing to 1" in check.evidence
    assert check.layer == "3.Softmax"


def test_a_loss_of_your_own_that_clips_probabilities_has_no_wrong_gradient(rng):
    x, y = several_questions(rng)
    model = asking(pynn.Sigmoid())
    report = preflight(trainer_of(model, of_probabilities), x, y)
    assert report.ok, str(report)

    def of_wrong_sign(prediction, target):
        loss, gradient = of_probabilities(prediction, target)
        return loss, -gradient

    model = asking(pynn.Sigmoid())
    assert preflight(trainer_of(model, of_wrong_sign), x, y)["gradient check"].status == "fail"


@pytest.mark.parametrize("features", [40, 2000])
def test_rows_that_are_nearly_copies_are_found_among_many_features_too(features, rng):
    x = rng.standard_normal((800, features)).astype(np.float32)
    near = x[:50] + 1e-4 * rng.standard_normal((50, features)).astype(np.float32)
    assert near_duplicates(x, near, np.random.default_rng(0)) == 1
    others = rng.standard_normal((50, features)).astype(np.float32)
    assert near_duplicates(x, others, np.random.default_rng(0)) == 0
