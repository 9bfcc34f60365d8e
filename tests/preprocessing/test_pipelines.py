"""Transformers in pipelines, pynn's and scikit-learn's."""

import copy

import numpy as np
import pytest
from sklearn import preprocessing as peers
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted
from transformer_cases import ON_IMAGES, ON_ROWS

from pynn.preprocessing import (
    PCA,
    ZCA,
    Center,
    ChannelStandardize,
    MinMax,
    NotFittedError,
    PCAWhiten,
    Pipeline,
    Standardize,
)

# scikit-learn


@pytest.mark.parametrize("transformer", [*ON_IMAGES, Pipeline([Center(), ZCA()])], ids=repr)
def test_clone_gives_an_unfitted_equal(transformer, images):
    fitted = copy.deepcopy(transformer).fit(images)
    twin = clone(fitted)
    assert repr(twin) == repr(transformer)
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(twin)
    check_is_fitted(fitted)


@pytest.mark.parametrize("transformer", [*ON_ROWS, Pipeline([Center(), PCA(3)])], ids=repr)
def test_works_inside_a_scikit_learn_pipeline(transformer, rows):
    labels = (rows[:, 0] > rows[:, 0].mean()).astype(int)
    model = make_pipeline(clone(transformer), LogisticRegression()).fit(rows, labels)
    assert model.score(rows, labels) > 0.8
    last = make_pipeline(peers.StandardScaler(), clone(transformer))
    y = last.fit_transform(rows, labels)
    np.testing.assert_allclose(last.transform(rows), y)
    np.testing.assert_allclose(clone(last).fit(rows).transform(rows), y)


def test_set_params_forgets_the_fit(rows):
    pca = PCA(2).fit(rows).set_params(n_components=3)
    assert pca.get_params() == {"n_components": 3}
    with pytest.raises(NotFittedError):
        pca.transform(rows)
    with pytest.raises(ValueError, match=r"PCA has no parameter 'eps'; it has \['n_components'\]"):
        pca.set_params(eps=1)


# Pipeline


def test_pipeline_is_its_steps_in_turn(images):
    pipeline = Pipeline([MinMax(), ChannelStandardize(), PCA(5)])
    y = pipeline.fit_transform(images)
    step = MinMax().fit_transform(images)
    step = ChannelStandardize().fit_transform(step)
    np.testing.assert_array_equal(y, PCA(5).fit_transform(step))
    np.testing.assert_array_equal(Pipeline([MinMax(), ChannelStandardize(), PCA(5)]).fit(images).transform(images), y)
    assert pipeline.n_features_in_ == 24
    whole = Pipeline([MinMax(), ZCA()]).fit(images)
    np.testing.assert_allclose(whole.inverse_transform(whole.transform(images)), images, rtol=1e-8)


def test_pipeline_partial_fit_only_with_one_step(rows):
    one = Pipeline([Standardize()]).partial_fit(rows[:90]).partial_fit(rows[90:])
    np.testing.assert_allclose(one.transform(rows), Standardize().fit_transform(rows), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="partial_fit of a Pipeline of 2 steps is not defined"):
        Pipeline([Center(), Standardize()]).partial_fit(rows)


def test_pipeline_parameters_by_step(rows):
    pipeline = Pipeline([Center(), PCAWhiten(2)])
    assert pipeline.get_params()["1__n_components"] == 2
    pipeline.set_params(**{"1__n_components": 3})
    assert pipeline.fit_transform(rows).shape == (200, 3)
    with pytest.raises(ValueError, match="no parameter '2__eps'"):
        pipeline.set_params(**{"2__eps": 3})
    pipeline.set_params(steps=[Center()])
    assert pipeline.fit_transform(rows).shape == (200, 6)


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        ([], ValueError, "steps is empty"),
        (Center(), TypeError, "expected a list"),
        ([peers.StandardScaler()], TypeError, "expected transformers of pynn"),
        ([Center()] * 2, ValueError, "one transformer twice"),
    ],
)
def test_unusable_steps(steps, error, message, rows):
    with pytest.raises(error, match=message):
        Pipeline(steps).fit(rows)


def test_unfitted_pipeline(rows):
    with pytest.raises(NotFittedError, match="this Pipeline has not been fitted"):
        Pipeline([Center().fit(rows), PCA()]).transform(rows)
