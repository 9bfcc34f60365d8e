"""The monitor: what it finds in sick runs and not in healthy ones, how it tells, and what it does then."""

import contextlib
import copy
import itertools
import warnings

import numpy as np
import pytest

import pynn
from pynn.babysit import Thresholds


@pytest.fixture(scope="module")
def digits():
    x, y = pynn.datasets.load_digits()
    x = (x.reshape(len(x), -1) / 16).astype(np.float32)
    return (x[:1200], y[:1200]), (x[1200:], y[1200:])


def network(*widths, init="he_normal", activation=pynn.ReLU, norm=False, seed=0):
    pynn.manual_seed(seed)
    layers = []
    for index, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        last = index == len(widths) - 2
        layers.append(pynn.Linear(fan_in, fan_out, init=None if last else init))
        if not last:
            layers += [pynn.BatchNorm1d(fan_out)] * norm + [activation()]
    return pynn.Sequential(*layers)


def watched(digits, model, optimizer, *, loss=None, scale=1.0, epochs=4, batch_size=32, shuffle=True, **settings):
    (x, y), (xv, yv) = digits
    trainer = pynn.Trainer(model, loss or pynn.CrossEntropyLoss(), optimizer, **settings)
    monitor = pynn.Monitor(on_problem="silent")
    with contextlib.suppress(pynn.NonFiniteError):
        trainer.fit(
            x * scale, y, epochs=epochs, batch_size=batch_size, validation=(xv * scale, yv), shuffle=shuffle,
            callbacks=[monitor],
        )  # fmt: skip
    return monitor


def small(shape):
    return 0.01 * np.random.default_rng(0).normal(size=shape)


SGD = lambda lr=0.1, **more: pynn.SGD(lr, momentum=0.9, **more)  # noqa: E731

SICK = {
    "input_not_normalised": lambda d: watched(d, network(64, 64, 10), SGD(0.01), scale=255),
    "symmetric_units": lambda d: watched(d, network(64, 32, 32, 10, init="zeros"), SGD()),
    "bad_initialisation": lambda d: watched(
        d,
        network(64, *[64] * 6, 10, init=small, activation=pynn.Tanh),
        SGD(),
    ),
    "bad_initial_loss": lambda d: watched(d, network(64, 64, 10), SGD(), loss=pynn.CrossEntropyLoss(reduction="sum")),
    "regularisation_too_strong": lambda d: watched(d, network(64, 64, 10), SGD(0.05, weight_decay=1.0)),
    "lr_too_high": lambda d: watched(d, network(64, 64, 64, 10), SGD(5.0)),
    "lr_too_low": lambda d: watched(d, network(64, 64, 10), SGD(1e-6)),
    "vanishing_gradient": lambda d: watched(
        d, network(64, *[64] * 9, 10, init="xavier_normal", activation=pynn.Sigmoid), SGD()
    ),
    "oscillating": lambda d: watched(_sorted(d), network(64, 64, 10), SGD(), shuffle=False),
    "not_learning": lambda d: watched(_shuffled(d), network(64, 64, 10), SGD(0.01), epochs=6),
    "underfitting": lambda d: watched(d, network(64, 1, 10, activation=pynn.Tanh), SGD(0.05), epochs=12),
    "overfitting": lambda d: watched(_few(d), network(64, 200, 10), SGD(0.1), epochs=60),
}


def _few(digits):
    """Return 80 examples, every third with a wrong label."""
    (x, y), held_out = digits
    return (x[:80], np.where(np.arange(80) % 3 == 0, (y[:80] + 1) % 10, y[:80])), held_out


def _sorted(digits):
    (x, y), held_out = digits
    order = np.argsort(y, kind="stable")
    return (x[order], y[order]), held_out


def _shuffled(digits):
    (x, y), held_out = digits
    return (x, np.random.default_rng(0).permutation(y)), held_out


@pytest.mark.parametrize("symptom", SICK)
def test_a_sick_run_is_told_by_its_cause(digits, symptom):
    monitor = SICK[symptom](digits)
    assert monitor.verdict[0].symptom == symptom, [str(finding) for finding in monitor.findings]


