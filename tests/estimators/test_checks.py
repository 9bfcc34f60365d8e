"""scikit-learn's own checks of estimators; none is expected to fail."""

import os
import subprocess
import sys

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import pynn


class Perceptron:
    """A function with a name that is the same in all processes, for the tests' names."""

    def __call__(self, shape, outputs):
        # float64: scikit-learn compares weighted with repeated examples to 1e-7.
        return pynn.Sequential(
            pynn.Linear(shape[0], 16, dtype="float64"), pynn.ReLU(), pynn.Linear(16, outputs, dtype="float64")
        )

    def __repr__(self):
        return "Perceptron()"


network = Perceptron()


ESTIMATORS = [
    pynn.MLPClassifier(),
    pynn.MLPClassifier(solver="lbfgs", alpha=0.1, max_iter=20),
    pynn.MLPClassifier(solver="sgd", learning_rate="adaptive", learning_rate_init=0.01, activation="tanh"),
    pynn.MLPClassifier(loss="hinge", class_weight="balanced", activation="silu", max_iter=100),
    pynn.MLPClassifier(scale="auto", categorical_features="from_dtype", hidden_layer_sizes=(20, 10), max_iter=100),
    pynn.MLPRegressor(),
    pynn.MLPRegressor(solver="lbfgs"),
    # Not "invscaling", with which scikit-learn's own fails: the rate depends on how often examples are repeated.
    pynn.MLPRegressor(solver="sgd", learning_rate="adaptive", learning_rate_init=0.05, activation="logistic"),
    pynn.MLPRegressor(scale="auto", categorical_features=[0], max_iter=100),
    pynn.NetworkClassifier(network, lr=0.02, epochs=30),
    pynn.NetworkClassifier(network, optimizer=pynn.SGD(0.1, momentum=0.9), class_weight="balanced", epochs=30),
    pynn.NetworkRegressor(network, lr=0.02, epochs=60),
    pynn.NetworkRegressor(network, lr=0.02, epochs=60, schedule=pynn.CosineAnnealingLR(60), batch_size=100),
    pynn.TabularClassifier(folds=2, epochs=5),
    pynn.TabularClassifier(folds=3, epochs=5, class_weight="balanced", categorical_features=None),
    pynn.TabularRegressor(folds=2, epochs=5),
]


@pytest.mark.filterwarnings("ignore")  # of convergence: the checks fit on noise
@parametrize_with_checks(ESTIMATORS)
def test_check(estimator, check):
    check(estimator)


def test_the_check_that_needs_an_environment():
    program = (
        "import warnings, pynn\n"
        "from sklearn.utils.estimator_checks import check_array_api_input\n"
        "warnings.simplefilter('ignore')\n"
        "def network(shape, outputs):\n"
        "    return pynn.Sequential(pynn.Linear(shape[0], outputs, dtype='float64'))\n"
        "for estimator in (pynn.MLPClassifier(), pynn.MLPRegressor(), pynn.NetworkClassifier(network),\n"
        "                  pynn.NetworkRegressor(network), pynn.TabularClassifier(folds=2, epochs=2),\n"
        "                  pynn.TabularRegressor(folds=2, epochs=2)):\n"
        "    check_array_api_input(type(estimator).__name__, estimator, array_namespace='numpy',\n"
        "                          expect_only_array_outputs=False)\n"
        "print('passed')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"SCIPY_ARRAY_API": "1"}, capture_output=True, text=True
    )
    assert run.stdout == "passed\n", run.stderr
