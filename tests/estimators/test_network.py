"""Any network as an estimator."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import pynn

X, Y = load_digits(return_X_y=True)
X = X / 16


@pytest.fixture
def convolutions():
    pynn.manual_seed(0)
    return pynn.Sequential(
        pynn.Conv2d(1, 8, 3), pynn.BatchNorm2d(8), pynn.ReLU(), pynn.MaxPool2d(2), pynn.Flatten(), pynn.Linear(72, 10)
    )


def dense(shape, outputs, width=16):
    return pynn.Sequential(pynn.Linear(shape[0], width), pynn.ReLU(), pynn.Linear(width, outputs))


def test_a_convolutional_network_learns_images(convolutions):
    model = pynn.NetworkClassifier(convolutions, lr=0.01, epochs=5, random_state=0).fit(X.reshape(-1, 1, 8, 8), Y)
    assert model.score(X.reshape(-1, 1, 8, 8), Y) > 0.97
    assert model.predict_proba(X[:2].reshape(-1, 1, 8, 8)).shape == (2, 10)


def test_rows_become_images_in_a_pipeline(convolutions):
    network = pynn.NetworkClassifier(convolutions, input_shape=(1, 8, 8), lr=0.01, epochs=3, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network).fit(X, Y)
    assert pipeline.score(X, Y) > 0.95
    with pytest.raises(ValueError, match="input_shape"):
        network.set_params(input_shape=(1, 9, 9)).fit(X, Y)


def test_the_users_network_is_never_trained(convolutions):
    before = convolutions.state_dict()
    model = pynn.NetworkClassifier(convolutions, input_shape=(1, 8, 8), epochs=1, random_state=0)
    model.fit(X, Y)
    model.partial_fit(X, Y)
    copied = clone(model)
    assert not hasattr(copied, "network_") and copied.network is not convolutions
    copied.fit(X, Y)
    for name, values in convolutions.state_dict().items():
        np.testing.assert_array_equal(values, before[name])
    assert convolutions.output_kind is None and convolutions.class_names is None


def test_a_function_makes_the_network_and_the_seed_its_weights():
    pynn.manual_seed(5)
    expected = pynn.Linear(2, 2).weight[...].copy()
    pynn.manual_seed(5)
    one, other = (pynn.NetworkClassifier(dense, epochs=2, random_state=3).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    np.testing.assert_array_equal(pynn.Linear(2, 2).weight[...], expected)  # the user's own generator stands still
    third = pynn.NetworkClassifier(dense, epochs=2, random_state=4).fit(X, Y)
    assert (one.predict_proba(X) != third.predict_proba(X)).any()


def test_one_output_for_two_classes_and_several_labels():
    names = np.where(Y > 4, "high", "low")
    one = pynn.NetworkClassifier(pynn.Sequential(pynn.Linear(64, 1)), lr=0.01, random_state=0).fit(X, names)
    assert one.score(X, names) > 0.8 and one.predict_proba(X).shape == (len(X), 2)
    x, labels = make_multilabel_classification(200, random_state=0)
    several = pynn.NetworkClassifier(dense, lr=0.01, epochs=60, random_state=0).fit(x, labels)
    assert several.score(x, labels) > 0.3 and several.predict(x).shape == labels.shape
    assert several.network_[-1].out_features == labels.shape[1]


def test_a_regressor_learns_one_target_or_several():
    x, y = load_diabetes(return_X_y=True)
    model = pynn.NetworkRegressor(dense, lr=0.01, epochs=100, random_state=0).fit(scale(x), scale(y))
    assert model.score(scale(x), scale(y)) > 0.5 and model.predict(scale(x)).shape == (len(x),)
    two = pynn.NetworkRegressor(dense, lr=0.01, random_state=0).fit(scale(x), np.stack([scale(y)] * 2, axis=1))
    assert two.predict(scale(x)).shape == (len(x), 2)


def test_a_network_may_preprocess_data_and_targets():
    x, y = load_diabetes(return_X_y=True)
    x, y = 1e6 + 10 * x, 1.7e9 + y  # differences that float32 does not hold
    pynn.manual_seed(0)
    plain = dense((10,), 1)
    own = copy.deepcopy(plain)
    own.preprocessing, own.target_preprocessing = pynn.preprocessing.Standardize(), pynn.preprocessing.Standardize()
    settings = {"lr": 0.01, "random_state": 0}
    ours = pynn.NetworkRegressor(own, **settings).fit(x, y, validation_data=(x, y))
    expected = make_pipeline(StandardScaler(), pynn.NetworkRegressor(plain, **settings))
    expected.fit(x, (y - y.mean()) / y.std())
    assert ours.score(x, y) > 0.4
    np.testing.assert_allclose((ours.predict(x) - y.mean()) / y.std(), expected.predict(x), atol=1e-4)
    np.testing.assert_allclose(ours.network_.predict(x)[:, 0], ours.predict(x), rtol=1e-15)
    assert ours.history_["val_loss"][-1] == pytest.approx(np.mean((ours.predict(x) - y) ** 2) / y.var(), rel=1e-4)


@pytest.mark.parametrize("name", ["preprocessing", "target_preprocessing"])
def test_what_cannot_be_preprocessed_row_by_row_is_refused(name):
    network = pynn.Sequential(pynn.Linear(64, 1))
    setattr(network, name, pynn.preprocessing.Standardize())
    with pytest.raises(ValueError, match=f"X is a sparse matrix, and network has a {name}; expected a dense array"):
        pynn.NetworkRegressor(network).fit(sparse.csr_matrix(X), Y)


def test_sparse_rows_are_those_of_dense_ones():
    linear = pynn.Sequential(pynn.Linear(64, 10))
    one, other = (
        pynn.NetworkClassifier(linear, epochs=3, shuffle=False, random_state=0).fit(x, Y)
        for x in (X, sparse.csr_matrix(X))
    )
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(sparse.csr_array(X)), rtol=1e-5)


def test_searched_in_two_processes():
    def linear(shape, outputs):
        return pynn.Sequential(pynn.Linear(shape[0], outputs))

    def narrow(shape, outputs):
        return pynn.Sequential(pynn.Linear(shape[0], 1), pynn.Linear(1, outputs))

    grid = {"network": [narrow, linear], "lr": [1e-5, 0.01]}
    search = GridSearchCV(pynn.NetworkClassifier(linear, epochs=3, random_state=0), grid, cv=3, n_jobs=2).fit(X, Y)
    assert search.best_params_ == {"network": linear, "lr": 0.01}


def test_an_optimiser_is_used_for_every_fit():
    optimizer = pynn.SGD(0.1, momentum=0.9)
    model = pynn.NetworkClassifier(dense, optimizer=optimizer, epochs=2, random_state=0)
    first = model.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(model.fit(X, Y).predict_proba(X), first)
    assert optimizer.flat is None and optimizer.steps == 0


def test_callbacks_validation_data_warm_start_and_pickle():
    model = pynn.NetworkClassifier(dense, epochs=30, warm_start=True, random_state=0, monitor=True)
    model.fit(X[300:], Y[300:], validation_data=(X[:300], Y[:300]), callbacks=[pynn.EarlyStopping("val_loss", 1)])
    before = model.score(X, Y)
    again = pickle.loads(pickle.dumps(model))
    assert again.score(X, Y) == before and again.diagnosis_ == model.diagnosis_ == []
    assert again.fit(X, Y).score(X, Y) >= before
    assert again.partial_fit(X, Y).n_iter_ == 1


def test_augmented():
    model = pynn.NetworkClassifier(
        dense, epochs=3, random_state=0, augment=[pynn.augment.RandomHorizontalFlip()], input_shape=(1, 8, 8)
    )
    model.network = lambda shape, outputs: pynn.Sequential(pynn.Flatten(), pynn.Linear(64, outputs))
    assert model.fit(X, Y).score(X, Y) > 0.3
    with pytest.raises(ValueError, match="sparse"):
        model.set_params(input_shape=None).fit(sparse.csr_matrix(X), Y)


@pytest.mark.parametrize("network", [None, pynn.Linear(2, 3), lambda shape, outputs: pynn.Linear(shape[0], outputs)])
def test_what_makes_no_network_is_refused(network):
    with pytest.raises(TypeError, match="network"):
        pynn.NetworkClassifier(network).fit(X, Y)


def test_a_network_with_too_few_outputs():
    with pytest.raises(ValueError, match="10"):
        pynn.NetworkClassifier(pynn.Sequential(pynn.Linear(64, 3))).fit(X, Y)


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("batch_size", 0), ("lr", -1), ("optimizer", "adam")])
def test_wrong_parameters_are_named(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        pynn.NetworkClassifier(dense, **{name: value}).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("regularizers", pynn.L2(0.1), r"regularizers is L2\(.*\); expected a list"),
        ("regularizers", None, "regularizers is None; expected a list"),
        ("input_shape", 3, "input_shape is 3; expected a tuple"),
        ("input_shape", (0, 3), "input_shape is 0; expected a positive integer"),
        ("shuffle", "no", "shuffle is 'no'; expected True or False"),
        ("warm_start", None, "warm_start is None; expected True or False"),
    ],
)
def test_parameters_of_another_type_are_named(name, value, message, rng):
    model = pynn.NetworkClassifier(pynn.Sequential(pynn.Linear(3, 2)), **{name: value})
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(rng.normal(size=(20, 3)), np.arange(20) % 2)
