"""Verdicts on programs with spoilt data, too few steps, or a start that is no fault; and on healthy twins."""

import itertools

import numpy as np
import pytest

import pynn
from pynn.babysit.preflight import preflight

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits():
    x, y = pynn.datasets.load_digits()
    x = ((x - x.mean(axis=0)) / x.std()).astype(np.float32)
    x, xv, y, yv = pynn.datasets.train_test_split(x, y, seed=0)
    return (x, y), (xv, yv)


def perceptron(sizes, tail=()):
    pynn.manual_seed(0)
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [pynn.Linear(fan_in, fan_out), pynn.ReLU()]
    return pynn.Sequential(*layers[:-1], *tail)


def watched(train, validation, optimizer=None, *, epochs=15, batch=32, loss=None, sizes=(64, 64, 10)):
    """Return the findings about a perceptron, and its validation score."""
    loss = loss or pynn.CrossEntropyLoss()
    trainer = pynn.Trainer(perceptron(sizes), loss, optimizer or pynn.Adam(2e-3), seed=0)
    monitor = pynn.Monitor(on_problem="silent")
    trainer.fit(*train, epochs=epochs, batch_size=batch, validation=validation, callbacks=[monitor])
    return monitor, trainer.evaluate(*validation).get("accuracy")


def symptoms(monitor):
    return [finding.symptom for finding in monitor.verdict]


def test_labels_of_which_half_are_wrong_are_named_though_the_network_learns(digits):
    (x, y), validation = digits
    rng = np.random.default_rng(0)
    wrong = np.where(rng.random(len(y)) < 0.5, (y + rng.integers(1, 10, len(y))) % 10, y)
    monitor, accuracy = watched((x, wrong), validation, epochs=6)
    told = [finding for finding in monitor.findings if "labels of the training examples" in finding.advice]
    assert told and {finding.symptom for finding in told} == {"not_learning"}
    assert accuracy > 0.8 and not monitor.verdict  # a network that copes is not at fault
    assert not any("labels of" in each.advice for each in watched((x, y), validation, epochs=6)[0].findings)


def test_noise_in_the_training_inputs_is_named():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 6)).astype(np.float32)
    y = np.tanh(x[:, :1]) + x[:, 1:2] / 2
    validation = x[1500:], y[1500:]
    for noise, named in ((1.0, ["input_not_normalised"]), (0.0, [])):
        noisy = (x[:1500] + noise * rng.standard_normal((1500, 6))).astype(np.float32)
        monitor, _ = watched((noisy, y[:1500]), validation, loss=pynn.MSELoss(), sizes=(6, 32, 1))
        told = {finding.symptom for finding in monitor.findings if "has not seen" in finding.evidence}
        assert sorted(told) == named


def test_rare_classes_are_not_taken_for_another_problem_in_validation(digits):
    (x, y), validation = digits
    kept = (y < 3) | (np.random.default_rng(0).random(len(y)) < 0.02)
    monitor, accuracy = watched((x[kept], y[kept]), validation, epochs=40)
    assert accuracy < 0.7 and symptoms(monitor)[0] == "class_imbalance"
    assert not any("belong together" in finding.evidence for finding in monitor.findings)


def test_a_rate_at_which_nothing_moves_is_named_before_the_data():
    rng = np.random.default_rng(0)
    words, y = rng.integers(0, 300, (1200, 8)), np.arange(1200) % 4
    words[:, :2] = (words[:, :2] // 4) * 4 + y[:, None]
    pynn.manual_seed(0)
    model = pynn.Sequential(
        pynn.Embedding(300, 8), pynn.Flatten(), pynn.Linear(64, 32), pynn.ReLU(), pynn.Linear(32, 4)
    )
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-5), seed=0)
    monitor = pynn.Monitor(on_problem="silent")
    split = {"validation": (words[900:], y[900:])}
    trainer.fit(words[:900], y[:900], epochs=10, batch_size=32, callbacks=[monitor], **split)
    assert symptoms(monitor) == ["lr_too_low"]


