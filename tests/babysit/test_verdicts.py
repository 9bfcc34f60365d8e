"""Verdicts on the command line's networks and on small tables: the first cause, and advice that helps and fits."""

import os
import re

import numpy as np
import pytest

import pynn
from pynn.babysit.preflight import preflight
from pynn.utils import streams

datasets = pytest.importorskip("sklearn.datasets")


def command_network(inputs, outputs, *, hidden=(256, 128), dropout=0.3, seed=0, activation=pynn.ReLU):
    pynn.manual_seed(seed)
    layers, width = [], inputs
    for units in hidden:
        layers += [pynn.Linear(width, units, init="he_normal"), pynn.BatchNorm1d(units), activation()]
        layers += [pynn.Dropout(dropout)] if dropout else []
        width = units
    return pynn.Sequential(*layers, pynn.Linear(width, outputs))


def watched(model, loss, optimizer, train, validation, epochs, *, callbacks=(), **settings):
    trainer = pynn.Trainer(model, loss, optimizer, **settings)
    monitor = pynn.Monitor(on_problem="silent")
    try:
        trainer.fit(
            *train, epochs=epochs, batch_size=32, validation=validation, callbacks=[monitor, *callbacks]
        )  # fmt: skip
    except pynn.NonFiniteError:
        return monitor, 0.0
    figures = trainer.evaluate(*validation)
    return monitor, figures.get("accuracy", figures["loss"])


@pytest.fixture(scope="module")
def digits():
    x, y = pynn.datasets.load_digits()
    x = (x.reshape(len(x), -1) - x.mean()) / x.std()
    x = x.astype(np.float32)
    return (x[:1200], y[:1200]), (x[1200:], y[1200:])


OPTIMIZERS = {
    "adamw": lambda lr: pynn.AdamW(lr, weight_decay=0.01),
    "adam": lambda lr: pynn.Adam(lr, weight_decay=1e-4),
    "sgd": lambda lr: pynn.SGD(lr, momentum=0.9, weight_decay=1e-4),
    "nesterov": lambda lr: pynn.SGD(lr, momentum=0.9, nesterov=True, weight_decay=1e-4),
    "rmsprop": lambda lr: pynn.RMSprop(lr, weight_decay=1e-4),
}
RATES = [("adamw", 3, 0), ("adamw", 10, 1), ("adamw", 50, 0), ("adam", 10, 0), ("sgd", 3, 1), ("sgd", 50, 0)]
RATES += [("nesterov", 10, 0), ("rmsprop", 10, 0)]


@pytest.mark.parametrize(("name", "lr", "seed"), RATES)
def test_a_rate_that_is_too_high_is_the_first_cause_and_the_advised_one_cures_it(digits, name, lr, seed):
    loss = pynn.CrossEntropyLoss()
    sick, _ = watched(command_network(64, 10, seed=seed), loss, OPTIMIZERS[name](lr), *digits, 6, seed=seed)
    first = sick.verdict[0]
    assert first.symptom == "lr_too_high"
    assert "regularisation_too_strong" not in [finding.symptom for finding in sick.verdict]
    advised = float(re.search(r"from [\d.]+ to about (\S+)", first.advice)[1])
    cured, accuracy = watched(
        command_network(64, 10, seed=seed), loss, OPTIMIZERS[name](advised), *digits, 6, seed=seed
    )  # fmt: skip
    assert cured.verdict == []
    assert accuracy > 0.85


def test_a_decay_that_is_too_strong_at_a_usual_rate_is_still_the_cause(digits):
    monitor, _ = watched(
        command_network(64, 10), pynn.CrossEntropyLoss(), pynn.AdamW(3e-3, weight_decay=50), *digits, 6
    )
    assert monitor.verdict[0].symptom == "regularisation_too_strong"


def table(name):
    loaded = getattr(datasets, f"load_{name}")()
    order = np.random.default_rng(0).permutation(len(loaded.data))
    x, y = loaded.data[order], loaded.target[order]
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    if y.dtype.kind == "f":
        y = ((y - y.mean()) / y.std()).astype(np.float32)[:, None]
    cut = 3 * len(x) // 4
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def test_a_table_fitted_far_better_in_training_than_in_validation_is_overfitted_and_the_advice_helps():
    train, validation = table("diabetes")
    wide = command_network(10, 1, dropout=0)
    monitor, loss = watched(wide, pynn.MSELoss(), pynn.AdamW(3e-3, weight_decay=0.01), train, validation, 40)
    (finding,) = monitor.verdict
    assert finding.symptom == "overfitting"
    assert "add dropout" in finding.advice
    assert "make the network smaller" in finding.advice
    assert "weight decay" not in finding.advice  # there is some
    small = command_network(10, 1, hidden=(32,), dropout=0.3)
    monitor, better = watched(small, pynn.MSELoss(), pynn.AdamW(3e-3, weight_decay=0.01), train, validation, 40)
    assert better < 0.9 * loss
    assert monitor.verdict == []


