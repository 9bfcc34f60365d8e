"""What has passed is history: findings that a run which learns has outlived; and what is said at a run's end."""

from types import SimpleNamespace

import numpy as np
import pytest

import pynn
from pynn.babysit.monitor.data_facts import DataFacts
from pynn.babysit.monitor.episodes import Episodes
from pynn.babysit.monitor.rules.ending import ended_early
from pynn.babysit.monitor.rules.evaluation import oscillating
from pynn.babysit.monitor.scores import Scores
from pynn.babysit.thresholds import Thresholds


def two_circles(n=700, seed=1):
    rng = np.random.default_rng(seed)
    angle, label = rng.uniform(0, 2 * np.pi, n), rng.integers(0, 2, n)
    radius = np.where(label == 1, 0.8, 1.0) + 0.02 * rng.standard_normal(n)
    x = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return x.astype(np.float32), label[:, None].astype(np.float32)


def watched(model, loss, optimizer, x, y, epochs, **settings):
    monitor = pynn.Monitor(on_problem="silent")
    trainer = pynn.Trainer(model, loss, optimizer, seed=0)
    cut = 3 * len(x) // 4
    trainer.fit(x[:cut], y[:cut], epochs=epochs, validation=(x[cut:], y[cut:]), callbacks=[monitor], **settings)
    return monitor, trainer


def symptoms(findings):
    return [finding.symptom for finding in findings]


@pytest.fixture
def plateau():
    """Return a stack of small tanh layers that lies on a plateau for most of its run, and then learns."""
    pynn.manual_seed(0)
    layers = [layer for i in range(5) for layer in (pynn.Linear(2 if i == 0 else 5, 5, init="he_uniform"), pynn.Tanh())]
    return pynn.Sequential(*layers, pynn.Linear(5, 1, init="zeros"))


def test_a_plateau_that_ends_is_history(plateau):
    x, y = two_circles()
    monitor, trainer = watched(plateau, pynn.BCEWithLogitsLoss(), pynn.Adam(1e-3), x, y, 300, batch_size=128)
    assert trainer.history["val_accuracy"][-1] > 0.9
    assert monitor.verdict == []
    passed = [finding for finding in monitor.findings if finding.severity != "info"]
    assert set(symptoms(passed)) & {"not_learning", "lr_too_low"}
    for finding in passed:
        assert finding.step <= finding.last_step <= finding.end <= trainer.steps
        assert f"passed by step {finding.end}" in str(finding)


def test_a_plateau_is_history_before_a_simple_learner_is_reached(plateau):
    x, y = two_circles()
    monitor, trainer = watched(plateau, pynn.BCEWithLogitsLoss(), pynn.Adam(1e-3), x, y, 200, batch_size=128)
    state = monitor._state
    assert state.scores.is_behind(0.02) and not state.learns  # nearest neighbours know better
    assert trainer.history["val_accuracy"][-1] > 0.85
    passed = next(finding for finding in monitor.findings if finding.symptom == "not_learning")
    assert passed.last_step < trainer.steps / 2 < passed.end
    assert monitor.verdict == []


@pytest.mark.parametrize(("reached", "last", "passes"), [(0.8, 200, True), (0.6, 200, False), (0.8, 400, False)])
def test_what_is_learnt_by_heart_or_of_late_is_no_history(reached, last, passes):
    monitor, trainer = linear_run(0.1, 30)
    early = pynn.Finding("not_learning", None, 100, last, "error", "", "")
    monitor.findings.append(early)
    state = monitor._state
    state.scores, state.found["not_learning"] = Scores(examples=200, reached=reached, attainable=0.95), last
    state.data.chance = 0.5
    assert trainer.steps == 450 and state.share_left < 0.5 and not state.learns
    Episodes(monitor.findings).let_pass(state, trainer.steps, trainer.steps)
    assert (early.end is not None) == passes


def test_a_plateau_that_lasts_stands(plateau):
    x, y = two_circles()
    monitor, trainer = watched(plateau, pynn.BCEWithLogitsLoss(), pynn.Adam(1e-4), x, y, 300, batch_size=128)
    assert trainer.history["val_accuracy"][-1] < 0.7
    assert set(symptoms(monitor.verdict)) & {"not_learning", "lr_too_low", "underfitting"}


