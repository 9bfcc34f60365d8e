"""Branches side by side: values, gradients, recorded steps, files, copies, traversal, widths, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

import pynn
from pynn.nn.traversal import parts


def network():
    pynn.manual_seed(3)
    branches = [
        pynn.Sequential(pynn.Conv2d(3, 4, 3, padding=1), pynn.BatchNorm2d(4), pynn.ReLU()),
        pynn.Conv2d(3, 2, 1),
        pynn.Identity(),
    ]
    return pynn.Sequential(
        pynn.Concat(*branches), pynn.Conv2d(9, 5, 3), pynn.ReLU(), pynn.Flatten(), pynn.Linear(5 * 16, 3)
    )


def images(count=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 3, 6, 6)), rng.integers(0, 3, count)


def test_outputs_stand_side_by_side(backend):
    model, (x, _) = network(), images()
    branches = [pynn.Sequential(copy.deepcopy(branch)) for branch in model[0].branches]
    want = np.concatenate([branch.predict(x) for branch in branches], axis=1)
    np.testing.assert_allclose(pynn.Sequential(copy.deepcopy(model[0])).predict(x), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_finite_differences(training, backend):
    x, y = images(4)
    checks = pynn.gradcheck(network(), pynn.CrossEntropyLoss(), x, y, training=training, max_coordinates=40)
    assert [check.name for check in checks if not check.ok(1e-5)] == []
    assert "x" in {check.name for check in checks}


def test_recorded_steps_are_those_taken_op_by_op(monkeypatch, backend):
    x, y = images()

    def losses():
        trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.SGD(0.05, momentum=0.9))
        return [trainer.step(x, y) for _ in range(8)]

    recorded = losses()
    assert recorded[-1] < recorded[0]
    monkeypatch.setattr("pynn.training.passes.recorder", lambda methods: None)
    assert losses() == recorded


def test_files_and_copies_give_the_same_bits(tmp_path):
    model, (x, _) = network(), images()
    model.save(tmp_path / "m")
    for twin in (pynn.load(tmp_path / "m"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(x), model.predict(x))
        assert all(branch.owner is twin[0] for branch in twin[0].branches)


def test_it_is_walked_branch_by_branch():
    walked = parts(network())
    assert [part.label for part in walked[:6]] == [
        *("0.0.0.Conv2d", "0.0.1.BatchNorm2d", "0.0.2.ReLU", "0.1.Conv2d", "0.2.Identity", "0.Concat")
    ]
    assert [part.branch for part in walked[:6]] == ["0.0", "0.0", "0.0", "0.1", "0.2", ""]


def test_a_monitor_and_a_summary_see_it():
    x, y = images()
    monitor = pynn.Monitor(on_problem="silent")
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), pynn.Adam(1e-3))
    trainer.fit(x, y, epochs=3, batch_size=10, callbacks=[monitor])
    assert np.isfinite(monitor.stats["0.Concat"]["mean"]).all()
    assert np.isfinite(monitor.stats["0.0.2.ReLU"]["zero_fraction"]).all()
    assert "(n, 9, 6, 6)" in trainer.model.summary((3, 6, 6))
    assert pynn.preflight(trainer, x, y) is not None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: pynn.Sequential(pynn.Linear(3, 4), pynn.Concat(pynn.Identity(), pynn.Linear(5, 2))),
            "1.1 .* expects 5",
        ),
        (
            lambda: pynn.Sequential(
                pynn.Concat(pynn.Linear(3, 4), pynn.Sequential(pynn.Linear(3, 2), pynn.ReLU())), pynn.Linear(7, 2)
            ),
            "expects 7 features, but layer 0 .Concat. returns 6",
        ),
        (lambda: pynn.Concat(), "no branches"),
    ],
)
def test_widths_that_do_not_fit_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_what_is_no_layer_or_belongs_elsewhere_is_refused():
    layer = pynn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"branch 1 is 3; expected a pynn\.Layer"):
        pynn.Concat(pynn.Identity(), 3)
    with pytest.raises(ValueError, match="occurs twice"):
        pynn.Concat(layer, layer)
    pynn.Sequential(layer)
    with pytest.raises(ValueError, match="already belongs to a model"):
        pynn.Concat(layer)


def test_outputs_that_differ_in_more_than_channels_are_refused():
    model = pynn.Sequential(pynn.Concat(pynn.Identity(), pynn.MaxPool2d(2)))
    with pytest.raises(ValueError, match=r"cannot join outputs of shapes \(1, 2, 4, 4\), \(1, 2, 2, 2\)"):
        model(np.zeros((1, 2, 4, 4)))
