"""Watching a run changes nothing, tells what NumPy computes, and takes no more room as it goes on."""

import tracemalloc

import numpy as np
import pytest

import pynn
from pynn.babysit.monitor.pace import Pace
from pynn.babysit.monitor.recorder import Recorder
from pynn.babysit.monitor.stats import MAX_BYTES, Stats


class Doubled(pynn.Layer):
    """A user's own layer."""

    def forward(self, x, ctx):
        return 2 * x

    def backward(self, dy, ctx):
        return 2 * dy


def data(rng, rows=96, features=20, classes=5):
    return rng.normal(size=(rows, features)).astype(np.float32), rng.integers(0, classes, rows)


def network(seed=0):
    pynn.manual_seed(seed)
    return pynn.Sequential(
        pynn.Linear(20, 24), pynn.BatchNorm1d(24), pynn.ReLU(), pynn.Dropout(0.2),
        pynn.Sequential(pynn.Linear(24, 16), pynn.Tanh(), Doubled()), pynn.Linear(16, 5),
    )  # fmt: skip


def plain_network(seed=0):
    pynn.manual_seed(seed)
    return pynn.Sequential(pynn.Linear(20, 24), pynn.ReLU(), pynn.Linear(24, 16), pynn.Tanh(), pynn.Linear(16, 5))


OPTIMIZERS = {
    "sgd": lambda: pynn.SGD(0.05, momentum=0.9, weight_decay=1e-3),
    "adam": lambda: pynn.Adam(0.01),
    "adamw": lambda: pynn.AdamW(0.01),
    "rmsprop": lambda: pynn.RMSprop(0.01),
    "adagrad": lambda: pynn.Adagrad(0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("make", [network, plain_network])
def test_watching_changes_no_bit(backend, rng, optimizer, make):
    x, y = data(rng)
    models = []
    for every in (None, 1, 3):
        trainer = pynn.Trainer(make(), pynn.CrossEntropyLoss(), OPTIMIZERS[optimizer](), clip_norm=5.0)
        monitors = [] if every is None else [pynn.Monitor(every, on_problem="silent")]
        trainer.fit(x, y, epochs=4, batch_size=36, callbacks=monitors)
        models.append(trainer.model.state_dict())
    for watched in models[1:]:
        for name, values in models[0].items():
            np.testing.assert_array_equal(watched[name], values, err_msg=name)


def test_figures_of_outputs_are_numpys(backend, rng):
    x, y = data(rng)
    model = plain_network()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    want = []
    for _ in range(8):
        hidden = np.maximum(x @ model[0].weight + model[0].bias, 0)
        squashed = np.tanh(hidden @ model[2].weight + model[2].bias)
        want.append((hidden, squashed))
        trainer.step(x, y)
    figures = monitor.stats["1.ReLU"]
    np.testing.assert_allclose(figures["mean"], [h.mean() for h, _ in want], rtol=1e-5)
    np.testing.assert_allclose(figures["std"], [h.std() for h, _ in want], rtol=1e-4)
    np.testing.assert_allclose(figures["zero_fraction"], [np.mean(h <= 0) for h, _ in want], atol=1e-3)
    saturated = monitor.stats["3.Tanh"]["saturated_fraction"]
    np.testing.assert_allclose(saturated, [np.mean(np.abs(t) > 0.98) for _, t in want], atol=1e-3)
    assert np.isnan(monitor.stats["3.Tanh"]["zero_fraction"]).all()


@pytest.mark.parametrize("clip_norm", [None, 0.01])
def test_figures_of_weights_are_numpys(backend, rng, clip_norm):
    x, y = data(rng)
    model = plain_network()
    trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1), clip_norm=clip_norm)
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    ratios, norms, gradients, losses = [], [], [], []
    for _ in range(4):
        before = np.array(model[2].weight)
        losses.append(trainer.step(x, y))
        update = before - model[2].weight
        ratios.append(np.linalg.norm(update) / np.linalg.norm(before))
        norms.append(np.linalg.norm(before))
        gradients.append(np.linalg.norm(model[2].weight.grad))
    figures = monitor.stats["2.Linear"]
    np.testing.assert_allclose(figures["update_ratio"], ratios, rtol=1e-3)
    np.testing.assert_allclose(figures["weight_norm"], norms, rtol=1e-5)
    np.testing.assert_allclose(figures["gradient_norm"], gradients, rtol=1e-5)
    np.testing.assert_allclose(monitor.stats["loss"], losses, rtol=1e-6)
    np.testing.assert_array_equal(monitor.stats.steps, [1, 2, 3, 4])