def test_what_has_passed_may_come_back():
    finding = pynn.Finding("not_learning", None, 1, 9, "error", "", "", end=20)
    assert not finding.claims_fault
    finding.end = None
    assert finding.claims_fault


def linear_run(lr, epochs):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 8)).astype(np.float32)
    y = (x @ rng.standard_normal((8, 1)) + 0.1 * rng.standard_normal((600, 1))).astype(np.float32)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(8, 16), pynn.Tanh(), pynn.Linear(16, 1))
    return watched(model, pynn.MSELoss(), pynn.SGD(lr), x, y, epochs, batch_size=32)


def test_training_that_ends_while_the_loss_falls_is_said_to_be_short():
    monitor, _ = linear_run(5e-4, 20)
    finding = next(finding for finding in monitor.findings if finding.symptom == "underfitting")
    assert finding.severity == "warning"
    assert "was still falling by" in finding.evidence
    assert "train longer, or raise the learning rate to about" in finding.advice


def test_training_that_ends_while_it_may_be_improved_is_no_fault():
    monitor, _ = linear_run(1e-2, 30)
    ended = [finding for finding in monitor.findings if "still falling" in finding.evidence]
    assert symptoms(ended) == ["underfitting"]
    assert ended[0].severity == "info"
    assert monitor.verdict == []


@pytest.mark.parametrize(("epochs", "batch_size"), [(1, 32), (20, 2000)])
def test_training_that_ends_after_few_steps_is_said_to_be_short(epochs, batch_size):
    x, y = pynn.datasets.load_digits()
    x = x / 8 - 1
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(64, 32), pynn.ReLU(), pynn.Linear(32, 10))
    run = watched(model, pynn.CrossEntropyLoss(), pynn.SGD(0.02), x, y, epochs, batch_size=batch_size)
    finding = next(finding for finding in run[0].verdict)
    assert finding.symptom == "underfitting" and "training ended after" in finding.evidence
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(64, 32), pynn.ReLU(), pynn.Linear(32, 10))
    monitor, trainer = watched(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-2), x, y, epochs, batch_size=32)
    assert trainer.history["val_accuracy"][-1] > 0.8
    assert monitor.verdict == []


def xor(optimizer):
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([[0], [1], [1], [0]], np.float32)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(2, 8), pynn.Sigmoid(), pynn.Linear(8, 1))
    trainer, monitor = pynn.Trainer(model, pynn.MSELoss(), optimizer), pynn.Monitor(on_problem="silent")
    trainer.fit(x, y, epochs=1500, batch_size=4, callbacks=[monitor])
    return trainer.history["loss"][-1], symptoms(monitor.verdict)


def test_a_handful_that_is_not_learnt_by_heart_with_small_steps_has_too_low_a_rate():
    loss, verdict = xor(pynn.SGD(0.01))
    assert loss > 0.24 and verdict[0] == "lr_too_low"
    loss, verdict = xor(pynn.Adam(0.03))
    assert loss < 0.01 and verdict == []


def test_small_steps_where_nothing_can_be_learnt_are_no_fault_of_the_rate():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((400, 4)).astype(np.float32), rng.standard_normal((400, 1)).astype(np.float32)
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(4, 8), pynn.Tanh(), pynn.Linear(8, 1, init="zeros"))
    monitor, _ = watched(model, pynn.MSELoss(), pynn.SGD(0.01), x, y, 400, batch_size=400)
    assert "lr_too_low" not in symptoms(monitor.verdict)


@pytest.mark.parametrize(("shuffle", "expected"), [(False, True), (True, False)])
def test_rows_of_a_regression_in_the_order_of_their_targets_are_to_be_shuffled(shuffle, expected):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((800, 6)).astype(np.float32)
    y = (x[:, :1] + np.sin(2 * x[:, 1:2])).astype(np.float32)
    y[::100] = -9999 if shuffle else y[::100]  # codes for what is missing are not what all other batches lack
    order = np.arange(800) if shuffle else np.argsort(y[:, 0])
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(6, 32), pynn.ReLU(), pynn.Linear(32, 1))
    monitor = pynn.Monitor(on_problem="silent")
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.SGD(0.05 if not shuffle else 1e-9), seed=0)
    fresh = rng.standard_normal((200, 6)).astype(np.float32)
    held_out = fresh, (fresh[:, :1] + np.sin(2 * fresh[:, 1:2])).astype(np.float32)
    trainer.fit(x[order], y[order], epochs=10, shuffle=shuffle, validation=held_out, callbacks=[monitor])
    told = [finding for finding in monitor.verdict if finding.symptom == "oscillating"]
    assert [finding.advice for finding in told] == ["shuffle the examples"] * expected


