"""Remedies: which ones a symptom brings, what each changes, and how those that were tried are scored and ranked."""

import copy

import numpy as np
import pytest
from remedy_networks import RateAfter, network, trainer_of

import pynn
from pynn.babysit.findings import SYMPTOMS
from pynn.babysit.remedies import Diagnosis, Remedy, diagnose
from pynn.babysit.remedies.blueprint import Blueprint
from pynn.babysit.remedies.candidates import CURES, Situation, candidates
from pynn.babysit.remedies.judge import Judge
from pynn.babysit.remedies.settings import written
from pynn.babysit.remedies.trials import RemedyTrial, ranked

neighbors = pytest.importorskip("sklearn.neighbors")
pytestmark = pytest.mark.usefixtures("one_thread")


def situation_of(trainer, data, *, kind="classes", counts=None, ratio=np.nan, **told):
    told = {"epochs": 5, "batch_size": 32, "shuffle": True, "callbacks": ()} | told
    return Situation(Blueprint.of(trainer, **told), *data, kind, counts, ratio)


def changes_for(trainer, data, *symptoms, probabilities=False, **known):
    found = candidates(situation_of(trainer, data, **known), symptoms, misfit=probabilities)
    return [remedy.change for remedy in found]


# Which remedies are tried


def test_every_symptom_has_remedies():
    assert set(CURES) == set(SYMPTOMS)
    assert all(CURES.values())


def test_remedies_of_the_likeliest_cause_are_tried_first(blobs):
    data, _ = blobs
    changes = changes_for(trainer_of(network(10, 16, 3)), data, "lr_too_high", "dead_units")
    assert changes[0] == "learning rate 0.1 -> 0.01"
    assert changes.index("learning rate 0.1 -> 0.01") < changes.index(
        "LeakyReLU instead of ReLU, with weights that suit it"
    )
    assert len(changes) == len(set(changes))


@pytest.mark.parametrize("symptoms", [(), ("not_learning",), ("lr_too_low", "not_learning")])
def test_a_softmax_between_layers_is_replaced_first(blobs, symptoms):
    data, _ = blobs
    model = network(10, 16, 8, 3, activation=lambda: pynn.Softmax(1))
    assert changes_for(trainer_of(model), data, *symptoms)[0] == "ReLU instead of Softmax, with weights that suit it"
    at_the_end = network(10, 16, 3, tail=[pynn.Softmax(1)])
    assert not any("instead of Softmax" in change for change in changes_for(trainer_of(at_the_end), data, *symptoms))


def test_smaller_batches_are_tried_where_an_epoch_has_few_steps(blobs):
    data, _ = blobs
    trainer, size = trainer_of(network(10, 16, 3)), len(data[0])
    assert f"batch size {size} -> 32" in changes_for(trainer, data, "underfitting", batch_size=size)
    assert not any("batch size" in change for change in changes_for(trainer, data, "underfitting"))


def test_a_rate_that_moves_nothing_is_fitted_to_the_size_of_the_first_step(blobs):
    data, _ = blobs
    changes = changes_for(trainer_of(network(10, 16, 3), pynn.SGD(1e-6)), data, "lr_too_low", ratio=2e-7)
    assert changes[0] == "learning rate 1e-06 -> 0.1"


@pytest.mark.parametrize(
    ("model", "settings", "symptom", "expected"),
    [
        ({"activation": pynn.Sigmoid}, {}, "vanishing_gradient", "ReLU instead of Sigmoid, with weights that suit it"),
        ({"activation": pynn.Sigmoid}, {}, "zigzag", "Tanh instead of Sigmoid, with weights that suit it"),
        ({}, {}, "saturated_units", "batch norm after each hidden layer"),
        ({"activation": None}, {}, "underfitting", "ReLU between the linear layers"),
        ({}, {}, "underfitting", "hidden layers of 64-64 units instead of 16-8"),
        ({}, {}, "overfitting", "training ends at the best epoch"),
        ({}, {}, "overfitting", "dropout 0.3 after each hidden layer"),
        ({"norm": 1e-4}, {}, "batchnorm_mismatch", "momentum of batch norm 0.0001 -> 0.1"),
        ({"dropout": 0.9}, {}, "regularisation_too_strong", "dropout 0.9 -> 0.2"),
        ({}, {"regularizers": [pynn.L2(1.0)]}, "regularisation_too_strong", "no L2(coefficient=1)"),
        ({}, {"optimizer": pynn.SGD(0.1, weight_decay=1.0)}, "regularisation_too_strong", "weight decay 1 -> 0"),
        ({}, {"optimizer": pynn.SGD(0.1, momentum=0.99)}, "oscillating", "momentum 0.99 -> 0.9"),
        ({}, {"optimizer": pynn.SGD(1e-4)}, "lr_too_low", "Adam instead of SGD"),
        ({}, {"schedule": pynn.StepLR(1)}, "plateau", "a constant learning rate, without the schedule"),
        ({}, {"loss": pynn.CrossEntropyLoss(reduction="sum")}, "bad_initial_loss", "loss averaged over the batch"),
        ({}, {"loss": lambda p, t: (0.0, p)}, "bad_initial_loss", "CrossEntropyLoss instead of the loss of your own"),
        ({}, {}, "exploding_gradient", "gradient clipped to a norm of 1"),
    ],
)
def test_a_symptom_brings_its_remedy_and_the_network_runs_with_it(blobs, model, settings, symptom, expected):
    data, validation = blobs
    settings = {name: copy.deepcopy(value) for name, value in settings.items()}
    situation = situation_of(trainer_of(network(10, 16, 8, 3, **model), **settings), data)
    found = candidates(situation, [symptom], misfit=False)
    remedy = next(remedy for remedy in found if remedy.change == expected)
    blueprint = situation.blueprint.copy()
    remedy.apply(blueprint)
    trainer = blueprint.trainer()
    trainer.fit(*data, epochs=1, validation=validation, callbacks=blueprint.callbacks)
    assert trainer.steps == 25
    assert trainer.model.predict(data[0][:2]).shape == (2, 3)