def test_accuracy_is_that_of_the_minibatch_for_every_kind_of_loss(rng):
    x, y = data(rng, classes=2)
    for loss, target, outputs in (
        (pynn.CrossEntropyLoss(), y, 2),
        (pynn.HingeLoss(), y, 2),
        (pynn.BCEWithLogitsLoss(), y[:, None].astype(np.float32), 1),
    ):
        model = pynn.Sequential(pynn.Linear(20, outputs))
        trainer = pynn.Trainer(model, loss, pynn.SGD(0.1))
        monitor = pynn.Monitor(on_problem="silent")
        monitor.watch(trainer)
        correct, counted = loss.count_correct(model(x), target)
        trainer.step(x, target)
        assert monitor.stats["accuracy"][0] == pytest.approx(correct / counted)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(20, 1)), pynn.MSELoss(), pynn.SGD(0.01))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    trainer.step(x, y[:, None].astype(np.float32))
    assert np.isnan(monitor.stats["accuracy"]).all()


def test_a_layer_of_the_users_own_is_watched(backend, rng):
    x, y = data(rng)
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    monitor = pynn.Monitor(on_problem="silent")
    trainer.fit(x, y, epochs=2, callbacks=[monitor])
    own, before = monitor.stats["4.2.Doubled"], monitor.stats["4.1.Tanh"]
    np.testing.assert_allclose(own["mean"], 2 * before["mean"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(2 * own["gradient_rms"], before["gradient_rms"], rtol=1e-4)


def test_an_optimizer_of_the_users_own_is_watched(rng):
    class Descent(pynn.Optimizer):
        def __init__(self, lr):
            super().__init__(lr, 0.0, True)

        def update(self, flat, bounds, rates, grad_scale):
            flat.values -= self.lr * flat.grads

    x, y = data(rng)
    ratios = []
    for optimizer in (Descent(0.1), pynn.SGD(0.1)):
        trainer = pynn.Trainer(plain_network(), pynn.CrossEntropyLoss(), optimizer)
        monitor = pynn.Monitor(on_problem="silent")
        trainer.fit(x, y, epochs=2, callbacks=[monitor])
        ratios.append(monitor.stats["0.Linear"]["update_ratio"])
    np.testing.assert_allclose(ratios[0], ratios[1], rtol=1e-3)


def test_layers_may_be_frozen_and_batches_change_in_between(backend, rng):
    x, y = data(rng)
    trainer = pynn.Trainer(plain_network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    for rows in (32, 32, 7, 32, 96):
        trainer.step(x[:rows], y[:rows])
    trainer.model[0].freeze()
    for rows in (32, 7, 32):
        trainer.step(x[:rows], y[:rows])
    assert monitor.stats["0.Linear"] == {}  # what is frozen has no updates to tell of
    assert np.isfinite(monitor.stats["2.Linear"]["update_ratio"]).all()
    trainer.model[0].freeze(False)
    trainer.step(x, y)
    monitor.unwatch()
    np.testing.assert_array_equal(monitor.stats.steps, np.arange(1, 10))
    frozen = np.isnan(monitor.stats["0.Linear"]["update_ratio"])
    np.testing.assert_array_equal(frozen, [True] * 8 + [False])  # released, it starts anew
    assert np.isfinite(monitor.stats["2.Linear"]["update_ratio"]).all()


def test_the_record_of_a_million_steps_is_small_and_in_order():
    pynn.manual_seed(0)
    trainer = pynn.Trainer(plain_network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    watch = Recorder(trainer, lambda *_: None)
    stats = Stats()
    stats.lay_out(watch)
    block = np.ones((50, watch.rows.shape[1]))
    for start in range(0, 1_000_000, 50):
        block[:, 0] = np.arange(start + 1, start + 51)
        block[:, 1] = block[:, 0]
        stats.append(block)
    assert stats.nbytes < 2 * MAX_BYTES
    assert 1000 <= len(stats.steps) <= 2100
    assert (np.diff(stats.steps) > 0).all()
    assert stats.steps[-1] == 1_000_000
    # A row is the mean of its group: half a group behind the last step.
    group = stats.steps[1] - stats.steps[0]
    np.testing.assert_allclose(stats["loss"][:-1], stats.steps[:-1] - (group - 1) / 2)


def test_watched_steps_leave_nothing_behind(rng):
    x, y = data(rng)
    trainer = pynn.Trainer(plain_network(), pynn.CrossEntropyLoss(), pynn.Adam(1e-3))
    monitor = pynn.Monitor(on_problem="silent")
    monitor.watch(trainer)
    for _ in range(600):
        trainer.step(x, y)
    tracemalloc.start()
    try:
        for _ in range(400):
            trainer.step(x, y)
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(400):
            trainer.step(x, y)
        grown = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
    assert grown < 10_000  # windows and snapshots, which are bounded in number


@pytest.mark.parametrize(
    ("watched", "budget", "want"), [(1.35, 0.1, 11), (1.005, 0.03, 1), (1.018, 0.03, 4), (31.0, 0.03, 3000)]
)
def test_a_budget_spaces_the_steps_that_are_watched(monkeypatch, watched, budget, want):
    now, steps = [0.0], 300_000
    monkeypatch.setattr("pynn.babysit.monitor.pace.time.perf_counter", lambda: now[0])
    pace = Pace(budget, 1)
    for step in range(steps):
        watch = pace.every == 1 or (step >= pace.next and pace.due(step))
        now[0] += watched if watch else 1.0
    assert pace.every == want
    assert now[0] <= (1 + budget) * steps


def test_a_budget_leaves_steps_and_looks_out_and_says_what_it_saw(rng):
    x, y = data(rng)
    plain, watched = (pynn.Trainer(plain_network(), pynn.CrossEntropyLoss(), pynn.SGD(0.1)) for _ in range(2))
    monitor = pynn.Monitor(budget=0.01, on_problem="silent")
    monitor.watch(watched)
    for _ in range(400):
        assert watched.step(x, y) == plain.step(x, y)
    monitor.unwatch()
    assert 16 <= len(monitor.stats.steps) < 400
    assert np.isin(monitor.stats.steps, np.arange(1, 401)).all()
    assert np.isfinite(monitor.stats["0.Linear"]["update_ratio"]).all()


def test_units_of_rows_are_the_last_dimension(backend, rng):
    """Behind a linear layer over (batch, rows, features), units are features, until a layer over channels follows."""
    x, y = rng.normal(size=(32, 7, 20)).astype(np.float32), rng.integers(3, size=32)
    model = pynn.Sequential(
        pynn.Linear(20, 4), pynn.ReLU(), pynn.Linear(4, 5), pynn.BatchNorm1d(7), pynn.ReLU(), pynn.Flatten(),
        pynn.Linear(35, 3),
    )  # fmt: skip
    model[0].weight[:, 1] = 0
    model[0].bias[1] = -1
    trainer, monitor = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.0)), pynn.Monitor(on_problem="silent")
    trainer.fit(x, y, epochs=3, batch_size=16, callbacks=[monitor])
    sums = {name: units.sums for name, units in monitor._units.items()}
    assert (sums["1.ReLU"][2] == 0).tolist() == [False, True, False, False]
    assert sums["4.ReLU"].shape == (4, 7)
    hidden = np.maximum(x @ model[0].weight[...] + model[0].bias[...], 0)
    assert monitor.stats["1.ReLU"]["mean"].mean() == pytest.approx(hidden.mean(), rel=1e-5)
    assert pynn.preflight(trainer, x, y)["dead units"].evidence.startswith("25% of 4 units")