def test_inputs_that_are_all_zero_do_not_differ_from_validation_inputs():
    x, y = np.zeros((200, 4), np.float32), np.arange(200) % 2
    model = pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(8, 2))
    monitor, _ = watched(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), x, y, 3)
    evidence = [finding.evidence for finding in monitor.verdict if finding.symptom == "input_not_normalised"]
    assert evidence == ["the largest input is 0"]


def test_units_that_died_before_a_run_learnt_are_history():
    dead = pynn.Finding("dead_units", "1.ReLU", 40, 60, "warning", "31% of the units are dead", "")
    monitor, trainer = linear_run(0.1, 30)
    monitor.findings.append(dead)
    assert dead in monitor.verdict
    monitor._state.found["dead_units"] = 60
    Episodes(monitor.findings).let_pass(monitor._state, trainer.steps, trainer.steps)
    assert dead not in monitor.verdict and dead.end == trainer.steps


def test_frozen_weights_are_named_as_the_reason_for_a_loss_that_stays():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    model = pynn.Sequential(pynn.Linear(8, 16), pynn.ReLU(), pynn.Linear(16, 2))
    for layer in model:
        layer.freeze()
    monitor, _ = watched(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), x, y, 20)
    assert symptoms(monitor.verdict) == ["plateau"] and "all weights are frozen" in monitor.verdict[0].evidence


@pytest.mark.parametrize(("fitted", "severities"), [(0.6, ["warning"]), (0.95, [])])
def test_a_network_that_fits_its_training_data_is_not_short_of_training(fitted, severities):
    falling = [SimpleNamespace(loss=loss, val_loss=2 * loss) for loss in np.linspace(0.5, 0.45, 10)]
    state = SimpleNamespace(
        evaluations=falling, explained=False, age=5000, epochs_left=0, data=DataFacts(),
        scores=Scores(examples=400, reached=0.55, attainable=0.9, fitted=fitted),
        window=SimpleNamespace(typical_ratio=1e-3, lr=0.1),
    )  # fmt: skip
    assert [detection.severity for detection in ended_early(state)] == severities


@pytest.mark.parametrize(("height", "symptoms"), [(0.01, []), (0.2, ["oscillating"])])
def test_a_squared_error_that_swings_near_0_is_no_fault(height, symptoms):
    swinging = [SimpleNamespace(loss=0.01, val_loss=0.01 + height * (epoch % 2)) for epoch in range(10)]
    state = SimpleNamespace(
        evaluations=swinging, age=500, share_left=0.02, reference=1.0, limits=Thresholds(), data=DataFacts(),
        network=SimpleNamespace(tiny=False), settings=SimpleNamespace(squares=True), is_young=lambda *least: False,
        window=SimpleNamespace(ratio=1e-3),
    )  # fmt: skip
    swinging[-1].loss = swinging[-1].val_loss  # not learnt by heart
    assert [detection.symptom for detection in oscillating(state)] == symptoms


def test_a_loss_that_has_settled_says_nothing():
    monitor, _ = linear_run(0.1, 60)
    assert not [finding for finding in monitor.findings if "still falling" in finding.evidence]


class Exponential(pynn.Layer):
    def forward(self, x, ctx):
        with np.errstate(over="ignore"):
            ctx.y = np.exp(x)
        return ctx.y

    def backward(self, dy, ctx):
        return dy * ctx.y