HEALTHY = {
    "plain": lambda d: watched(d, network(64, 64, 10), SGD()),
    "adam": lambda d: watched(d, network(64, 64, 64, 10), pynn.Adam(3e-3)),
    "batch norm and a large rate": lambda d: watched(d, network(64, 64, 64, 10, norm=True), SGD(0.3)),
    "12 layers": lambda d: watched(d, network(64, *[64] * 12, 10, norm=True), SGD(0.02), epochs=8),
    "tanh": lambda d: watched(d, network(64, 64, 64, 10, init="lecun_normal", activation=pynn.Tanh), SGD()),
    "gelu": lambda d: watched(d, network(64, 128, 10, activation=pynn.GELU), pynn.AdamW(3e-3)),
    "linear": lambda d: watched(d, network(64, 10), SGD()),
    "warm-up": lambda d: watched(d, network(64, 64, 10), SGD(), schedule=pynn.WarmupLR(20)),
    "batches of 4": lambda d: watched(d, network(64, 64, 10), pynn.SGD(0.02), batch_size=4, epochs=2),
    "long": lambda d: watched(d, network(64, 128, 10), SGD(), epochs=40),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_a_healthy_run_is_left_in_peace(digits, case):
    monitor = HEALTHY[case](digits)
    assert monitor.verdict == []
    assert monitor.history["val_accuracy"][-1] > 0.85


def test_the_cause_comes_before_its_consequences(digits):
    monitor = watched(digits, network(64, 64, 64, 10), SGD(0.1), scale=255)
    symptoms = [finding.symptom for finding in monitor.verdict]
    assert symptoms[0] == "input_not_normalised"
    assert len(set(symptoms)) > 2


@pytest.mark.parametrize("backend_name", pynn.available_backends())
def test_findings_do_not_depend_on_the_backend(digits, backend_name):
    with pynn.use_backend(backend_name):
        monitor = watched(digits, network(64, 64, 64, 10), SGD(5.0), epochs=2)
    assert monitor.verdict[0].symptom == "lr_too_high"


def test_findings_are_the_same_every_time(digits):
    first, second = (watched(digits, network(64, 64, 64, 10), SGD(5.0), epochs=2) for _ in range(2))
    assert [str(finding) for finding in first.findings] == [str(finding) for finding in second.findings]


def test_an_episode_is_one_finding_with_its_first_and_last_step(digits):
    monitor = SICK["lr_too_low"](digits)
    (finding,) = monitor.verdict
    assert finding.step < finding.last_step == monitor.stats.steps[-1]
    assert finding.symptom in str(finding) and str(finding.step) in str(finding)


def test_a_loop_by_hand_is_watched(digits):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD(0.01))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    for start in range(0, 1200, 40):
        trainer.step(255 * x[start : start + 40], y[start : start + 40])
    assert monitor.verdict[0].symptom == "input_not_normalised"


def test_a_batch_of_raw_data_in_between_is_noticed(digits):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD(0.01))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    for index in range(300):
        rows = slice(index * 4 % 1000, index * 4 % 1000 + 40)
        trainer.step(x[rows] * (255 if index == 210 else 1), y[rows])
    monitor.unwatch()
    assert monitor.verdict[0].symptom == "input_not_normalised"
    assert 211 <= monitor.verdict[0].step <= 300


def test_augmentation_that_drowns_the_inputs_is_named(digits):
    (x, y), validation = digits
    for noise in (10.0, 0.1):
        trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD(0.01))
        monitor = pynn.Monitor(on_problem="silent")
        add_noise = [lambda x, rng, noise=noise: x + rng.normal(0, noise, x.shape).astype(x.dtype)]
        trainer.fit(x, y, epochs=3, validation=validation, augment=add_noise, callbacks=[monitor])
        told = [finding for finding in monitor.verdict if finding.symptom == "input_not_normalised"]
        assert len(told) == (noise > 1) and all("the training data" in finding.evidence for finding in told)


def test_a_nan_in_the_data_is_named(digits):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD())
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    trainer.step(x[:32], y[:32])
    bad = x[:32].copy()
    bad[5, 3] = np.nan
    with pytest.raises(pynn.NonFiniteError):
        trainer.step(bad, y[:32])
    (finding,) = monitor.verdict
    assert finding.symptom == "non_finite" and finding.step == 2
    assert "row 5 of the batch's inputs" in finding.evidence