def test_the_gap_of_a_loss_below_0_is_measured_by_what_the_inputs_explain(rng):
    x = rng.standard_normal((2000, 6)).astype(np.float32)
    y = rng.poisson(np.exp(0.8 * x[:, 0] - 0.5 * x[:, 1] + 0.4 * np.abs(x[:, 2])))[:, None].astype(np.float32)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(6, 32, init="he_normal"), pynn.ReLU(), pynn.Linear(32, 1))
    train, held_out = (x[:1500], y[:1500]), (x[1500:], y[1500:])
    monitor, loss = watched(model, pynn.PoissonNLLLoss(), pynn.Adam(3e-3), train, held_out, 25)
    best = np.mean(held_out[1] - held_out[1] * np.log(held_out[1].mean()))  # of a constant, about
    assert loss < 0 < best
    assert not monitor.verdict, monitor.verdict


def test_the_training_part_is_measured_without_dropout():
    train, validation = table("diabetes")
    few = train[0][:100], train[1][:100]
    model = command_network(10, 1, dropout=0.4)
    monitor, _ = watched(model, pynn.MSELoss(), pynn.AdamW(1e-2), few, validation, 80)
    fitted = 1 - float(np.square(model.infer(few[0]) - few[1]).mean() / few[1].var())
    (finding,) = [finding for finding in monitor.findings if finding.symptom == "overfitting"]
    assert float(re.search(r"R2 is (\S+) in training", finding.evidence)[1]) == pytest.approx(fitted, abs=0.3)
    assert "underfitting" not in [finding.symptom for finding in monitor.verdict]


def test_a_gap_is_a_fault_only_if_the_training_loss_is_far_below():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 20)).astype(np.float32)
    y = (x[:, :1] + x[:, 1:2] * x[:, 2:3] + rng.normal(0, 1, (300, 1))).astype(np.float32)
    severities = []
    for decay in (0, 0.3):  # R2 in training is 0.93 and 0.59, in validation 0.24 and 0.35
        pynn.manual_seed(0)
        model = pynn.Sequential(pynn.Linear(20, 64, init="he_normal"), pynn.ReLU(), pynn.Linear(64, 1))
        adam = pynn.Adam(3e-3, weight_decay=decay)
        monitor, _ = watched(model, pynn.MSELoss(), adam, (x[:150], y[:150]), (x[150:], y[150:]), 40)
        severities += [finding.severity for finding in monitor.findings if finding.symptom == "overfitting"]
    assert severities == ["warning", "info"]


def test_weights_of_the_best_epoch_are_not_told_to_stop_earlier():
    train, validation = table("diabetes")
    stopping = pynn.EarlyStopping(patience=40)
    monitor, _ = watched(
        command_network(10, 1, dropout=0), pynn.MSELoss(), pynn.AdamW(3e-3), train, validation, 40, callbacks=[stopping]
    )  # fmt: skip
    assert not any("stop after" in finding.advice for finding in monitor.findings)
    assert not [finding for finding in monitor.verdict if finding.symptom == "overfitting"]


def test_a_sigmoid_before_a_loss_of_logits_is_named():
    x, y = pynn.datasets.blobs(600, classes=2, std=2.0, seed=0)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    train, held_out = (x[:400], y[:400].astype(np.float32)), (x[400:], y[400:].astype(np.float32))
    pynn.manual_seed(0)
    layers = [pynn.Linear(2, 16, init="he_normal"), pynn.ReLU(), pynn.Linear(16, 1)]
    model = pynn.Sequential(*layers, pynn.Sigmoid())
    monitor, _ = watched(model, pynn.BCEWithLogitsLoss(), pynn.Adam(3e-3), train, held_out, 10)
    assert monitor.verdict[0].symptom == "plateau"
    assert "leave out the softmax or sigmoid" in monitor.verdict[0].advice
    pynn.manual_seed(0)
    model = pynn.Sequential(*(type(layer)(**layer.config()) for layer in layers))
    monitor, _ = watched(model, pynn.BCEWithLogitsLoss(), pynn.Adam(3e-3), train, held_out, 10)
    assert not monitor.verdict


