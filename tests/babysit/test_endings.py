"""Verdicts on how runs end: too soon, with an average of the weights that is too old, unsettled, or in bursts."""

import itertools

import numpy as np
import pytest

import pynn
from pynn.babysit.monitor import recorder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits():
    x, y = pynn.datasets.load_digits()
    x = (x - x.mean(axis=0)) / x.std()
    x, xv, y, yv = pynn.datasets.train_test_split(x, y, seed=0)
    return (x, y), (xv, yv)


def verdict(digits, optimizer, *, epochs, hidden=(64,), activation=pynn.ReLU, dropout=0.0, callbacks=(), **settings):
    """Train a perceptron, and return the symptoms of its verdict with their evidence, and its accuracy."""
    (x, y), validation = digits
    pynn.manual_seed(0)
    layers, width = [], 64
    for units in hidden:
        layers += [pynn.Linear(width, units), activation(), *([pynn.Dropout(dropout)] if dropout else [])]
        width = units
    model = pynn.Sequential(*layers, pynn.Linear(width, 10))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer, seed=0, **settings)
    monitor = pynn.Monitor(on_problem="silent")
    trainer.fit(x, y, epochs=epochs, batch_size=32, validation=validation, callbacks=[*callbacks, monitor])
    told = {finding.symptom: finding for finding in monitor.verdict}
    return told, trainer.evaluate(*validation)["accuracy"]


def test_an_average_over_more_steps_than_were_taken_is_named(digits):
    sgd = lambda: pynn.SGD(0.05, momentum=0.9)  # noqa: E731
    told, accuracy = verdict(digits, sgd(), epochs=7, averaging=pynn.EMA(0.9999))
    steps = 7 * -(-len(digits[0][0]) // 32)
    assert list(told) == ["underfitting"] and accuracy < 0.5
    assert f"{0.9999**steps:.0%} of the first ones" in told["underfitting"].evidence
    told, accuracy = verdict(digits, sgd(), epochs=7, averaging=pynn.EMA(0.98))
    assert not told and accuracy > 0.9


def test_a_callback_that_ends_a_run_too_soon_is_blamed(digits):
    wrong_way = pynn.EarlyStopping("val_accuracy", mode="min", patience=3)
    told, accuracy = verdict(digits, pynn.SGD(0.02), epochs=40, callbacks=[wrong_way])
    assert list(told) == ["underfitting"] and accuracy < 0.8
    assert "36 epochs before it should" in told["underfitting"].evidence
    assert "what ended it" in told["underfitting"].advice
    right_way = pynn.EarlyStopping("val_accuracy", patience=3)
    told, accuracy = verdict(digits, pynn.SGD(0.1), epochs=40, callbacks=[right_way])
    assert not told and accuracy > 0.9


def test_steps_too_large_to_settle_are_named_though_something_is_learnt(digits):
    network = {"epochs": 8, "hidden": (32, 32, 32), "activation": pynn.GELU}
    told, accuracy = verdict(digits, pynn.Adam(0.1), **network)  # with 0.07, rounding decides what is learnt
    assert next(iter(told)) == "lr_too_high" and 0.2 < accuracy < 0.85
    told, accuracy = verdict(digits, pynn.Adam(0.003), **network)
    assert not told and accuracy > 0.9


class Bursts(pynn.Callback):
    """Multiplies the weights by 1000 for one step of each epoch from the fourth on."""

    def __init__(self):
        self.kept = None

    def on_step_end(self, trainer):
        parameters = trainer.model.parameters()
        if self.kept is not None:
            for parameter, kept in zip(parameters, self.kept, strict=True):
                parameter[...] = kept
            self.kept = None
        elif trainer.epoch >= 3 and trainer.batches_done == 20:
            self.kept = [np.array(parameter) for parameter in parameters]
            for parameter in parameters:
                parameter[...] = 1000 * np.asarray(parameter)


def test_single_minibatches_that_blow_up_are_named_though_the_median_does_not_move(digits):
    told, accuracy = verdict(digits, pynn.SGD(0.05), epochs=8, callbacks=[Bursts()])
    assert "diverging" in told and accuracy > 0.9
    assert "the mean loss of epoch" in told["diverging"].evidence


def test_dropout_that_keeps_a_run_below_a_simple_learner_is_named(digits):
    told, accuracy = verdict(digits, pynn.Adam(3e-3), epochs=12, hidden=(16, 16, 16), dropout=0.7)
    assert list(told) == ["regularisation_too_strong"] and accuracy < 0.9
    assert "dropout blanks 70%" in told["regularisation_too_strong"].evidence
    told, accuracy = verdict(digits, pynn.Adam(3e-3), epochs=12, hidden=(64, 64, 64), dropout=0.2)
    assert not told and accuracy > 0.9


@pytest.mark.parametrize("evaluations", [3, 4, 5, 6])
def test_a_run_is_judged_by_its_end_whatever_the_budget(digits, monkeypatch, evaluations):
    """A budget that allows the first evaluations alone: their loss still falls, that of the end does not."""
    asked = itertools.count(1)
    monkeypatch.setattr(recorder.Pace, "evaluates", lambda pace: next(asked) <= evaluations)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(64, 32), pynn.ReLU(), pynn.Linear(32, 10))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-3), seed=0)
    monitor = pynn.Monitor(budget=0.5, on_problem="silent")
    (x, y), held_out = digits
    trainer.fit(x, y, epochs=15, batch_size=64, validation=held_out, callbacks=[monitor])
    assert monitor.verdict == []