def test_a_few_steps_that_taught_nothing_are_too_few(digits):
    train, validation = digits
    monitor, accuracy = watched(train, validation, pynn.SGD(0.01), epochs=1, batch=100)
    assert accuracy < 0.6 and symptoms(monitor) == ["underfitting"]
    assert "training ended after 15 steps" in monitor.verdict[0].evidence
    monitor, accuracy = watched(train, validation, pynn.Adam(5e-3), epochs=1, batch=32)
    assert accuracy > 0.85 and not monitor.verdict


def test_a_batch_of_one_example_has_no_spread_that_could_vanish(digits):
    (x, y), validation = digits
    sizes = (64, 32, 32, 32, 10)
    monitor, accuracy = watched((x[:600], y[:600]), validation, pynn.SGD(0.005), epochs=6, batch=1, sizes=sizes)
    assert accuracy > 0.6
    assert not [finding for finding in monitor.findings if finding.symptom == "bad_initialisation"]


def checked(x, y, *, validation=None, loss=None, sizes=None, tail=(), init=None):
    model = perceptron(sizes or (x.shape[1], 24, int(y.max()) + 1), tail)
    for layer in model:
        if init is not None and isinstance(layer, pynn.Linear):
            layer.weight[...] = init(layer.weight.shape)
    trainer = pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), pynn.Adam(2e-3))
    return preflight(trainer, x, y, validation=validation)


def test_examples_that_occur_again_with_another_label_are_told(digits):
    (x, y), validation = digits
    again = np.flatnonzero(y == 1)
    twice = np.concatenate([x, x[again]]), np.concatenate([y, np.full(len(again), 7)])
    check = checked(*twice, validation=validation)["targets"]
    assert check.status == "warn" and "another label" in check.evidence
    same = np.concatenate([x, x[again]]), np.concatenate([y, y[again]])
    assert checked(*same, validation=validation)["targets"].status == "pass"


def test_categories_whose_rows_repeat_by_chance_may_have_several_labels():
    rng = np.random.default_rng(0)
    places = rng.standard_normal((60, 5)).astype(np.float32)  # of each place, several visits
    x, y = places[rng.integers(0, 60, 800)], rng.integers(0, 2, 800)
    assert checked(x[:600], y[:600], validation=(x[600:], y[600:]))["targets"].status == "pass"
    assert checked(x, y)["targets"].status == "pass"


def test_validation_columns_in_another_order_are_told(digits):
    (x, y), (xv, yv) = digits
    shuffled = xv[:, np.random.default_rng(0).permutation(64)]
    for held_out, status in ((xv, "pass"), (shuffled, "fail"), (xv[:40], "pass")):
        assert checked(x, y, validation=(held_out, yv[: len(held_out)]))["validation scale"].status == status
    alone = np.random.default_rng(0).standard_normal((900, 10)).astype(np.float32)  # nothing tells their order
    labels = np.arange(900) % 2
    check = checked(alone[:600], labels[:600], validation=(alone[600:, ::-1], labels[600:]))["validation scale"]
    assert check.status == "pass"


def test_saturated_sigmoids_are_no_softmax_of_a_single_unit():
    x = np.random.default_rng(0).random((300, 16)).astype(np.float32)
    large = lambda shape: np.full(shape, 0.5) + pynn.init.uniform(shape, 0.5)  # noqa: E731
    sizes = (16, 32, 32, 16)
    check = checked(x, x, loss=pynn.MSELoss(), sizes=sizes, tail=[pynn.Sigmoid()], init=large)["network output"]
    assert "single unit" not in check.evidence
    one = checked(x, x[:, :1], loss=pynn.MSELoss(), sizes=(16, 32, 1), tail=[pynn.Softmax(1)])["network output"]
    assert one.status == "fail" and "single unit" in one.evidence


def test_an_absolute_error_of_classes_is_worse_than_a_squared_one(digits):
    (x, y), _ = digits
    rows = np.eye(10, dtype=np.float32)[y]
    for loss, status in ((pynn.L1Loss(), "warn"), (pynn.MSELoss(), "note")):
        assert checked(x, rows, loss=loss, sizes=(64, 24, 10))["network output"].status == status