def test_a_rectifier_before_a_loss_of_logits_is_named():
    x, y = pynn.datasets.blobs(600, classes=3, std=4.0, seed=0)
    x = (x / x.std()).astype(np.float32)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3), pynn.ReLU())
    monitor, _ = watched(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-4), (x[:450], y[:450]), (x[450:], y[450:]), 20)
    named = [finding for finding in monitor.verdict if finding.layer == "3.ReLU"]
    assert [finding.symptom for finding in named] == ["dead_units"]
    assert "never negative" in named[0].evidence


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_a_table_that_is_learnt_well_is_left_in_peace(name):
    train, validation = table(name)
    model = command_network(train[0].shape[1], int(train[1].max()) + 1)
    monitor, accuracy = watched(model, pynn.CrossEntropyLoss(), pynn.AdamW(3e-3), train, validation, 40)
    assert accuracy > 0.9
    assert monitor.verdict == []


def test_a_weak_signal_behind_a_majority_counts_as_learning():
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.29).astype(np.int64)
    x = (rng.standard_normal((2000, 8)) + 0.21 * y[:, None]).astype(np.float32)
    train, validation = (x[:1500], y[:1500]), (x[1500:], y[1500:])
    model = command_network(8, 2, hidden=(16,), dropout=0.5)
    monitor, accuracy = watched(model, pynn.CrossEntropyLoss(), pynn.AdamW(3e-3), train, validation, 20)
    scores = model.infer(x[1500:]) @ [-1, 1]
    ranks = scores.argsort().argsort()
    positive = validation[1] == 1
    area = (ranks[positive].mean() - (positive.sum() - 1) / 2) / (~positive).sum()
    assert 0.6 < area < 0.75
    assert accuracy < 0.75
    assert monitor.verdict == []


def test_a_rare_class_is_called_by_its_name():
    rng = np.random.default_rng(0)
    y = np.array([0] * 300 + [1] * 300 + [2] * 15)
    x = np.stack([(y == 1) * 3.0, rng.standard_normal(len(y))], axis=1).astype(np.float32)
    model = command_network(2, 3)
    model.class_names = ["rain", "sun", "snow"]
    monitor, _ = watched(model, pynn.CrossEntropyLoss(), pynn.AdamW(3e-3), (x, y), (x, y), 10)
    (finding,) = [finding for finding in monitor.verdict if finding.symptom == "class_imbalance"]
    assert finding.evidence.startswith("class 'snow' has 15 of 615")


def unlearnable(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1000, 8)).astype(np.float32)
    return (x[:800], rng.integers(0, 2, 800)), (x[800:], rng.integers(0, 2, 200))


def test_advice_on_zigzag_names_only_what_the_network_has():
    monitor, _ = watched(command_network(8, 2), pynn.CrossEntropyLoss(), pynn.SGD(1e-3), *unlearnable(), 12)
    assert not any("sigmoid" in finding.advice for finding in monitor.findings)
    assert "zigzag" not in [finding.symptom for finding in monitor.verdict]


def test_advice_on_dead_units_does_not_name_the_batch_norm_that_is_there(digits):
    monitor, _ = watched(command_network(64, 10), pynn.CrossEntropyLoss(), pynn.AdamW(10.0), *digits, 6)
    dead = [finding for finding in monitor.findings if finding.symptom == "dead_units"]
    assert dead
    assert not any("batch norm" in finding.advice for finding in dead)


def rate_check(schedule, rows=128):
    x, y = pynn.datasets.blobs(n=rows, classes=3, features=6, seed=0)
    model = command_network(6, 3, hidden=(32,))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(3e-3), schedule=schedule)
    return preflight(trainer, x, y, batch_size=32)["learning rate"]


def test_a_schedule_as_long_as_a_short_run_is_right_and_one_that_ends_within_epochs_is_not():
    assert rate_check(pynn.CosineAnnealingLR(160, by="step")).status == "pass"
    assert rate_check(pynn.CosineAnnealingLR(40)).status == "pass"
    assert rate_check(pynn.ExponentialLR(0.9, by="step"), rows=1600).symptom == "lr_too_low"