def test_a_constant_rate_keeps_the_rate_that_another_remedy_sets(blobs):
    data, _ = blobs
    situation = situation_of(trainer_of(network(10, 16, 3)), data, callbacks=[RateAfter(3, 9.0)])
    held, lower = candidates(situation, ["lr_too_high"], misfit=False)[:2]
    (held + lower).apply(situation.blueprint)
    trainer = situation.blueprint.trainer()
    trainer.fit(*data, epochs=1, callbacks=situation.blueprint.callbacks)
    assert trainer.lr == pytest.approx(0.01)


def test_class_weights_make_classes_count_alike(blobs):
    counts = np.array([700, 90, 10])
    situation = situation_of(trainer_of(network(10, 16, 3)), blobs[0], counts=counts)
    first = candidates(situation, ["class_imbalance"], misfit=False)[0]
    first.apply(situation.blueprint)
    np.testing.assert_allclose(np.array(situation.blueprint.loss.weight) * counts, 800 / 3, rtol=0.01)


def test_a_remedy_changes_nothing_but_its_blueprint(blobs):
    trainer = trainer_of(network(10, 16, 3), pynn.SGD(0.1, momentum=0.9))
    situation = situation_of(trainer, blobs[0])
    for remedy in candidates(situation, SYMPTOMS, misfit=False):
        remedy.apply(situation.blueprint.copy())
    blueprint = situation.blueprint
    assert written(blueprint.optimizer) == "SGD(lr=0.1, momentum=0.9)"
    assert [type(layer).__name__ for layer in blueprint.layers] == ["Linear", "ReLU", "Linear"]
    np.testing.assert_array_equal(blueprint.layers[0].weight.data, trainer.model[0].weight.data)


def test_nested_models_are_taken_apart():
    inner = pynn.Sequential(pynn.Linear(4, 8), pynn.Sequential(pynn.ReLU(), pynn.Linear(8, 8)))
    trainer = trainer_of(pynn.Sequential(inner, pynn.Tanh(), pynn.Linear(8, 2)))
    blueprint = Blueprint.of(trainer, epochs=1, batch_size=8, shuffle=True, callbacks=())
    assert [type(layer).__name__ for layer in blueprint.layers] == ["Linear", "ReLU", "Linear", "Tanh", "Linear"]
    assert blueprint.trainer().model(np.zeros((2, 4), np.float32)).shape == (2, 2)


def test_a_remedy_that_does_not_fit_the_network_is_left_out_and_named(rng):
    class Halve(pynn.Layer):
        def forward(self, x, ctx):
            return np.ascontiguousarray(x[:, ::2])

        def backward(self, dy, ctx):
            dx = np.zeros((len(dy), 2 * dy.shape[1]), dy.dtype)
            dx[:, ::2] = dy
            return dx

    model = pynn.Sequential(pynn.Linear(6, 8), Halve(), pynn.Linear(4, 2))
    x = rng.standard_normal((200, 6)).astype(np.float32)
    diagnosis = diagnose(trainer_of(model), x, (x[:, 0] > 0).astype(np.int64), epochs=2)
    assert "without Halve" in [remedy.change for remedy in diagnosis.unfit]
    assert "does not fit the network" in str(diagnosis)


# Scores and their order


def trial_of(credits, verdict=(), ended="finished", name="x"):
    remedy = Remedy(name, "", name, lambda blueprint: None)
    credits = np.asarray(credits, float)
    return RemedyTrial(
        remedy, credits.mean(), 0.0, list(verdict), ended, 1, 1, 1, 0.1, np.nan, credits, np.zeros(len(credits), int)
    )


