"""Remedies where output, loss and targets do not belong together, and for code of the user's own."""

import numpy as np
import pytest
from preflight_networks import SoftmaxLayer
from remedy_networks import network, trainer_of

import pynn
from pynn.babysit.remedies import diagnose
from pynn.babysit.remedies.blueprint import Blueprint
from pynn.babysit.remedies.judge import Judge, kind_of
from pynn.babysit.remedies.settings import known_optimizer, written

pytestmark = pytest.mark.usefixtures("one_thread")


def one_hot(y):
    return np.eye(3, dtype=np.float32)[y]


def broadcasting(prediction, target):
    """Return the mean square of (n, 1) - (n,), which NumPy broadcasts to (n, n)."""
    difference = prediction - target
    gradient = 2 * difference.mean(axis=1, keepdims=True) / len(target)
    return float(np.square(difference).mean()), gradient.astype(prediction.dtype)


class Ascending(pynn.SGD):
    def update(self, flat, bounds, rates, grad_scale):
        super().update(flat, bounds, rates, -grad_scale)


class Smooth(pynn.Optimizer):
    """An optimiser that derives from no other."""


@pytest.fixture
def line(rng):
    """Return values that a line gives: training part and validation part."""
    x = rng.standard_normal((500, 4)).astype(np.float32)
    y = x @ np.array([[1.0], [-2.0], [0.5], [1.0]], np.float32)
    return (x[:400], y[:400]), (x[400:], y[400:])


def test_one_hot_rows_are_classes_unless_the_loss_takes_each_for_yes_or_no(blobs):
    (_, y), (xv, yv) = blobs
    rows = one_hot(y)
    assert kind_of(pynn.MSELoss(), rows, 3) == "classes"
    assert kind_of(pynn.Trainer(network(10, 3), broadcasting, pynn.SGD(0.1)).loss, rows, 3) == "classes"
    assert kind_of(pynn.BCEWithLogitsLoss(), rows, 3) == "binary"
    assert kind_of(pynn.MSELoss(), rows + 0.5, 3) == "values"
    judge = Judge(pynn.MSELoss(), (xv, one_hot(yv)), 3, np.bincount(y))
    assert judge.metric == "accuracy"
    np.testing.assert_array_equal(judge.credits(one_hot((yv + (np.arange(200) < 50)) % 3)), np.arange(200) >= 50)


def test_squared_errors_of_a_softmax_become_cross_entropy_of_scores(blobs):
    (x, y), (xv, yv) = blobs
    trainer = trainer_of(network(10, 32, 3, tail=[SoftmaxLayer()]), pynn.SGD(0.02), pynn.MSELoss())
    diagnosis = diagnose(trainer, x, one_hot(y), validation=(xv, one_hot(yv)), epochs=3)
    changes = [trial.remedy.change for trial in diagnosis.trials]
    both = "without SoftmaxLayer at the end, and CrossEntropyLoss instead of MSELoss"
    assert both in changes
    assert diagnosis.trials[changes.index(both)].score > diagnosis.baseline.score + 0.2


@pytest.mark.parametrize("last", [pynn.Sigmoid, pynn.Tanh, SoftmaxLayer])
def test_an_activation_that_cannot_reach_the_targets_is_left_out(line, last):
    (x, y), validation = line
    trainer = trainer_of(network(4, 16, 1, tail=[last()]), pynn.SGD(0.02), pynn.MSELoss())
    diagnosis = diagnose(trainer, x, y, validation=validation, epochs=5)
    assert diagnosis.trials[0].score > 0.9 > diagnosis.baseline.score
    assert f"without {last.__name__} at the end" in diagnosis.best.remedy.change


def test_a_loss_that_broadcasts_is_replaced(line):
    (x, y), (xv, yv) = line
    trainer = trainer_of(network(4, 16, 1), pynn.SGD(0.02), broadcasting)
    diagnosis = diagnose(trainer, x, y[:, 0], validation=(xv, yv[:, 0]), epochs=5)
    assert diagnosis.baseline.score < 0.1
    assert diagnosis.best.remedy.change.startswith("MSELoss instead of the loss of your own")
    assert diagnosis.best.score > 0.9


def test_an_optimiser_that_climbs_is_replaced_by_the_one_from_which_it_derives(blobs):
    data, validation = blobs
    diagnosis = diagnose(trainer_of(network(10, 32, 3), Ascending(0.05)), *data, validation=validation, epochs=4)
    assert diagnosis.best.remedy.change.startswith("SGD instead of Ascending")
    assert diagnosis.best.score > 0.85


def test_an_optimiser_of_the_users_own_keeps_its_settings_if_it_derives_from_one_of_pynns(blobs):
    def proposed(optimizer):
        trainer = trainer_of(network(10, 3), optimizer)
        blueprint = Blueprint.of(trainer, epochs=1, batch_size=8, shuffle=True, callbacks=())
        found = list(known_optimizer(blueprint))
        for remedy in found:
            remedy.apply(blueprint)
        return [written(blueprint.optimizer) for _ in found]

    assert proposed(Ascending(0.3, momentum=0.5)) == ["SGD(lr=0.3, momentum=0.5)"]
    assert proposed(Smooth(0.3, 0.0, True)) == ["Adam(lr=0.001)"]
    assert proposed(pynn.SGD(0.3)) == []


def test_an_augmentation_that_destroys_the_inputs_is_left_out(blobs):
    def erase(x, rng):
        return np.zeros_like(x)

    data, validation = blobs
    diagnosis = diagnose(trainer_of(network(10, 32, 3)), *data, validation=validation, epochs=4, augment=[erase])
    assert diagnosis.baseline.score < 0.6
    assert "without the augmentation" in diagnosis.best.remedy.change
    assert diagnosis.best.remedy.code.startswith("fit(..., augment=())")


def test_what_is_no_augmentation_is_refused(blobs):
    with pytest.raises(TypeError, match="augment has 3; expected augmentations"):
        diagnose(trainer_of(network(10, 3)), *blobs[0], augment=3)
