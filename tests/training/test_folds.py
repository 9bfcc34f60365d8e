"""Cross-fitting: honest predictions, the blend and the average of networks, interruptions, repeatability."""

import os
import signal

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import pynn
from pynn.training.folds import CrossFit, average, blend, cross_fit, fold_rows


class Seen(pynn.Callback):
    """Notes the rows that a network trains on and is validated with."""

    def __init__(self, parts):
        self.parts = parts

    def on_train_begin(self, trainer):
        rows = [np.asarray(part.x[:])[:, 0] for part in (trainer.examples, trainer.held_out)]
        self.parts.append([set(values.astype(int).tolist()) for values in rows])


def classifier(fold, hidden=8):
    pynn.manual_seed(fold)
    model = pynn.Sequential(pynn.Linear(2, hidden), pynn.ReLU(), pynn.Linear(hidden, 3))
    return pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam(0.02))


def test_every_example_validates_once_and_trains_the_others():
    x = np.column_stack([np.arange(60), np.zeros(60)]).astype(np.float32)
    y = np.arange(60) % 3
    y[:6] = 2  # 18 of class 0, 18 of class 1, 24 of class 2
    parts = []
    cross_fit(classifier, x, y, epochs=1, folds=6, callbacks=lambda fold: [Seen(parts)])
    for trained, held_out in parts:
        assert trained | held_out == set(range(60)) and not trained & held_out
        assert np.bincount(y[sorted(held_out)]).tolist() == [3, 3, 4]
    assert sorted(row for _, held_out in parts for row in held_out) == list(range(60))


def test_predictions_are_of_networks_that_did_not_see_the_example(rng):
    """A network that can learn noise by heart predicts none of it."""
    x, y = rng.normal(size=(80, 2)), rng.integers(0, 3, 80)
    fitted = cross_fit(lambda fold: classifier(fold, 200), x, y, epochs=150, patience=150)
    assert (average([fitted]).predict(x).argmax(axis=1) == y).mean() > (fitted.predictions.argmax(axis=1) == y).mean()
    assert (fitted.predictions.argmax(axis=1) == y).mean() < 0.55
    assert [len(history) for history in fitted.histories] == [150] * 5


def test_the_best_epoch_is_kept(rng):
    x, y = pynn.datasets.blobs(n=150, classes=3, seed=1)
    fitted = cross_fit(classifier, x, y, epochs=60, patience=5)
    loss = pynn.CrossEntropyLoss()
    best = [min(history["val_loss"]) for history in fitted.histories]
    # Folds of equal size: the mean of their losses is that of all examples.
    assert loss(fitted.predictions, y)[0] == pytest.approx(np.mean(best), rel=1e-5)


def test_honest_predictions_are_of_the_epoch_that_the_other_folds_choose():
    """The targets are noise: each fold's best epoch by its own loss beats a constant, and honestly none does."""
    generator = np.random.default_rng(0)
    own, honest = [], []
    for seed in range(6):
        x, y = generator.normal(size=(60, 2)), generator.integers(0, 3, 60)
        fitted = cross_fit(lambda fold: classifier(fold, 30), x, y, epochs=25, folds=3, seed=seed)
        losses = [pynn.CrossEntropyLoss()(predicted, y)[0] for predicted in (fitted.predictions, fitted.honest)]
        own.append(losses[0])
        honest.append(losses[1])
        for fold, history in enumerate(fitted.histories):
            others = [h["val_loss"] for at, h in enumerate(fitted.histories) if at != fold]
            columns = [column + [column[-1]] * (25 - len(column)) for column in others]
            epoch = min(int(np.argmin(np.mean(columns, axis=0))), len(history) - 1)
            rows = np.isin(np.arange(60), fold_rows(y, 3, seed)[fold])
            assert pynn.CrossEntropyLoss()(fitted.honest[rows], y[rows])[0] == pytest.approx(history["val_loss"][epoch])
    assert np.mean(own) < np.mean(honest)
    assert np.mean(honest) > np.log(3) - 0.01