def duplicates_check(copies):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 5)).astype(np.float32), rng.integers(0, 2, 300)
    validation = x[200:].copy(), y[200:]
    validation[0][:copies] = x[:copies]
    trainer = pynn.Trainer(command_network(5, 2, hidden=(8,)), pynn.CrossEntropyLoss(), pynn.Adam(3e-3))
    return preflight(trainer, x[:200], y[:200], validation=validation)["validation duplicates"].status


def test_a_row_that_occurs_twice_by_chance_is_no_leak():
    assert [duplicates_check(copies) for copies in (0, 1, 8, 60)] == ["pass", "pass", "warn", "fail"]


def test_a_whole_truth_table_leaves_no_other_examples_to_validate_on():
    x = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], np.float32)
    y = x.sum(axis=1).astype(np.int64) % 2
    trainer = pynn.Trainer(command_network(3, 2, hidden=(8,)), pynn.CrossEntropyLoss(), pynn.Adam(3e-3))
    assert preflight(trainer, x, y, validation=(x, y))["validation duplicates"].status == "pass"
    part = preflight(trainer, x[:6], y[:6], validation=(x[:6], y[:6]))["validation duplicates"]
    assert part.status == "warn"


class Terminal:
    encoding = "utf-8"

    def isatty(self):
        return True


def test_text_fits_the_terminal_and_is_not_cut(monkeypatch):
    text = " ".join(f"word{index}" for index in range(100))
    monkeypatch.setattr(streams.shutil, "get_terminal_size", lambda fallback: os.terminal_size((80, 24)))
    assert max(map(len, streams.wrapped(text))) > 80
    monkeypatch.setattr(streams.sys, "stdout", Terminal())
    lines = streams.wrapped(text, "verdict ", " " * 8)
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == f"verdict {text}"
    rows = preflight_lines()
    assert max(map(len, rows)) <= 80


def preflight_lines():
    from pynn.babysit.preflight.report import failed

    check = failed("validation duplicates", None, "of 20 examples " * 12, "Split so that no copy is on both sides.")
    return check.lines()


def test_a_loss_of_the_wrong_sign_is_found_in_the_first_step_of_a_fit():
    def uphill(prediction, target):
        off = prediction - target
        return float(np.square(off).mean()), -2 * off / np.float32(off.size)

    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4)).astype(np.float32)
    y = x[:, :1]
    monitor, _ = watched(command_network(4, 1, hidden=(8,)), uphill, pynn.SGD(0.01), (x, y), (x, y), 2)
    first = monitor.verdict[0]
    assert (first.symptom, first.step) == ("not_learning", 1)
    assert "gradient of the loss" in first.evidence


def test_preflight_notices_amounts_that_are_taken_for_classes(rng):
    x = rng.normal(size=(100, 3)).astype(np.float32)
    _, y = np.unique(np.round(100 * x[:, 0]), return_inverse=True)
    classes = int(y.max()) + 1
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(3, classes)), pynn.CrossEntropyLoss(), pynn.Adam(1e-2))
    (check,) = [check for check in pynn.preflight(trainer, x, y) if check.name == "targets"]
    assert check.status == "warn"
    assert f"{classes} classes in 100 examples" in check.evidence
    assert "regression" in check.advice


class Ascending(pynn.SGD):
    def update(self, flat, bounds, rates, grad_scale):
        super().update(flat, bounds, rates, -grad_scale)


class Slower(pynn.SGD):
    def update(self, flat, bounds, rates, grad_scale):
        super().update(flat, bounds, rates, grad_scale / 2)


@pytest.mark.parametrize("optimizer", [Ascending(0.1), Slower(0.1)], ids=lambda optimizer: type(optimizer).__name__)
def test_an_optimiser_that_climbs_is_named(optimizer):
    x, y = pynn.datasets.blobs(600, classes=3, std=2.0, seed=0)
    x = (x / x.std()).astype(np.float32)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
    before = model[0].weight.data.copy()
    monitor = pynn.Monitor(on_problem="silent")
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), optimizer)
    monitor.watch(trainer)
    for start in range(0, 300, 30):
        trainer.step(x[start : start + 30], y[start : start + 30])
    verdict = monitor.verdict
    assert not np.array_equal(before, model[0].weight.data)
    assert optimizer.steps == 10
    if isinstance(optimizer, Ascending):
        assert "goes along the gradient" in verdict[0].evidence
    else:
        assert verdict == []
