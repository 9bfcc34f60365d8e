"""pynn's own metrics give what scikit-learn's functions give, of any labels, probabilities, amounts and weights."""

import warnings

import numpy as np
import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pynn.training import formulas
from pynn.training.formulas import Predictions
from pynn.training.metrics import OF_AMOUNTS, OF_CLASSES

seeds = st.integers(0, 2**32 - 1)


def classes(rng, n, number):
    """Return predictions of classes; some probabilities are equal, some are 0 or 1, and some classes do not occur."""
    y = rng.integers(0, rng.integers(1, number + 1), n)
    values = rng.choice([0.0, 0.25, 1.0, rng.random(), rng.random()], (n, number)) + 1e-3 * np.eye(number)[y]
    values /= values.sum(axis=1, keepdims=True)
    weights = rng.choice([0.0, 1.0, 2.5, rng.random()], n) if rng.random() < 0.5 else None
    if weights is not None:
        weights[0] = 1.0
    return Predictions(y, values, values.argmax(axis=1), weights)


def expected_of_classes(found):
    y, values, labels, weights = found
    macro = {"average": "macro", "zero_division": 0.0, "sample_weight": weights}
    yield "balanced_accuracy", metrics.balanced_accuracy_score(y, labels, sample_weight=weights)
    yield "precision", metrics.precision_score(y, labels, **macro)
    yield "recall", metrics.recall_score(y, labels, **macro)
    yield "f1", metrics.f1_score(y, labels, **macro)
    yield "log_loss", metrics.log_loss(y, values, sample_weight=weights, labels=np.arange(values.shape[1]))
    if len(np.unique(y)) < values.shape[1]:
        yield "roc_auc", np.nan
    elif values.shape[1] == 2:
        yield "roc_auc", metrics.roc_auc_score(y, values[:, 1], sample_weight=weights)
    else:
        of_class = [metrics.roc_auc_score(y == j, p, sample_weight=weights) for j, p in enumerate(values.T)]
        yield "roc_auc", np.mean(of_class)


@given(seeds, st.integers(1, 60), st.integers(2, 5))
def test_of_classes(seed, n, number):
    found = classes(np.random.default_rng(seed), n, number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of what is undefined
        for name, value in expected_of_classes(found):
            with case(name):
                np.testing.assert_allclose(OF_CLASSES[name](found), value, rtol=1e-12, atol=1e-15)


@given(seeds, st.integers(1, 60), st.integers(1, 3), st.sampled_from([0.0, 1.0, 1e6]), st.booleans(), st.booleans())
def test_of_amounts(seed, n, outputs, offset, weighted, perfect):
    rng = np.random.default_rng(seed)
    alike = not weighted and n > 1  # scikit-learn's weighted mean of equal numbers is not that number
    y = offset + rng.normal(size=(n, outputs)) * rng.choice([0.0 if alike else 1.0, 1.0], outputs)
    values = y if perfect else y + rng.normal(size=y.shape)
    weights = rng.uniform(0.1, 3, n) if weighted else None
    found = Predictions(y, values, None, weights)
    options = {"sample_weight": weights}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of one example
        expected = {
            "r2": metrics.r2_score(y, values, **options),
            "mae": metrics.mean_absolute_error(y, values, **options),
            "rmse": metrics.root_mean_squared_error(y, values, **options),
        }
    for name, value in expected.items():
        with case(name):
            np.testing.assert_allclose(OF_AMOUNTS[name](found), value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_neither_underflow_nor_overflow(rng, scale):
    y = rng.normal(size=(50, 1))
    values = y + 0.1 * rng.normal(size=y.shape)
    plain, scaled = Predictions(y, values, None, None), Predictions(y * scale, values * scale, None, None)
    assert formulas.r2(scaled) == pytest.approx(formulas.r2(plain), rel=1e-12)
    assert formulas.rmse(scaled) == pytest.approx(formulas.rmse(plain) * scale, rel=1e-12)


def test_nan_passes_through():
    labels = np.array([0, 1])
    of_classes = Predictions(labels, np.array([[np.nan, np.nan], [0.2, 0.8]]), labels, None)
    amounts = Predictions(np.array([[1.0], [2.0]]), np.array([[np.nan], [2.0]]), None, None)
    assert np.isnan([formulas.roc_auc(of_classes), formulas.log_loss(of_classes)]).all()
    assert np.isnan([formula(amounts) for formula in OF_AMOUNTS.values()]).all()


def test_examples_without_weight_have_no_score():
    nothing = np.zeros(2)
    of_classes = Predictions(np.array([0, 1]), np.full((2, 2), 0.5), np.array([0, 0]), nothing)
    amounts = Predictions(np.ones((2, 1)), np.zeros((2, 1)), None, nothing)
    for formula in (formulas.balanced_accuracy, formulas.roc_auc, formulas.log_loss):
        assert np.isnan(formula(of_classes))
    for formula in OF_AMOUNTS.values():
        assert np.isnan(formula(amounts))