def test_the_average_is_the_mean_of_all_members(rng):
    x, y = pynn.datasets.blobs(n=90, classes=3, seed=0)
    fits = [cross_fit(classifier, x, y, epochs=3, folds=3, seed=seed) for seed in (0, 1)]
    outputs = [[member.predict(x).astype(np.float64) for member in fit.members] for fit in fits]
    model = average(fits, [1, 3])
    np.testing.assert_allclose(model.predict(x), np.mean(outputs[0], 0) / 4 + np.mean(outputs[1], 0) * 3 / 4, rtol=1e-5)
    assert model.output_kind == "classes"


def test_a_kind_that_counts_nothing_is_left_out():
    x, y = pynn.datasets.blobs(n=90, classes=3, seed=0)
    fits = [cross_fit(classifier, x, y, epochs=2, folds=3, seed=seed) for seed in (0, 1)]
    assert len(average(fits, [0, 4])[0].branches) == 3


def test_regression_averages_raw_targets(rng):
    x = rng.normal(size=(120, 2))
    y = (1e6 + 1e3 * x[:, :1]).astype(np.float64)
    shared = pynn.preprocessing.Standardize().fit(x), pynn.preprocessing.Standardize().fit(y)

    def make_trainer(fold):
        pynn.manual_seed(fold)
        model = pynn.Sequential(pynn.Linear(2, 1))
        model.preprocessing, model.target_preprocessing = shared
        return pynn.Trainer(model, pynn.MSELoss(), pynn.Adam(0.05))

    fitted = cross_fit(make_trainer, x, y, epochs=100)
    for predicted in (fitted.predictions, average([fitted]).predict(x)):
        np.testing.assert_allclose(predicted, y, atol=20)


@pytest.mark.parametrize("name", ["preprocessing", "target_preprocessing"])
def test_networks_that_preprocess_differently_have_no_average(name, rng):
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 1))

    def make_trainer(fold):
        model = pynn.Sequential(pynn.Linear(2, 1))
        setattr(model, name, pynn.preprocessing.Standardize())  # fitted to the other folds
        return pynn.Trainer(model, pynn.MSELoss(), pynn.Adam(0.05))

    fitted = cross_fit(make_trainer, x, y, epochs=1)
    with pytest.raises(ValueError, match=f"differ in their {name}.*; fit it to all examples first"):
        average([fitted])


def test_the_blend_finds_the_best_weights(rng):
    y = rng.normal(size=(400, 1))
    first, second = (y + scale * rng.normal(size=y.shape) for scale in (1.0, 0.7))
    counts = blend([CrossFit([], p, p, [], False) for p in (first, second)], y, pynn.MSELoss(), rounds=60)
    best = minimize_scalar(
        lambda w: np.mean((w * first + (1 - w) * second - y) ** 2), bounds=(0, 1), method="bounded"
    ).x
    assert counts[0] / sum(counts) == pytest.approx(best, abs=0.03)


def test_the_blend_leaves_out_what_is_far_worse(rng):
    y = rng.normal(size=(100, 1))
    fits = [CrossFit([], y + error, y, [], False) for error in (0.1, 100.0, 0.2)]
    assert blend(fits, y, pynn.MSELoss())[1] == 0


def test_the_same_seed_gives_the_same_networks():
    x, y = pynn.datasets.blobs(n=60, classes=3, seed=0)
    runs = [cross_fit(classifier, x, y, epochs=3, seed=seed).predictions for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


class Interrupt(pynn.Callback):
    def on_epoch_end(self, trainer):
        if trainer.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("fold", "members"), [(0, 1), (2, 2)])
def test_ctrl_c_leaves_the_finished_members(fold, members):
    x, y = pynn.datasets.blobs(n=100, classes=3, seed=0)
    fitted = cross_fit(classifier, x, y, epochs=5, callbacks=lambda at: [Interrupt()] if at == fold else [])
    assert fitted.interrupted and len(fitted.members) == members
    known = np.isfinite(fitted.predictions).all(axis=1)
    assert known.sum() == 20 * members
    assert sum(blend([fitted], y, pynn.CrossEntropyLoss())) > 0
    assert average([fitted]).predict(x).shape == (100, 3)


@pytest.mark.parametrize("folds", [1, 11])
def test_as_many_folds_as_examples_at_most(folds):
    with pytest.raises(ValueError, match="folds"):
        cross_fit(classifier, np.zeros((10, 2)), np.arange(10) % 3, epochs=1, folds=folds)
