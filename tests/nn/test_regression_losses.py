"""Losses for outliers, quantiles, counts and distributions: what they fit, refuse and save; metrics in their units."""

import math

import numpy as np
import pytest
from scipy import optimize

import pynn

X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
Y = X @ [1.0, -2.0, 0.5, 0.0] + np.random.default_rng(1).normal(size=300)
COUNTS = np.random.default_rng(2).poisson(np.exp(0.5 * X[:, 0] + 1)).astype(float)
LOSSES = [
    pynn.L1Loss(),
    pynn.SmoothL1Loss(beta=0.5),
    pynn.SmoothL1Loss(beta=0),
    pynn.HuberLoss(delta=0.5),
    pynn.QuantileLoss(0.8),
    pynn.PoissonNLLLoss(),
    pynn.PoissonNLLLoss(log_input=False),
    pynn.KLDivLoss("batchmean"),
]


def trainer(loss, outputs=1, seed=0, lr=0.01):
    pynn.manual_seed(seed)
    model = pynn.Sequential(pynn.Linear(4, 16), pynn.ReLU(), pynn.Linear(16, outputs))
    return pynn.Trainer(model, loss, pynn.Adam(lr))


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_best_constant_has_the_least_loss(loss):
    target = np.abs(Y)[:, None]
    constant = loss.best_constant(target)

    def at(value):
        return loss(np.full((300, 1), value), target)[0]

    found = optimize.minimize_scalar(at, bounds=(-3, 6), method="bounded")
    if isinstance(loss, pynn.KLDivLoss):  # linear in the prediction: only distributions have a least
        assert math.isclose(constant[0], np.log(target.mean()))
    else:
        assert at(constant[0]) <= found.fun + 1e-4 * abs(found.fun)


def test_several_quantiles_of_one_target_are_learnt_in_its_units():
    for target in (Y, Y[:, None]):
        run = trainer(pynn.QuantileLoss([0.1, 0.5, 0.9]), 3)
        run.model.target_preprocessing = pynn.preprocessing.Standardize()
        run.fit(X, 10 * target, epochs=60, validation=(X, 10 * target))
        below = (10 * Y[:, None] <= run.model.predict(X)).mean(axis=0)
        np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.08)
        assert run.evaluate(X, 10 * target, metrics=["mae"])["mae"] < 15


def test_quantiles_must_be_as_many_as_outputs():
    with pytest.raises(ValueError, match="quantile has 2 numbers; expected 3, one per output"):
        trainer(pynn.QuantileLoss([0.1, 0.9]), 3).fit(X, Y, epochs=1)


def test_a_setting_that_is_assigned_counts_from_the_next_step():
    run, loss = trainer(pynn.HuberLoss()), pynn.HuberLoss()
    for delta in (1.0, 1.0, 1.0, 0.1, 0.1):  # later steps of a kind repeat recorded calls
        run.loss.delta = loss.delta = delta
        prediction = run.model.predict(X)
        np.testing.assert_allclose(run.step(X, Y), loss(prediction, Y)[0], rtol=1e-5)


def test_outliers_matter_less():
    spoilt = Y.copy()
    spoilt[::10] += 200
    errors = {}
    for loss in (pynn.MSELoss(), pynn.L1Loss(), pynn.HuberLoss()):
        run = trainer(loss)
        run.fit(X, spoilt, epochs=40)
        errors[type(loss).__name__] = np.abs(run.model.predict(X)[:, 0] - Y).mean()
    assert max(errors["L1Loss"], errors["HuberLoss"]) < 0.2 * errors["MSELoss"]


def test_counts_are_predicted_as_logarithms_and_measured_as_counts():
    run = trainer(pynn.PoissonNLLLoss())
    run.fit(X, COUNTS, epochs=60)
    metrics = pytest.importorskip("sklearn.metrics")
    want = metrics.mean_absolute_error(COUNTS, np.exp(run.model.predict(X)[:, 0]))
    assert math.isclose(run.evaluate(X, COUNTS, metrics=["mae"])["mae"], want, rel_tol=1e-5)
    assert np.corrcoef(np.exp(run.model.predict(X)[:, 0]), np.exp(0.5 * X[:, 0]))[0, 1] > 0.9
    with pytest.raises(ValueError, match=r"target -1\.0 in row 3 is not at least 0, as PoissonNLLLoss expects"):
        run.fit(X, np.where(np.arange(300) == 3, -1, COUNTS), epochs=1)


def test_an_overflow_of_counts_is_an_error_not_a_nan():
    run = trainer(pynn.PoissonNLLLoss(), lr=1000)
    with pytest.raises(pynn.NonFiniteError):
        run.fit(X, COUNTS, epochs=20)


@pytest.mark.parametrize("loss", [pynn.FocalLoss(), pynn.FocalLoss(0.5, 0.25), pynn.NLLLoss([1, 2.0])], ids=repr)
def test_focal_loss_and_likelihood_of_two_classes(loss):
    labels = (Y > 0).astype(int)
    run = trainer(loss, 2)
    if isinstance(loss, pynn.FocalLoss):
        history = run.fit(X, labels, epochs=30)
        assert history["accuracy"][-1] > 0.8
    else:
        logs = np.log([[0.25, 0.75]] * 2)
        np.testing.assert_allclose(loss(logs, [0, 1])[0], -(np.log(0.25) + 2 * np.log(0.75)) / 3)


@pytest.mark.parametrize(
    "loss", [*LOSSES, pynn.QuantileLoss([0.2, 0.4]), pynn.FocalLoss(1, [1, 2]), pynn.NLLLoss()], ids=repr
)
def test_a_checkpoint_holds_the_loss(loss, tmp_path):
    trainer(loss, 2).save(tmp_path / "run")
    assert repr(pynn.Trainer.resume(tmp_path / "run").loss) == repr(loss)


@pytest.mark.parametrize(
    ("loss", "target", "outputs"),
    [
        (pynn.L1Loss(), Y, 1),
        (pynn.HuberLoss(), Y, 1),
        (pynn.QuantileLoss([0.1, 0.5, 0.9]), Y, 3),
        (pynn.PoissonNLLLoss(), COUNTS, 1),
        (pynn.FocalLoss(), (Y > 0).astype(int), 2),
    ],
    ids=lambda value: repr(value) if isinstance(value, pynn.Loss) else "",
)
def test_healthy_runs_pass_the_checks_and_the_monitor(loss, target, outputs):
    run = trainer(loss, outputs)
    checks = pynn.preflight(run, X, target)
    assert [check.name for check in checks if check.status in ("warn", "fail")] == []
    monitor = pynn.Monitor(on_problem="silent")
    run.fit(X[:200], target[:200], epochs=30, validation=(X[200:], target[200:]), callbacks=[monitor])
    assert [finding for finding in monitor.verdict if finding.severity != "info"] == []


def test_the_initial_losses_that_the_checks_name():
    said = {
        pynn.L1Loss(): (Y, "(the mean absolute target)"),
        pynn.PoissonNLLLoss(): (COUNTS, "(exp(0) = 1)"),
    }
    for loss, (target, words) in said.items():
        check = next(check for check in pynn.preflight(trainer(loss), X, target) if check.name == "initial loss")
        assert words in check.evidence
