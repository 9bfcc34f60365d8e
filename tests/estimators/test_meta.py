"""What scikit-learn does with estimators: searches, pipelines, calibration, routing, copies."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pynn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_breast_cancer(return_X_y=True, as_frame=True)


def classifier(**settings):
    return pynn.MLPClassifier(**{"max_iter": 20, "random_state": 0, "scale": "auto"} | settings)


def test_searched_in_two_processes():
    search = GridSearchCV(classifier(), {"alpha": [1e-4, 1e3]}, n_jobs=2, cv=3).fit(X, Y)
    assert search.best_params_ == {"alpha": 1e-4} and search.best_score_ > 0.95
    one = GridSearchCV(classifier(), {"alpha": [1e-4, 1e3]}, n_jobs=1, cv=3).fit(X, Y)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"])


def test_cross_validated_and_calibrated():
    assert cross_val_score(classifier(), X, Y, cv=3, scoring="roc_auc").min() > 0.95
    calibrated = CalibratedClassifierCV(classifier(), cv=3).fit(X, Y)
    assert calibrated.score(X, Y) > 0.95


def test_in_a_pipeline_that_sets_output():
    columns = ColumnTransformer([("scaled", StandardScaler(), list(X.columns[:5]))]).set_output(transform="pandas")
    pipeline = make_pipeline(columns, classifier(scale=None)).fit(X, Y)
    assert list(pipeline[-1].feature_names_in_) == [f"scaled__{name}" for name in X.columns[:5]]
    importance = permutation_importance(pipeline, X, Y, n_repeats=2, random_state=0).importances_mean
    assert (importance[5:] == 0).all() and importance[:5].max() > 0


def test_weights_are_routed():
    weights = np.random.default_rng(0).integers(1, 3, len(Y)).astype(float)
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scores = cross_validate(model, X, Y, params={"sample_weight": weights}, cv=3)["test_score"]
        plain = cross_validate(classifier().set_fit_request(sample_weight=False), X, Y, cv=3)["test_score"]
    assert scores.min() > 0.9 and (scores != plain).any()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_copies_are_equal_and_apart(tmp_path, solver):
    model = classifier(solver=solver).fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib", mmap_mode="r")):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
        assert copy.coefs_[0] is not model.coefs_[0]
        if solver == "adam":
            before = model.predict_proba(X)
            copy.partial_fit(X, Y)
            np.testing.assert_array_equal(model.predict_proba(X), before)
            np.testing.assert_array_equal(
                copy.predict_proba(X), pickle.loads(pickle.dumps(model)).partial_fit(X, Y).predict_proba(X)
            )
    fresh = clone(model)
    assert not hasattr(fresh, "coefs_") and fresh.get_params() == model.get_params()


def test_a_regressor_is_scored_by_r2():
    x, y = load_diabetes(return_X_y=True)
    model = pynn.MLPRegressor(
        solver="lbfgs", alpha=10, hidden_layer_sizes=10, scale="auto", max_iter=300, random_state=0
    )
    assert cross_val_score(model, x, y, cv=3).mean() > 0.3


def test_frames_by_name_and_in_any_number_of_rows():
    model = classifier().fit(X, Y)
    assert model.predict(X.iloc[:1]).shape == (1,)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X.iloc[:, ::-1])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X.to_numpy())
    assert isinstance(X, pd.DataFrame)


def test_importing_pynn_imports_no_scikit_learn():
    program = "import sys, pynn; assert not {'sklearn', 'scipy', 'pandas', 'pynn.estimators'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_scikit_learn_the_error_says_what_to_install():
    program = (
        "import importlib.util as u, pynn\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'sklearn' else found(name, *rest)\n"
        "try:\n    pynn.MLPClassifier\nexcept ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "pynn-kernels[sklearn]"' in run.stdout
