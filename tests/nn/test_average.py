"""The average of networks: its values, gradients, files, copies, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest

import pynn


def branches():
    pynn.manual_seed(4)
    return [pynn.Linear(5, 3), pynn.Sequential(pynn.Linear(5, 4), pynn.BatchNorm1d(4), pynn.Tanh(), pynn.Linear(4, 3))]


@pytest.mark.parametrize(("weights", "shares"), [(None, (0.5, 0.5)), ([1, 3], (0.25, 0.75)), ((2.0, 0), (1.0, 0.0))])
def test_it_is_the_weighted_mean_of_its_branches(weights, shares, backend, rng):
    x = rng.normal(size=(9, 5)).astype(np.float32)
    expected = sum(
        share * pynn.Sequential(branch).predict(x).astype(np.float64)
        for share, branch in zip(shares, branches(), strict=True)
    )
    y = pynn.Sequential(pynn.Average(*branches(), weights=weights)).predict(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def test_it_trains_as_the_same_sum_written_out(backend, rng):
    """0.5 a + 0.5 b is one linear layer with half the sum of their weights, whose gradients are halves."""
    x, y = rng.normal(size=(20, 5)), rng.normal(size=(20, 3))
    a, b = pynn.Linear(5, 3, init="he_normal"), pynn.Linear(5, 3, init="he_normal")
    single = pynn.Linear(5, 3)
    single.weight[...] = (a.weight[...] + b.weight[...]) / 2
    single.bias[...] = 0
    trainers = [
        pynn.Trainer(pynn.Sequential(layer), pynn.MSELoss(), pynn.SGD(0.1)) for layer in (pynn.Average(a, b), single)
    ]
    trainers[1].optimizer.lr = 0.05  # each branch moves by half the gradient, and their mean too
    for _ in range(5):
        losses = [trainer.step(x, y) for trainer in trainers]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_files_and_copies_give_the_same_bits(tmp_path, rng):
    model = pynn.Sequential(pynn.Average(*branches(), weights=[7, 3]))
    x = rng.normal(size=(6, 5))
    model.save(tmp_path / "m")
    for twin in (pynn.load(tmp_path / "m"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(x), model.predict(x))
        assert twin[0].weights == (7.0, 3.0)
        assert all(branch.owner is twin[0] for branch in twin[0].branches)


def test_a_monitor_sees_its_branches(rng):
    model = pynn.Sequential(pynn.Linear(4, 5), pynn.Average(*branches()), pynn.Tanh())
    monitor = pynn.Monitor(on_problem="silent")
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.Adam(1e-2))
    trainer.fit(rng.normal(size=(40, 4)), rng.uniform(-0.5, 0.5, size=(40, 3)), epochs=3, callbacks=[monitor])
    assert np.isfinite(monitor.stats["1.Average"]["mean"]).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: pynn.Average(), ValueError, "expected at least one layer"),
        (lambda: pynn.Average(pynn.ReLU), TypeError, "branch 0 is .*; expected a pynn.Layer"),
        (lambda: pynn.Average(*branches(), weights=[1]), ValueError, "expected 2 numbers of at least 0, not all 0"),
        (lambda: pynn.Average(*branches(), weights=[0, 0]), ValueError, "not all 0"),
        (lambda: pynn.Average(*branches(), weights=[1, -1]), ValueError, "weights is -1; expected a number of"),
        (lambda: pynn.Average(*[pynn.ReLU()] * 2), ValueError, "occurs twice"),
        (lambda: pynn.Average(pynn.Sequential(pynn.ReLU())[0]), ValueError, "already belongs to a model"),
    ],
)  # fmt: skip
def test_what_it_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_outputs_of_different_shapes():
    model = pynn.Sequential(pynn.Average(pynn.Linear(2, 3), pynn.Linear(2, 1)))
    with pytest.raises(ValueError, match=r"outputs of shapes \(4, 3\) and \(4, 1\)"):
        model(np.ones((4, 2)))