def test_a_gradient_that_is_not_finite_is_noted(digits):
    (x, y), _ = digits

    def loss(prediction, target):
        return 1.0, np.full_like(prediction, np.inf)

    trainer = pynn.Trainer(network(64, 64, 10), loss, SGD(), clip_norm=1.0)
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    with pytest.raises(pynn.NonFiniteError):
        trainer.step(x[:32], y[:32])
    assert [finding.symptom for finding in monitor.verdict] == ["non_finite"]


def test_targets_that_never_change_are_no_error():
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    y = np.zeros((300, 1), np.float32)
    trainer = pynn.Trainer(network(4, 8, 1), pynn.MSELoss(), SGD(0.01))
    trainer.fit(x, y, epochs=8, validation=(x, y), callbacks=[pynn.Monitor(on_problem="silent")])


def test_a_rule_that_fails_does_not_end_the_run(digits, monkeypatch):
    (x, y), _ = digits

    def broken(state):
        raise ZeroDivisionError("no")

    monkeypatch.setattr("pynn.babysit.monitor.monitor.STEP_RULES", (broken,))
    trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD())
    with pytest.warns(pynn.BabysitterWarning, match="the rule broken failed"):
        trainer.fit(x, y, epochs=1, callbacks=[pynn.Monitor()])
    assert trainer.epoch == 1


def test_a_run_goes_on_being_watched_in_the_next_fit(digits):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD())
    monitor = pynn.Monitor()
    for _ in range(3):
        trainer.fit(x, y, epochs=1, callbacks=[monitor])
    assert trainer.observer is None
    np.testing.assert_array_equal(monitor.stats.steps, np.arange(1, trainer.steps + 1))


def test_a_checkpoint_is_that_of_a_run_that_nobody_watches(digits, tmp_path):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD())
    saved = pynn.ModelCheckpoint(tmp_path / "run.ckpt", monitor=None, whole=True)
    trainer.fit(x, y, epochs=1, callbacks=[pynn.Monitor(), saved])
    resumed = pynn.Trainer.resume(tmp_path / "run.ckpt")
    assert resumed.observer is None and resumed.steps == trainer.steps


def test_actions(digits):
    (x, y), _ = digits

    def run(action):
        trainer = pynn.Trainer(network(64, 64, 64, 10), pynn.CrossEntropyLoss(), SGD(2.0))
        trainer.fit(x, y, epochs=3, callbacks=[pynn.Monitor(on_problem=action)])
        return trainer

    assert run("silent").epoch == 3
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert run("warn").epoch == 3
        assert any("lr_too_high" in str(warning.message) for warning in told)
        assert run("stop").epoch == 0
    seen = []
    run(seen.append)
    assert "lr_too_high" in [finding.symptom for finding in seen]


def test_a_run_that_diverges_goes_back_to_its_last_good_weights(digits):
    (x, y), (xv, yv) = digits

    class Jump(pynn.Callback):
        def on_epoch_end(self, trainer):
            if trainer.epoch == 3:
                trainer.optimizer.lr = 50.0

    trainer = pynn.Trainer(network(64, 64, 64, 10), pynn.CrossEntropyLoss(), SGD(0.05))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pynn.BabysitterWarning)
        trainer.fit(x, y, epochs=8, callbacks=[Jump(), pynn.Monitor(on_problem="restore")])
    assert trainer.epoch < 8
    assert trainer.evaluate(xv, yv)["accuracy"] > 0.85


def test_what_is_ignored_is_not_told(digits):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD(0.01))
    monitor = pynn.Monitor(on_problem="silent", ignore=["input_not_normalised"])
    trainer.fit(255 * x, y, epochs=1, callbacks=[monitor])
    assert monitor.findings and "input_not_normalised" not in [finding.symptom for finding in monitor.findings]


