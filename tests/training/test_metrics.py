"""Metrics are of the network's predictions in the target's form; scikit-learn's scorers are found by name."""

import sys

import numpy as np
import pytest
from sklearn import metrics

import pynn
from pynn.training.metrics import OF_AMOUNTS, OF_CLASSES


def trained(rng, classes, **options):
    x = rng.normal(size=(200, 4))
    y = np.digitize(x[:, 0] + 0.5 * rng.normal(size=200), [-0.3, 0.6][: classes - 1])
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, classes)), pynn.CrossEntropyLoss(**options), pynn.Adam(0.05))
    trainer.fit(x, y, epochs=3)
    return trainer, x, y


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_classes_are_those_of_scikit_learn(rng, classes, weighted):
    trainer, x, y = trained(rng, classes)
    weights = rng.uniform(0.5, 2, 200).astype(np.float32) if weighted else None
    found = trainer.evaluate(x, y, metrics=OF_CLASSES, sample_weight=weights)
    proba, label = trainer.model.predict_proba(x).astype(np.float64), trainer.model.predict_label(x)
    mean = {"average": "macro", "sample_weight": weights}
    expected = {
        "balanced_accuracy": metrics.balanced_accuracy_score(y, label, sample_weight=weights),
        "precision": metrics.precision_score(y, label, **mean),
        "recall": metrics.recall_score(y, label, **mean),
        "f1": metrics.f1_score(y, label, **mean),
        "log_loss": metrics.log_loss(y, proba / proba.sum(axis=1, keepdims=True), sample_weight=weights),
    }
    if not weighted:
        expected["roc_auc"] = metrics.roc_auc_score(y, proba[:, 1] if classes == 2 else proba, multi_class="ovr")
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_of_amounts_in_the_units_of_the_target(rng):
    x = rng.normal(size=(100, 3))
    y = 1e6 + 1000 * x[:, 0] + 300 * rng.normal(size=100)
    model = pynn.Sequential(pynn.Linear(3, 1))
    model.target_preprocessing = pynn.preprocessing.Standardize()
    trainer = pynn.Trainer(model, pynn.MSELoss(), pynn.Adam(0.05))
    trainer.fit(x, y, epochs=5)
    found = trainer.evaluate(x, y, metrics=OF_AMOUNTS)
    values = model.predict(x)[:, 0]
    assert found["r2"] == pytest.approx(metrics.r2_score(y, values), rel=1e-5)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, values), rel=1e-5)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, values), rel=1e-5)


def test_binary_outputs_and_scores(rng):
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] > 0).astype(np.float32)
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 1)), pynn.BCEWithLogitsLoss(), pynn.Adam(0.05))
    trainer.fit(x, y[:, None], epochs=5)
    found = trainer.evaluate(x, y[:, None], metrics=["roc_auc", "f1"])
    proba = trainer.model.predict_proba(x)[:, 0]
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(y, proba))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, proba > 0.5, average="macro"))
    hinge = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 2)), pynn.HingeLoss(), pynn.Adam(0.05))
    hinge.fit(x, y.astype(int), epochs=5)
    label = hinge.model.predict_label(x)
    assert hinge.evaluate(x, y.astype(int), metrics=["recall"])["recall"] == metrics.recall_score(
        y, label, average="macro"
    )
    with pytest.raises(ValueError, match="log_loss needs probabilities"):
        hinge.evaluate(x, y.astype(int), metrics=["log_loss"])


def test_ignored_labels_and_missing_classes(rng):
    trainer, x, y = trained(rng, 3)
    hidden = np.where(np.arange(200) % 4, y, -100)
    kept = hidden >= 0
    assert trainer.evaluate(x, hidden, metrics=["f1"])["f1"] == trainer.evaluate(x[kept], y[kept], metrics=["f1"])["f1"]
    assert np.isnan(trainer.evaluate(x[y < 2], y[y < 2], metrics=["roc_auc"])["roc_auc"])


def test_history_and_callbacks_know_them(rng):
    trainer, x, y = trained(rng, 3)

    def worst(targets, probabilities):
        return float(probabilities[np.arange(len(targets)), targets].min())

    stopping = pynn.EarlyStopping(monitor="val_f1", patience=50, restore_best_weights=False)
    history = trainer.fit(x, y, epochs=2, validation=(x, y), metrics=["f1", worst], callbacks=[stopping])
    assert history["val_f1"][-1] == trainer.evaluate(x, y, metrics=["f1"])["f1"]
    assert history["val_worst"][-1] == trainer.evaluate(x, y, metrics=[worst])["worst"]
    assert "val_f1" not in trainer.columns