def test_outputs_that_overflow_before_any_update_are_told_with_their_layer():
    pynn.manual_seed(0)
    x = 4 * np.random.default_rng(0).standard_normal((64, 2)).astype(np.float32)
    y = np.arange(64) % 3
    layers = [layer for i in range(6) for layer in (pynn.Linear(5 if i else 2, 5, init="he_uniform"), Exponential())]
    trainer = pynn.Trainer(pynn.Sequential(*layers, pynn.Linear(5, 3)), pynn.CrossEntropyLoss(), pynn.Adam(1e-3))
    monitor = pynn.Monitor(on_problem="silent")
    with pytest.raises(pynn.NonFiniteError), np.errstate(all="ignore"):
        trainer.fit(x, y, epochs=1, batch_size=64, callbacks=[monitor])
    cause = monitor.verdict[0]
    assert cause.symptom == "bad_initialisation"
    assert cause.layer.endswith("Exponential")
    assert "overflow" in cause.evidence
    assert "rate" not in " ".join(finding.advice for finding in monitor.verdict)


class UnitRows(pynn.Layer):
    """Each row divided by its length, without care for rows of zeros."""

    def forward(self, x, ctx):
        with np.errstate(invalid="ignore"):
            return x / np.sqrt(np.square(x).sum(axis=1, keepdims=True))

    def backward(self, dy, ctx):
        return dy


def test_a_division_of_0_by_0_is_no_overflow():
    pynn.manual_seed(0)
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    x[3] = 0
    model = pynn.Sequential(UnitRows(), pynn.Linear(4, 3))
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(1e-3))
    monitor = pynn.Monitor(on_problem="silent")
    with pytest.raises(pynn.NonFiniteError):
        trainer.fit(x, np.arange(64) % 3, epochs=1, batch_size=64, callbacks=[monitor])
    assert [finding.symptom for finding in monitor.verdict] == ["non_finite"]


def mean_over_labelled(prediction, target):
    """Return a mean squared error over the targets that are not missing (-1): 0 / 0 without any."""
    known = target >= 0
    difference = np.where(known, prediction - target, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.square(difference).sum() / known.sum()), 2 * difference / known.sum()


def test_a_minibatch_without_labels_is_not_blamed_on_the_rate():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128, 4)).astype(np.float32)
    y = np.abs(x[:, :1])
    y[96:] = -1
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 1)), mean_over_labelled, pynn.SGD(0.01))
    monitor = pynn.Monitor(on_problem="silent")
    with pytest.raises(pynn.NonFiniteError), np.errstate(all="ignore"):
        trainer.fit(x, y, epochs=1, batch_size=32, shuffle=False, callbacks=[monitor])
    assert symptoms(monitor.verdict) == ["non_finite"]
    assert "outputs are finite" in monitor.verdict[0].evidence
    assert "lower the learning rate" not in monitor.verdict[0].advice


def test_features_far_smaller_than_others_are_told():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (600, 6)).astype(np.float32)
    y = (x @ np.array([[0.1], [0.1], [2], [3], [-2], [1]]) + 0.02 * rng.standard_normal((600, 1))).astype(np.float32)
    x[:, 2:] *= 1e-3
    pynn.manual_seed(0)
    model = pynn.Sequential(pynn.Linear(6, 16), pynn.ReLU(), pynn.Linear(16, 1))
    monitor, _ = watched(model, pynn.MSELoss(), pynn.Adam(1e-3), x, y, 40)
    assert symptoms(monitor.verdict)[0] == "input_not_normalised"
    assert "67% of the features" in monitor.verdict[0].evidence


def softmax_cross_entropy(prediction, target):
    """Return a cross-entropy of one-hot targets, as a function of one's own."""
    shifted = np.exp(prediction - prediction.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    return -float((target * np.log(p + 1e-12)).sum() / len(target)), ((p - target) / len(target)).astype(np.float32)


def test_one_hot_targets_of_your_own_loss_are_classes():
    x, y = pynn.datasets.blobs(600, classes=3, std=1.0, seed=0)
    one_hot = np.eye(3, dtype=np.float32)[y]
    shuffled = one_hot[np.random.default_rng(0).permutation(len(y))]
    seen = {}
    for name, targets in (("right", one_hot), ("shuffled", shuffled)):
        pynn.manual_seed(0)
        model = pynn.Sequential(pynn.Linear(2, 16), pynn.ReLU(), pynn.Linear(16, 3))
        seen[name], _ = watched(model, softmax_cross_entropy, pynn.Adam(3e-3), x / x.std(), targets, 40)
    assert seen["right"].verdict == []
    assert symptoms(seen["shuffled"].verdict) == ["not_learning"]
