"""The same weights as scikit-learn's, to rounding: replacing the import changes nothing but the time."""

import numpy as np
import pytest
import sklearn.neural_network as original
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_linnerud,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import pynn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _scaled(table):
    x, y = table
    return scale(x), scale(y.astype(float)) if y.dtype.kind == "f" else y


TABLES = {
    "binary": ("MLPClassifier", _scaled(load_breast_cancer(return_X_y=True))),
    "ten classes": ("MLPClassifier", _scaled(load_digits(return_X_y=True))),
    "several labels": ("MLPClassifier", _scaled(make_multilabel_classification(300, random_state=0))),
    "values": ("MLPRegressor", _scaled(load_diabetes(return_X_y=True))),
    "three outputs": ("MLPRegressor", _scaled(load_linnerud(return_X_y=True))),
}
SETTINGS = [
    {},
    {"solver": "sgd"},
    {"solver": "sgd", "nesterovs_momentum": False, "batch_size": 17, "alpha": 0.1},
    {"solver": "sgd", "momentum": 0, "shuffle": False},
    {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 1e-2, "n_iter_no_change": 2},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.3},
    {"early_stopping": True, "activation": "tanh", "n_iter_no_change": 3},
    {"activation": "logistic", "alpha": 1.0, "hidden_layer_sizes": (20, 10), "beta_1": 0.8, "epsilon": 1e-4},
    {"activation": "identity", "hidden_layer_sizes": 5},
    {"solver": "lbfgs", "alpha": 0.5, "max_iter": 10},
]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_training_gives_the_weights_of_scikit_learn(table, settings):
    name, (x, y) = TABLES[table]
    settings = {"max_iter": 15, "random_state": 3} | settings
    theirs = getattr(original, name)(**settings).fit(x, y)
    ours = getattr(pynn, name)(**settings).fit(x, y)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-8)
    for mine, their in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.score(x, y), theirs.score(x, y), rtol=1e-8)
    for attribute in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    if settings.get("solver") == "lbfgs":
        return
    assert ours.t_ == theirs.t_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)
    for attribute in ("best_loss_", "best_validation_score_"):
        mine, their = getattr(ours, attribute), getattr(theirs, attribute)
        assert mine == their or abs(mine / their - 1) < 1e-8
    assert (ours.validation_scores_ is None) == (theirs.validation_scores_ is None)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("table", ["binary", "ten classes", "three outputs"])
def test_same_run_with_weights(table, solver):
    name, (x, y) = TABLES[table]
    weights = np.random.default_rng(0).integers(0, 4, len(x)).astype(float)
    settings = {"max_iter": 8, "random_state": 1, "solver": solver, "alpha": 0.1, "batch_size": 10}
    theirs = getattr(original, name)(**settings).fit(x[:300], y[:300], weights[:300])
    ours = getattr(pynn, name)(**settings).fit(x[:300], y[:300], weights[:300])
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-8)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["binary", "values"])
def test_same_probabilities_and_values(name):
    kind, (x, y) = TABLES[name]
    theirs, ours = (getattr(module, kind)(max_iter=5, random_state=0).fit(x, y) for module in (original, pynn))
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-8, atol=1e-10)
    if name == "binary":
        np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(ours.predict_log_proba(x), theirs.predict_log_proba(x), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_same_partial_fits_and_warm_starts(solver):
    _, (x, y) = TABLES["ten classes"]
    models = []
    for module in (original, pynn):
        model = module.MLPClassifier(solver=solver, random_state=0, warm_start=True, max_iter=3)
        for start in range(0, 600, 200):
            model.partial_fit(x[start : start + 200], y[start : start + 200], classes=range(10))
        models.append(model.fit(x, y).fit(x, y).partial_fit(x, y))
    theirs, ours = models
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(ours.coefs_[1], theirs.coefs_[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
def test_same_run_on_sparse_data(container):
    x, y = load_digits(return_X_y=True)
    x = x / 16
    matrix = container(x)
    theirs, ours = (module.MLPClassifier(max_iter=4, random_state=0).fit(matrix, y) for module in (original, pynn))
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(matrix), theirs.predict_proba(matrix), rtol=1e-5, atol=1e-9)


def test_same_output_and_warnings(capsys):
    x, y = TABLES["binary"][1]
    texts = []
    for module in (original, pynn):
        model = module.MLPClassifier(max_iter=3, verbose=True, early_stopping=True, random_state=0)
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
            model.fit(x, y)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_a_single_class_is_predicted(rng):
    x, y = rng.normal(size=(20, 3)), np.full(20, "only")
    for module in (pynn, original):
        model = module.MLPClassifier(max_iter=2, random_state=0).fit(x, y)
        assert model.predict(x).tolist() == y.tolist()
        assert model.score(x, y) == 1


def test_assigned_weights_predict():
    x, y = TABLES["binary"][1]
    theirs = original.MLPClassifier(max_iter=5, random_state=0).fit(x, y)
    ours = pynn.MLPClassifier(max_iter=5, random_state=1).fit(x, y)
    ours.coefs_, ours.intercepts_ = [2 * w for w in theirs.coefs_], theirs.intercepts_
    theirs.coefs_ = [2 * w for w in theirs.coefs_]
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=1e-7, atol=1e-12)
    ours.coefs_[0][...] = 0
    assert np.ptp(ours.predict_proba(x)) < 1 and len(np.unique(ours.predict_proba(x)[:, 0])) == 1


def test_defaults_are_scikit_learns():
    for name in ("MLPClassifier", "MLPRegressor"):
        theirs = getattr(original, name)().get_params()
        ours = getattr(pynn, name)().get_params()
        assert theirs.items() <= ours.items()


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_same_run_on_counts(solver, outputs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3))
    y = rng.poisson(np.exp(x[:, :outputs] / 2 + 1)).astype(float)
    y = y[:, 0] if outputs == 1 else y
    settings = {"loss": "poisson", "solver": solver, "max_iter": 10, "random_state": 0, "alpha": 0.1}
    theirs, ours = (module.MLPRegressor(**settings).fit(x, y) for module in (original, pynn))
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-8)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-6)
    assert ours.out_activation_ == theirs.out_activation_ == "exp"