def test_mistakes_are_told_before_the_training(rng):
    trainer, x, y = trained(rng, 3)
    weights = np.array(trainer.model.parameters()[0])
    for options, message in [
        ({"metrics": ["r2"]}, "no metric 'r2' of a classification; expected a function, one of balanced_accuracy"),
        ({"metrics": ["f1"], "validation": None}, "there are none: pass validation"),
    ]:
        with pytest.raises(ValueError, match=message):
            trainer.fit(x, y, epochs=1, **{"validation": (x, y)} | options)
    with pytest.raises(TypeError, match=r"expected a list: \['f1'\]"):
        trainer.evaluate(x, y, metrics="f1")
    np.testing.assert_array_equal(trainer.model.parameters()[0], weights)


def test_without_scikit_learn_scorers_of_its_own_say_what_to_install(rng, monkeypatch):
    trainer, x, y = trained(rng, 2)
    with_it = trainer.evaluate(x, y, metrics=OF_CLASSES)
    for module in ("sklearn", "sklearn.metrics"):
        monkeypatch.setitem(sys.modules, module, None)
    assert trainer.evaluate(x, y, metrics=OF_CLASSES) == with_it
    with pytest.raises(ValueError, match=r"'f1_micro' of a classification; .*not installed: .*pynn-kernels\[metrics\]"):
        trainer.evaluate(x, y, metrics=["f1_micro"])


@pytest.mark.parametrize("name", ["matthews_corrcoef", "f1_weighted", "neg_log_loss", "roc_auc_ovr", "top_k_accuracy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_scorers_of_classes_by_name(name, weighted, rng):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import get_scorer

    x, y = pynn.datasets.blobs(n=90, classes=3, seed=0)
    model = LogisticRegression(C=0.01).fit(x, y)
    network = pynn.Sequential(pynn.Linear(2, 3, dtype="float64"))
    network[0].weight[...], network[0].bias[...] = model.coef_.T, model.intercept_
    weights = rng.uniform(0.5, 2, len(y)) if weighted else None
    trainer = pynn.Trainer(network, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    found = trainer.evaluate(x, y, sample_weight=weights, metrics=[name])[name]
    assert found == pytest.approx(get_scorer(name)(model, x, y, sample_weight=weights), rel=1e-6)


def test_scorers_of_amounts_by_name_and_early_stopping_by_them(rng):
    from sklearn.metrics import max_error

    x = rng.normal(size=(40, 2))
    y = x[:, :1] + 3
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 1)), pynn.MSELoss(), pynn.SGD(0.1))
    history = trainer.fit(
        x, y, epochs=8, validation=(x, y), metrics=["neg_max_error"],
        callbacks=[pynn.EarlyStopping(monitor="val_neg_max_error", patience=2)],
    )  # fmt: skip
    assert len(history) == 8  # it rises in every epoch: larger is better
    assert history["val_neg_max_error"][-1] == pytest.approx(-max_error(y, trainer.model.predict(x)), rel=1e-5)


def test_scorers_that_do_not_suit_are_refused_before_training():
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 1)), pynn.MSELoss(), pynn.SGD(0.1))
    with pytest.raises(ValueError, match="the scorer 'f1_micro' of scikit-learn does not suit a regression"):
        trainer.fit(
            np.zeros((4, 2)), np.zeros((4, 1)), epochs=1, validation=(np.zeros((1, 2)), [[0]]), metrics=["f1_micro"]
        )
    assert trainer.steps == 0


@pytest.mark.parametrize(
    "make", [lambda: pynn.HingeLoss(), lambda: pynn.BCEWithLogitsLoss()], ids=["no probabilities", "two labels"]
)
def test_metrics_that_the_outputs_do_not_have_are_refused_before_training(rng, make):
    x, labels = rng.normal(size=(20, 4)), np.arange(20) % 2
    loss = make()
    y = labels if loss.output_kind == "scores" else np.column_stack([labels, labels])
    trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(4, 2)), loss, pynn.SGD(0.1))
    for metric in ("roc_auc", "log_loss", "roc_auc_ovr", "neg_log_loss"):
        with pytest.raises(ValueError, match=r"needs probabilities|the network has 2 binary outputs"):
            trainer.fit(x, y, epochs=1, validation=(x, y), metrics=[metric])
    assert trainer.steps == 0


def test_columns_of_one_name_are_refused(rng):
    trainer, x, y = trained(rng, 3)

    def named(name):
        def metric(truth, predicted):
            return 1.0

        metric.__name__ = name
        return metric

    for metrics_of_one_name in ([named("a"), named("a")], ["f1", named("f1")], [named("f1"), "f1"], [named("loss")]):
        with pytest.raises(ValueError, match="bears the name of another column"):
            trainer.evaluate(x, y, metrics=metrics_of_one_name)