def finding(symptom="dead_units", severity="warning"):
    return pynn.Finding(symptom, None, 1, 1, severity, "evidence", "advice")


def test_among_trials_that_do_as_well_the_first_tried_comes_first():
    right = np.ones(400)
    right[:20] = 0
    one_more = right.copy()
    one_more[0] = 1
    early, late, bad = trial_of(right, name="a"), trial_of(one_more, name="b"), trial_of(1 - right, name="c")
    assert ranked([bad, early, late]) == [early, late, bad]


def test_among_trials_that_do_as_well_a_healthy_one_comes_first():
    right = np.ones(400)
    right[:20] = 0
    sick, healthy = trial_of(right, [finding()], name="a"), trial_of(right, name="b")
    assert ranked([sick, healthy])[0] is healthy


def test_among_trials_that_do_as_well_the_simplest_comes_first():
    right = np.ones(400)
    right[:20] = 0
    one, two, three = (trial_of(right, name=name) for name in ("rate", "rate and norm", "rate and norm and width"))
    assert ranked([three, two, one])[0] is one
    left = trial_of(right, [finding()], name="rate")
    assert ranked([three, left])[0] is left  # a fault that is left counts as one more change
    assert ranked([left, two])[0] is left and ranked([two, left])[0] is two
    better = trial_of(np.ones(400), name="rate and norm")
    assert ranked([one, better])[0] is better


def test_a_trial_that_broke_off_comes_last():
    broken, poor = trial_of(np.ones(50), ended="not finite", name="a"), trial_of(np.zeros(50), name="b")
    assert ranked([broken, poor]) == [poor, broken]


def test_a_gain_must_be_larger_than_chance_brings_the_best_of_so_many():
    before = np.tile([1.0, 0.0], 100)
    after = before.copy()
    after[1:63:2] = 1  # 31 more are right, and 15 no longer: 2.4 standard errors
    after[0:30:2] = 0
    baseline, better = trial_of(before), trial_of(after)
    gain, error = better.gain_over(baseline)
    assert gain / error == pytest.approx(2.40, abs=0.01)
    assert Diagnosis([], baseline=baseline, trials=[better]).best is better
    assert Diagnosis([], baseline=baseline, trials=[better, *[baseline] * 9]).best is None


def test_a_symptom_cured_at_the_same_score_counts():
    baseline, cured = trial_of(np.ones(50), [finding()]), trial_of(np.ones(50))
    assert Diagnosis([finding()], baseline=baseline, trials=[cured]).best is cured
    assert Diagnosis([], baseline=trial_of(np.ones(50)), trials=[cured]).best is None


def test_scores_are_means_of_credits():
    x = np.zeros((6, 2), np.float32)
    labels = np.array([0, 0, 0, 0, 0, 1])
    prediction = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    plain = Judge(pynn.CrossEntropyLoss(), (x, labels), 2, np.array([5, 1]))
    assert plain.metric == "accuracy"
    assert plain.credits(prediction).mean() == pytest.approx(5 / 6)
    balanced = Judge(pynn.CrossEntropyLoss(), (x, labels), 2, np.array([80, 10]))
    assert balanced.metric == "balanced accuracy"
    assert balanced.credits(prediction).mean() == pytest.approx((4 / 5 + 1) / 2)
    values = np.array([[1.0], [2], [3], [4], [5], [9]])
    judge = Judge(pynn.MSELoss(), (x, values), 1, None)
    errors = np.array([[0.0], [1], [0], [0], [0], [0]])
    assert judge.credits(values + errors).mean() == pytest.approx(1 - 1 / np.square(values - 4).sum())


def test_what_is_attainable_is_what_neighbours_or_a_ridge_regression_reach(blobs, rng):
    (x, y), (xv, yv) = blobs
    judge = Judge(pynn.CrossEntropyLoss(), (xv, yv), 3, np.bincount(y))
    known = neighbors.KNeighborsClassifier(5).fit(x / x.std(axis=0), y).score(xv / x.std(axis=0), yv)
    assert known - 0.01 <= judge.attainable(x, y) <= 1
    assert judge.attainable(x, np.eye(3)[y]) == judge.attainable(x, y)
    plane = rng.standard_normal((10, 2))
    assert Judge(pynn.MSELoss(), (xv, xv @ plane), 2, None).attainable(x, x @ plane) > 0.95
    assert Judge(pynn.MSELoss(), (xv, (xv @ plane)[::-1]), 2, None).attainable(x, x @ plane) < 0.1
    assert np.isnan(judge.attainable(x[:10], y[:10]))


def test_rows_to_be_ignored_are_not_scored():
    x, labels = np.zeros((3, 2), np.float32), np.array([1, -1, 0])
    judge = Judge(pynn.CrossEntropyLoss(ignore_index=-1), (x, labels), 2, None)
    assert judge.y.tolist() == [1, 0]
