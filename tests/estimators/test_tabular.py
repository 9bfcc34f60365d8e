"""The estimators for small tables: as good as gradient boosting and better than perceptrons, honest scores, frames."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pynn


def test_a_table_of_amounts_is_learnt_as_well_as_by_ridge():
    x, x_test, y, y_test = train_test_split(*load_diabetes(return_X_y=True, scaled=False), random_state=0)
    regressor = pynn.TabularRegressor(random_state=0).fit(x, y)
    ridge = make_pipeline(StandardScaler(), Ridge()).fit(x, y)
    assert regressor.score(x_test, y_test) > ridge.score(x_test, y_test) - 0.02
    assert abs(r2_score(y, regressor.predictions_) - 0.5) < 0.1
    assert sum(regressor.kinds_.values()) > 1
    assert regressor.diagnosis_ == []


def test_classes_of_text(tmp_path):
    x, y = load_wine(return_X_y=True, as_frame=True)
    names = np.array(["barolo", "grignolino", "barbera"])[y]
    classifier = pynn.TabularClassifier(epochs=20, random_state=0).fit(x, names)
    assert accuracy_score(names, classifier.classes_[classifier.predictions_.argmax(axis=1)]) > 0.9
    np.testing.assert_allclose(classifier.predict_proba(x).sum(axis=1), 1, rtol=1e-5)
    classifier.network_.save(tmp_path / "m")
    assert (pynn.load(tmp_path / "m").predict_label(x.to_numpy()) == classifier.predict(x)).all()


def test_columns_of_categories_and_gaps(rng):
    colour = rng.choice(["red", "green", "blue"], 200)
    size = np.where(rng.random(200) < 0.1, np.nan, rng.normal(size=200))
    y = np.where(colour == "red", 5.0, 0.0) + np.nan_to_num(size)
    regressor = pynn.TabularRegressor(epochs=60, random_state=0).fit(pd.DataFrame({"colour": colour, "size": size}), y)
    unseen = pd.DataFrame({"colour": ["red", "violet", None], "size": [0.0, 0.0, np.nan]})
    predicted = regressor.predict(unseen)
    assert abs(predicted[0] - 5) < 0.5 and np.isfinite(predicted).all()


def test_a_seed_decides_and_the_users_generator_stays(rng):
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    pynn.manual_seed(3)
    expected = pynn.Linear(2, 2).weight[...].copy()
    pynn.manual_seed(3)
    runs = [pynn.TabularClassifier(epochs=2, random_state=seed).fit(x, y).predict_proba(x) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    np.testing.assert_array_equal(pynn.Linear(2, 2).weight[...], expected)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"folds": 1}, np.arange(20) % 2, "folds is 1; expected an integer of at least 2"),
        ({"folds": 30}, np.arange(20) % 2, "n_samples=20: expected at least one example for each of the 30 folds"),
        ({"epochs": 0}, np.arange(20) % 2, "epochs is 0"),
        ({}, np.zeros(20, int), "y has one class, .*; expected at least two classes"),
        ({"class_weight": "equal"}, np.arange(20) % 2, "class_weight"),
    ],
)
def test_bad_parameters_are_named(options, y, message, rng):
    with pytest.raises(ValueError, match=message):
        pynn.TabularClassifier(**options).fit(rng.normal(size=(20, 2)), y)


def noisy(rng, count=300):
    """Return examples of which half are 3 too high, half 3 too low, and which are the former."""
    x, high = rng.normal(size=(count, 2)), np.arange(count) % 2 == 0
    return x, x[:, 0] + np.where(high, 3.0, -3.0), high


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_weights_decide_between_examples_that_disagree(weight, rng):
    x, y, high = noisy(rng)
    weights = np.where(high, weight, 1e-4)
    regressor = pynn.TabularRegressor(folds=3, epochs=40, random_state=0).fit(x, y, sample_weight=weights)
    for predicted in (regressor.predict(x), regressor.predictions_[:, 0]):
        assert abs((predicted - x[:, 0]).mean() - 3) < 0.3


def test_whole_weights_are_repetitions(rng):
    x, y, high = noisy(rng, 60)
    given = np.where(high, 6.0, 2.0)
    given[:5] = 0
    settings = {"folds": 2, "epochs": 5, "random_state": 0}
    weighted = pynn.TabularClassifier(**settings).fit(x, y > 0, given)
    repeated = np.repeat(np.arange(60), (given / 2).astype(int))
    expected = pynn.TabularClassifier(**settings).fit(x[repeated], (y > 0)[repeated])
    np.testing.assert_array_equal(weighted.predict_proba(x), expected.predict_proba(x))
    assert weighted.predictions_.shape == (60, 2)
    np.testing.assert_allclose(weighted.predictions_[:5], weighted.network_.predict(x[:5]))
    means = np.zeros((60, 2))
    np.add.at(means, repeated, expected.predictions_)
    np.testing.assert_allclose(weighted.predictions_[5:], means[5:] / (given[5:, None] / 2), rtol=1e-6)


def test_weights_and_balanced_classes_multiply(rng):
    x, labels = rng.normal(size=(120, 2)), np.arange(120) % 10 == 0
    weights = np.where(labels, 4.5, 0.5)
    for options in ({"class_weight": "balanced"}, {"class_weight": {True: 9.0}}):
        rare = pynn.TabularClassifier(folds=2, epochs=20, random_state=0, **options).fit(x, labels)
        assert abs(rare.predict_proba(x)[:, 1].mean() - 0.5) < 0.1
    balanced = pynn.TabularClassifier(folds=2, epochs=20, random_state=0, class_weight="balanced")
    assert abs(balanced.fit(x, labels, weights).predict_proba(x)[:, 1].mean() - 0.5) < 0.1


def test_a_class_without_weight_is_left_out(rng):
    x, y = rng.normal(size=(90, 2)), np.arange(90) % 3
    classifier = pynn.TabularClassifier(folds=2, epochs=3, random_state=0).fit(x, y, (y < 2).astype(float))
    assert classifier.classes_.tolist() == [0, 1]
    assert classifier.predictions_.shape == (90, 2) and np.isfinite(classifier.predictions_).all()
