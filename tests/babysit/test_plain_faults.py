"""Verdicts on ordinary networks: validation that does not match, weighted classes, no activation; and good endings."""

import numpy as np
import pytest

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("one_thread")


def watched(train, validation, *, loss=None, hidden=(32,), activation=pynn.ReLU, init=None, epochs=20):
    """Train a perceptron with Adam; return the monitor and the trainer."""
    pynn.manual_seed(0)
    layers, width = [], train[0].shape[1]
    for units in hidden:
        layers += [pynn.Linear(width, units, init=init), *([activation()] if activation else [])]
        width = units
    model = pynn.Sequential(*layers, pynn.Linear(width, int(train[1].max()) + 1, init=init))
    trainer = pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), pynn.Adam(5e-3), seed=0)
    monitor = pynn.Monitor(on_problem="silent")
    trainer.fit(*train, epochs=epochs, batch_size=32, validation=validation, callbacks=[monitor])
    return monitor, trainer


def shells(n=1200, classes=3, seed=0):
    """Points of a normal distribution in the plane, whose class is the ring in which they lie."""
    x = np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32)
    distance = np.square(x).sum(axis=1)
    y = np.searchsorted(np.quantile(distance, np.arange(1, classes) / classes), distance)
    return (x[:900], y[:900]), (x[900:], y[900:])


def test_validation_classes_numbered_anew_are_named_before_overfitting():
    x, y = pynn.datasets.blobs(n=1200, classes=6, features=10, std=4.0, seed=0)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    train, xv, yv = (x[:900], y[:900]), x[900:], y[900:]
    monitor, _ = watched(train, (xv, np.array([0, 1, 3, 4, 5, 2])[yv]))  # two classes keep their numbers
    first = monitor.verdict[0]
    assert first.symptom == "not_learning" and first.severity == "error"
    assert "they do not belong together" in first.evidence
    assert not watched(train, (xv, yv))[0].verdict


def test_rows_that_occur_twice_do_not_make_validation_another_problem(blobs):
    (x, y), validation = blobs
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 3, 100)
    x, y = np.tile(x[:100], (6, 1)), np.tile(noise, 6)  # neighbours know them all by heart
    monitor, _ = watched((x, y), validation)
    assert not any("belong together" in finding.evidence for finding in monitor.verdict)


def test_a_class_that_the_loss_favours_is_noted_not_claimed():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1600, 4)).astype(np.float32), (np.arange(1600) % 20 == 0).astype(np.int64)
    train, validation = (x[:1200], y[:1200]), (x[1200:], y[1200:])
    severities = [
        [finding.severity for finding in monitor.findings if finding.symptom == "class_imbalance"]
        for weight in (None, [1.0, 1.5])
        for monitor, _ in [watched(train, validation, loss=pynn.CrossEntropyLoss(weight=weight), hidden=(4,), epochs=8)]
    ]
    assert severities == [["warning"], ["info"]]


def test_layers_without_an_activation_are_the_cause_of_learning_nothing():
    monitor, trainer = watched(*shells(), hidden=(32, 32), activation=None)
    assert trainer.history["val_accuracy"][-1] < 0.5
    assert [finding.symptom for finding in monitor.verdict] == ["underfitting"]
    assert "one linear function" in monitor.verdict[0].evidence
    assert not watched(*shells(), hidden=(32, 32))[0].verdict


def test_a_start_that_was_outlived_is_history(blobs):
    (x, y), (xv, yv) = blobs
    for scale, init, symptom in ((20.0, None, "input_not_normalised"), (1.0, 0.6, "bad_initial_loss")):
        large = None if init is None else lambda shape, std=init: pynn.init.normal(shape, std)
        monitor, trainer = watched((scale * x, y), (scale * xv, yv), init=large, epochs=30)
        assert trainer.history["val_accuracy"][-1] > 0.9
        found = [finding for finding in monitor.findings if finding.symptom == symptom]
        assert found and found[0].severity != "info" and found[0].end is not None
        assert symptom not in [finding.symptom for finding in monitor.verdict]


def test_large_inputs_of_a_linear_network_are_noted(classes):
    x, y = classes
    for hidden, status in (([], "note"), ([24], "fail")):
        pynn.manual_seed(0)
        layers = [layer for units in hidden for layer in (pynn.Linear(12, units), pynn.ReLU())]
        model = pynn.Sequential(*layers, pynn.Linear(hidden[0] if hidden else 12, 3))
        trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-3))
        assert preflight(trainer, 20 * x, y)["input scale"].status == status


def hinge(prediction, target):
    """Return the hinge loss of targets -1 and 1."""
    short = 1 - target * prediction
    return float(np.maximum(short, 0).mean()), np.where(short > 0, -target, 0).astype(prediction.dtype) / target.size


def test_a_label_that_the_loss_ignores_is_named(classes):
    x, y = classes
    y = (y == 0).astype(np.float32)[:, None]
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(12, 16), pynn.ReLU(), pynn.Linear(16, 1))
    trainer = pynn.Trainer(model, hinge, pynn.Adam(1e-3))
    told = preflight(trainer, x, y)["network output"]
    assert told.status == "fail" and "whose target is 0" in told.evidence, told
    assert preflight(trainer, x, 2 * y - 1)["network output"].status == "pass"


def test_sequences_that_were_reshaped_instead_of_transposed_are_told():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((200, 3, 32)).astype(np.float32)
    smooth = noise.cumsum(axis=2)
    smooth /= smooth.std()
    y = rng.integers(0, 2, 200)
    last = np.ascontiguousarray(smooth.transpose(0, 2, 1))
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Conv1d(3, 4, 5), pynn.ReLU(), pynn.Flatten(), pynn.Linear(112, 2))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-3))
    for x, status in ((smooth, "pass"), (noise, "pass"), (last.reshape(smooth.shape), "warn")):
        assert preflight(trainer, x, y)["image layout"].status == status