def test_thresholds_can_be_changed(digits):
    (x, y), _ = digits
    found = []
    for changes in (None, {"large_input": 0.1, "huge_input": 0.2}):
        trainer = pynn.Trainer(network(64, 64, 10), pynn.CrossEntropyLoss(), SGD())
        monitor = pynn.Monitor(on_problem="silent", thresholds=changes)
        trainer.fit(x, y, epochs=1, callbacks=[monitor])
        found.append([finding.symptom for finding in monitor.findings if finding.severity != "info"])
    assert found == [[], ["input_not_normalised"]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every is 0"),
        ({"budget": 1.5}, "budget is 1.5"),
        ({"ignore": ["dead"]}, "ignore has unknown symptoms dead; expected any of input_not_normalised"),
        ({"thresholds": {"dead": 1}}, "thresholds names dead; there are large_input"),
        ({"thresholds": {"many_dead": "x"}}, "many_dead"),
        ({"on_problem": "panic"}, "on_problem is 'panic'; expected one of warn, stop, restore, silent, or a function"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        pynn.Monitor(**settings)


def test_one_trainer_has_one_monitor():
    trainers = [
        pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(0.1)) for _ in range(2)
    ]
    monitor = pynn.Monitor()
    monitor.watch(trainers[0])
    monitor.watch(trainers[0])
    with pytest.raises(ValueError, match="another monitor watches this trainer"):
        pynn.Monitor().watch(trainers[0])
    with pytest.raises(ValueError, match="already watches another trainer"):
        monitor.watch(trainers[1])
    monitor.unwatch()
    pynn.Monitor().watch(trainers[0])


def test_a_second_monitor_in_one_fit_is_refused_and_leaves_no_trace(digits):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 16, 10), pynn.CrossEntropyLoss(), SGD())
    with pytest.raises(ValueError, match="another monitor"):
        trainer.fit(x, y, epochs=1, callbacks=[pynn.Monitor(), pynn.Monitor()])
    assert trainer.observer is None and trainer.steps == 0


def test_the_verdict_of_a_loop_by_hand_is_that_of_its_last_step(digits):
    (x, y), _ = digits
    trainer = pynn.Trainer(network(64, 16, 10), pynn.CrossEntropyLoss(), SGD(0.0))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    for _ in range(40):
        trainer.step(x[:32], y[:32])
    assert monitor.verdict[0].symptom == "lr_too_low"
    assert monitor.verdict[0].last_step == monitor.stats.steps[-1] == 40


def test_nothing_to_see_is_no_error():
    monitor = pynn.Monitor()
    assert monitor.findings == monitor.verdict == monitor.snapshots == []
    assert monitor.stats.steps.size == 0 and monitor.stats["loss"].size == 0
    with pytest.raises(KeyError, match=r"nothing is recorded under '7.ReLU'; expected one of loss, lr, accuracy"):
        monitor.stats["7.ReLU"]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tiny_batches_and_odd_networks_are_watched(rows):
    x, y = np.ones((rows, 3), np.float32), np.zeros(rows, int)
    for layers in (
        [pynn.Linear(3, 2)],
        [pynn.Dropout(0.5), pynn.Linear(3, 1), pynn.ReLU(), pynn.Linear(1, 2)],
        [pynn.ReLU()],
    ):
        trainer = pynn.Trainer(pynn.Sequential(*copy.deepcopy(layers)), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
        monitor = pynn.Monitor(on_problem="silent")
        monitor.watch(trainer)
        for _ in range(70):
            trainer.step(x, y)
        monitor.unwatch()
        assert monitor.stats.steps[-1] == 70


def test_snapshots_are_spread_over_the_run(digits):
    monitor = watched(digits, network(64, 64, 10), SGD(), epochs=60)
    steps = [snapshot.step for snapshot in monitor.snapshots]
    assert steps == sorted(set(steps)) and 8 <= len(steps) <= 64
    last = monitor.snapshots[-1]
    assert list(last.activations) == ["1.ReLU", "2.Linear"] == list(last.gradients)
    assert last.activations["1.ReLU"].counts.sum() > 0
    assert last.active["1.ReLU"].shape == (64,) and 0 < last.active["1.ReLU"].mean() < 1
    assert monitor.first_weights.shape == (64, 64) and monitor.input_shape == (64,)


def test_thresholds_are_documented():
    for name in vars(Thresholds()):
        assert name in Thresholds.__doc__
