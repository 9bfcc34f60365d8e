"""Cross-fitting of small tables: as good as linear models where these are right, better where they are not."""

import os
import signal

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine, make_friedman1
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pynn
from pynn.tabular.fitting import SmallTable
from pynn.tabular.networks import bending_places, network
from pynn.tabular.recipe import KINDS, Recipe

FEW = {"epochs": 3}


def test_diabetes_is_learnt_as_well_as_by_ridge():
    x, x_test, y, y_test = train_test_split(*load_diabetes(return_X_y=True, scaled=False), random_state=0)
    fitted = SmallTable(x, y, None, {}).cross_fit()
    ridge = make_pipeline(StandardScaler(), Ridge()).fit(x, y)
    score = r2_score(y_test, fitted.model.predict(x_test)[:, 0])
    assert score > ridge.score(x_test, y_test) - 0.02
    honest = r2_score(y, cross_val_predict(ridge, x, y, cv=5))
    assert abs(r2_score(y, fitted.predictions[:, 0]) - honest) < 0.05
    assert fitted.verdict == []


def test_bends_are_learnt():
    x, y = make_friedman1(400, noise=0.5, random_state=0)
    x_test, y_test = make_friedman1(1000, noise=0.5, random_state=1)
    score = r2_score(y_test, SmallTable(x, y, None, {}).cross_fit().model.predict(x_test)[:, 0])
    assert score > Ridge().fit(x, y).score(x_test, y_test) + 0.12


def test_classes_are_learnt_as_well_as_by_logistic_regression():
    x, x_test, y, y_test = train_test_split(*load_wine(return_X_y=True), random_state=0, stratify=None)
    model = SmallTable(x, y, 3, {}).cross_fit().model
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    assert (model.predict_label(x_test) == y_test).mean() >= logistic.score(x_test, y_test) - 0.03


def test_the_model_is_one_file(tmp_path, rng):
    x, y = rng.normal(size=(60, 3)), 1.7e9 + 900 * rng.normal(size=60)
    model = SmallTable(x, y, None, FEW).cross_fit().model
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(pynn.load(tmp_path / "m").predict(x), model.predict(x))
    assert abs(model.predict(x) - 1.7e9).max() < 1e4


def test_the_same_seed_gives_the_same_model(rng):
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    runs = [SmallTable(x, y, 2, FEW, seed=seed).cross_fit().model.predict(x) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_options_make_the_network_that_they_describe(rng):
    x, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    fitted = SmallTable(x, y, 2, FEW | {"hidden": (7,), "batchnorm": True, "optimizer": "sgd"}, folds=2).cross_fit()
    assert len(fitted.model[0].branches) == 2
    kinds = [type(layer).__name__ for layer in fitted.model[0].branches[0]]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]
    assert all(branch[0].out_features == 7 for branch in fitted.model[0].branches)


def test_a_weighted_class_is_found_more_often(rng):
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] + rng.normal(size=200) > 1.5).astype(int)
    found = [
        SmallTable(x, y, 2, {}, class_weight=w).cross_fit().model.predict_label(x).sum() for w in (None, [1.0, 10.0])
    ]
    assert found[1] > 2 * found[0]


@pytest.mark.parametrize(("at", "kinds"), [(0, 1), (7, 1), (12, 2)])
def test_ctrl_c_leaves_a_usable_model(at, kinds, rng):
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 2

    def progress(begun, of):
        assert of == 5 * len(KINDS)
        if begun == at:
            os.kill(os.getpid(), signal.SIGINT)

    fitted = SmallTable(x, y, 2, FEW).cross_fit(progress)
    assert fitted.interrupted and len(fitted.kinds) == kinds
    assert fitted.model.predict_label(x).shape == (60,)


def test_one_network_is_watched_the_first_of_the_kind_that_counts_most(rng, monkeypatch):
    x, begun = rng.normal(size=(60, 3)), []
    monkeypatch.setattr(pynn.Monitor, "on_train_begin", lambda self, trainer: (begun.append(self), self.watch(trainer)))
    fitted = SmallTable(x, np.sin(x[:, 0]), None, FEW).cross_fit()
    assert begun == [fitted.monitor]
    _, fit, _ = max(fitted.kinds, key=lambda kind: kind[2])
    for column in ("loss", "val_loss"):
        assert fitted.monitor.history[column] == fit.histories[0][column]


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_monitor_has_seen_what_was_trained_before_ctrl_c(epochs, rng, monkeypatch):
    table, trained = SmallTable(rng.normal(size=(60, 3)), np.arange(60) % 2, 2, {"epochs": 9}), []

    def interrupt(self, trainer):
        trained.append(trainer)
        if len(trained) == epochs:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(pynn.EarlyStopping, "on_epoch_end", interrupt)
    fitted = table.cross_fit()
    assert fitted.interrupted
    assert len(fitted.monitor.history) == epochs
    assert fitted.monitor.stats.steps[-1] == epochs * trained[0].batches_per_epoch


@pytest.mark.parametrize("fails", [(0, 0), (0, 3), (1, 2)])
def test_the_network_that_failed_is_watched_again(fails, rng, monkeypatch):
    table = SmallTable(rng.normal(size=(60, 3)), np.arange(60) % 2, 2, {"epochs": 3})
    make, made = SmallTable._trainer, []

    def trainer(self, index, fold):
        trainer = make(self, index, fold)
        if (index, fold) == fails:
            made.append(trainer)
            trainer.optimizer.lr = 1e30
        return trainer

    monkeypatch.setattr(SmallTable, "_trainer", trainer)
    with np.errstate(all="ignore"), pytest.raises(pynn.NonFiniteError):
        table.cross_fit()
    with np.errstate(all="ignore"):
        monitor = table.watch_failure()
    assert "non_finite" in [finding.symptom for finding in monitor.verdict]
    np.testing.assert_array_equal(*(trainer.model.flat.values for trainer in made))


def test_the_additive_network_bends_at_quantiles(rng):
    inputs = np.column_stack([rng.normal(size=99), np.arange(99) % 2]).astype(np.float32)
    kind = next(kind for kind in KINDS if kind.name == "additive")
    model = network(kind, 2, 1, bending_places(inputs, kind.knots))
    first = model[0].inner[0]
    x = np.array([[0.5, 1.0]], np.float32)
    expected = 0.5 - np.quantile(inputs[:, 0], np.arange(1, 9) / 9)  # none for the second input, an indicator
    y = x @ first.weight[...] + first.bias[...]
    np.testing.assert_allclose(y[0], expected, rtol=1e-5, atol=1e-6)


def test_many_columns_get_few_bends(rng):
    for columns, units in ((100, 400), (500, None)):
        places = bending_places(rng.normal(size=(50, columns)), 8)
        model = network(Recipe("additive", knots=8, skip=True), columns, 1, places)
        widths = [layer.out_features for layer in model.all_layers() if isinstance(layer, pynn.Linear)]
        assert max(widths) == (units or 1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_networks_start_without_an_opinion(kind, rng):
    inputs = rng.normal(size=(30, 4)).astype(np.float32)
    assert not network(kind, 4, 3, bending_places(inputs, kind.knots)).predict(inputs).any()


def test_findings_name_the_class():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, 3)), (np.arange(1000) % 20 == 0).astype(int)
    fitted = SmallTable(x, y, 2, {"epochs": 20, "hidden": (4,)}, folds=2, class_names=["no", "yes"]).cross_fit()
    (found,) = [finding for finding in fitted.verdict if finding.symptom == "class_imbalance"]
    assert found.evidence.startswith("class 'yes' has 25 of 500 training examples")
    assert fitted.model.class_names == ["no", "yes"]
