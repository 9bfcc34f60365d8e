"""Fits that go on with the weights of the last one, after parameters have changed."""

import pickle

import numpy as np
import pytest

import pynn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden_layer_sizes", (5,)), ("activation", "tanh"), ("dropout", 0.5), ("batch_norm", True), ("scale", "auto")],
)
@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
def test_a_network_that_trains_on_keeps_its_shape(name, value, how, rng):
    """Another one would have no effect."""
    x, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    model = pynn.MLPClassifier((8,), max_iter=2, random_state=0, warm_start=how == "warm_start").fit(x, y)
    again = model.fit if how == "warm_start" else model.partial_fit
    again(x, y)
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=rf"{name} is .*, and was .* when the network was made"):
        again(x, y)
    model.set_params(warm_start=False).fit(x, y)


def test_another_network_is_not_the_one_that_trains_on(rng):
    x, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    networks = [pynn.Sequential(pynn.Linear(3, width), pynn.ReLU(), pynn.Linear(width, 2)) for width in (4, 5)]
    model = pynn.NetworkClassifier(networks[0], epochs=1, warm_start=True, random_state=0).fit(x, y).fit(x, y)
    pickle.loads(pickle.dumps(model)).fit(x, y)
    model.set_params(network=networks[1])
    with pytest.raises(ValueError, match="network is another one"):
        model.fit(x, y)
    assert model.set_params(warm_start=False).fit(x, y).network_[0].out_features == 5


@pytest.mark.parametrize("changes", [{"solver": "adam"}, {"solver": "sgd", "early_stopping": True}])
def test_a_warm_start_after_another_solver(changes, rng):
    x, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    model = pynn.MLPClassifier((8,), solver="lbfgs", max_iter=5, warm_start=True, random_state=0).fit(x, y)
    model.set_params(**changes).fit(x, y)
    assert len(model.loss_curve_) == model.n_iter_
