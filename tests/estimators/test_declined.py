"""What scikit-learn's perceptron has not: class weights, dropout, losses, callbacks, validation data, schedules."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.preprocessing import scale

import pynn
from pynn.estimators.mlp_network import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_breast_cancer(return_X_y=True)
X = scale(X)


@pytest.mark.parametrize("class_weight", [{0: 3.0, 1: 1.0}, "balanced"])
def test_class_weights_are_example_weights(class_weight):
    shares = {0: len(Y) / (2 * (Y == 0).sum()), 1: len(Y) / (2 * (Y == 1).sum())}
    each = shares if class_weight == "balanced" else class_weight
    weights = np.where(Y == 0, each[0], each[1])
    one = pynn.MLPClassifier(class_weight=class_weight, max_iter=5, random_state=0).fit(X, Y)
    other = pynn.MLPClassifier(max_iter=5, random_state=0).fit(X, Y, sample_weight=weights)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-9)


def test_balanced_classes_heed_the_weights_of_examples():
    weights = np.random.default_rng(0).integers(0, 3, len(Y))
    one = pynn.MLPClassifier(class_weight="balanced", batch_size=2000, max_iter=5, random_state=0, shuffle=False)
    with pytest.warns(UserWarning, match="clipped"):
        repeated = one.fit(X.repeat(weights, axis=0), Y.repeat(weights)).predict_proba(X)
    with pytest.warns(UserWarning, match="clipped"):
        weighted = one.fit(X, Y, sample_weight=weights).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-7)


@pytest.mark.parametrize("class_weight", ["even", {0: 0.0, 1: 0.0}])
def test_class_weights_that_make_no_sense(class_weight):
    with pytest.raises(ValueError, match="class_weight"):
        pynn.MLPClassifier(class_weight=class_weight).fit(X, Y)


def test_dropout_and_batch_norm_are_of_the_network():
    model = pynn.MLPClassifier((20, 10), dropout=0.3, batch_norm=True, max_iter=30, random_state=0).fit(X, Y)
    kinds = [type(layer).__name__ for layer in model.network_]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2 + ["Linear"]
    assert model.score(X, Y) > 0.93
    again = pynn.MLPClassifier((20, 10), dropout=0.3, batch_norm=True, max_iter=30, random_state=0).fit(X, Y)
    assert (model.predict_proba(X) == again.predict_proba(X)).all()


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"identity", "logistic", "tanh", "relu"}))
def test_activations(activation):
    model = pynn.MLPClassifier(activation=activation, max_iter=30, random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.93


def test_a_loss_of_pynns():
    x, y = load_iris(return_X_y=True)
    smooth = pynn.MLPClassifier(loss=pynn.CrossEntropyLoss(label_smoothing=0.3), max_iter=400, random_state=0).fit(x, y)
    assert smooth.score(x, y) > 0.9
    assert smooth.predict_proba(x).max() < 0.95  # 0.8 + a share of 0.2 would be the optimum


def test_hinge_has_no_probabilities():
    model = pynn.MLPClassifier(loss="hinge", max_iter=20, random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.9 and not hasattr(model, "predict_proba")
    with pytest.raises(ValueError, match="several labels"):
        model.fit(X, np.stack([Y, 1 - Y], axis=1))


def test_validation_data_and_callbacks():
    seen = []

    class Note(pynn.Callback):
        def on_epoch_end(self, trainer):
            seen.append(trainer.history["val_accuracy"][-1])

    model = pynn.MLPClassifier(max_iter=4, random_state=0)
    model.fit(X[100:], Y[100:], validation_data=(X[:100], Y[:100]), callbacks=[Note()])
    assert len(seen) == 4 and seen[-1] == pytest.approx(model.score(X[:100], Y[:100]))
    assert model.history_["val_accuracy"] == seen


def test_validation_data_decide_on_early_stopping():
    model = pynn.MLPClassifier(early_stopping=True, max_iter=30, random_state=0)
    model.fit(X[100:], Y[100:], validation_data=(X[:100], Y[:100]))
    assert model.best_validation_score_ == pytest.approx(model.score(X[:100], Y[:100]))


def test_a_callback_stops():
    model = pynn.MLPClassifier(max_iter=50, random_state=0)
    stopping = pynn.EarlyStopping("loss", patience=1, min_delta=10)
    model.fit(X, Y, callbacks=[stopping])
    assert model.n_iter_ == 2


def test_a_schedule_scales_the_rate():
    model = pynn.MLPClassifier(learning_rate=pynn.CosineAnnealingLR(10), max_iter=10, random_state=0).fit(X, Y)
    assert model.history_["lr"][0] == pytest.approx(0.001) and model.history_["lr"][-1] < 1e-4


def test_a_monitor_finds_a_rate_that_is_too_high():
    model = pynn.MLPClassifier(solver="sgd", learning_rate_init=30.0, max_iter=10, monitor=True, random_state=0)
    model.fit(X, Y)
    assert "lr_too_high" in [finding.symptom for finding in model.diagnosis_]
    assert pickle.loads(pickle.dumps(model)).diagnosis_ == model.diagnosis_
    healthy = pynn.MLPClassifier(max_iter=10, monitor=True, random_state=0).fit(X, Y)
    assert healthy.diagnosis_ == []


@pytest.mark.parametrize(
    "settings",
    [{"dropout": 0.1}, {"batch_norm": True}, {"monitor": True}, {"learning_rate": pynn.StepLR(3)}],
    ids=str,
)
def test_lbfgs_refuses_what_it_lacks(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        pynn.MLPClassifier(solver="lbfgs", **settings).fit(X, Y)


@pytest.mark.parametrize(
    "given", [{"validation_data": (X, Y)}, {"callbacks": [pynn.Callback()]}], ids=["data", "callback"]
)
def test_lbfgs_refuses_what_it_cannot_call(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        pynn.MLPClassifier(solver="lbfgs").fit(X, Y, **given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation", "rélu"),
        ("solver", "adagrad"),
        ("hidden_layer_sizes", (10, 0)),
        ("learning_rate", "fast"),
        ("batch_size", 0),
        ("max_iter", 0),
        ("alpha", -1),
        ("learning_rate_init", 0),
        ("momentum", 1.5),
        ("validation_fraction", 1.0),
        ("dropout", 1.0),
        ("scale", "robust"),
        ("batch_norm", "yes"),
        ("loss", "squared"),
        ("categorical_features", "auto"),
        ("categorical_features", ["colour"]),
        ("categorical_features", [99]),
    ],
)
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        pynn.MLPClassifier(**{name: value}).fit(X, Y)


def test_a_training_that_diverges():
    x, y = load_diabetes(return_X_y=True)
    model = pynn.MLPRegressor(solver="sgd", learning_rate_init=10, activation="identity", random_state=0)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(scale(x), y)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("scaled", [None, "auto"])
def test_the_saved_network_predicts(container, scaled, tmp_path):
    raw = X if scaled is None else 3 + 10 * X
    names, x = np.array(["malignant", "benign"])[Y], container(raw)
    paths = [tmp_path / "model.safetensors", tmp_path / "checkpoint.safetensors"]
    model = pynn.MLPClassifier(max_iter=5, scale=scaled, random_state=0)
    checkpoint = pynn.ModelCheckpoint(paths[1], monitor=None)
    model.fit(x, names, validation_data=(x, names), callbacks=[checkpoint])
    assert model.history_["val_accuracy"][-1] == model.score(x, names)
    model.network_.save(paths[0])
    for path in paths:
        assert (pynn.load(path).predict_label(raw) == model.predict(x)).all()


@pytest.mark.parametrize("loss", ["absolute_error", "huber", pynn.HuberLoss(delta=0.5), pynn.SmoothL1Loss()], ids=str)
def test_losses_that_outliers_do_not_move(loss):
    x = np.linspace(-1, 1, 200)[:, None]
    y = 2 * x[:, 0]
    spoilt = y.copy()
    spoilt[::10] = 30
    model = pynn.MLPRegressor(loss, max_iter=800, learning_rate_init=0.01, random_state=0).fit(x, spoilt)
    squared = pynn.MLPRegressor(max_iter=800, learning_rate_init=0.01, random_state=0).fit(x, spoilt)
    assert np.abs(model.predict(x) - y).mean() < 0.3 < np.abs(squared.predict(x) - y).mean()


def test_quantiles():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(2000, 1))
    y = rng.uniform(size=2000)
    model = pynn.MLPRegressor(pynn.QuantileLoss([0.1, 0.5, 0.9]), max_iter=60, random_state=0).fit(x, y)
    shares = (y[:, None] < model.predict(x)).mean(axis=0)
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.06)
    one = pynn.MLPRegressor("quantile", max_iter=60, random_state=0).fit(x, y)
    assert one.predict(x).shape == (2000,) and abs((y < one.predict(x)).mean() - 0.5) < 0.06


def test_counts_must_not_be_negative():
    with pytest.raises(ValueError, match="-1"):
        pynn.MLPRegressor("poisson").fit([[0.0], [1.0]], [-1.0, 2.0])


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf])
def test_weights_of_classes_are_checked(weight, rng):
    with pytest.raises(ValueError, match=r"class_weight is {.*}; expected finite weights of at least 0"):
        pynn.MLPClassifier(class_weight={0: weight, 1: 1}).fit(rng.normal(size=(40, 3)), np.arange(40) % 2)


@pytest.mark.parametrize(
    "estimator", [pynn.MLPClassifier(), pynn.NetworkClassifier(pynn.Sequential(pynn.Linear(3, 2)))]
)
def test_a_single_callback_is_no_list(estimator, rng):
    with pytest.raises(TypeError, match=r"expected a list: \[EarlyStopping\(.*\)\]"):
        estimator.fit(rng.normal(size=(40, 3)), np.arange(40) % 2, callbacks=pynn.EarlyStopping())
