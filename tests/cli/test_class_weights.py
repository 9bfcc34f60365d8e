"""``--class-weight``: balanced as in scikit-learn, or weights by name."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from pynn.cli.class_weights import class_weights


def test_balanced_class_weights_are_those_of_scikit_learn(rng):
    y = rng.choice(3, size=50, p=[0.6, 0.3, 0.1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(class_weights("balanced", ["a", "b", "c"], np.bincount(y).tolist()), expected)


def test_named_class_weights():
    assert class_weights("b=2.5,a=b=0", ["a=b", "b", "c"], [1, 1, 1]) == [0.0, 2.5, 1.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("d=2", r"'d=2' names no class; expected balanced, or NAME=WEIGHT of \['a', 'b'\]"),
        ("a", "'a' names no class"),
        ("a=-1", "'a=-1': expected a number of at least 0"),
        ("a=much", "expected a number"),
        ("a=nan", "expected a number"),
        ("a=inf", "expected a number"),
        ("a=1,b=2,a=3", "'a=3' names 'a' a second time"),
    ],
)
def test_wrong_class_weights_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        class_weights(given, ["a", "b"], [3, 4])


@pytest.mark.parametrize(
    ("given", "names", "weights"),
    [
        ("no=2, yes=5", ["no", "yes"], [2, 5]),
        (" yes = 5 ,no=2", ["no", "yes"], [2, 5]),
        ("yes, please=5", ["no", "yes, please"], [1, 5]),
        ("no=2,yes, please=5", ["no", "yes, please"], [2, 5]),
        ("yes, please=5,please=3", ["please", "yes, please"], [3, 5]),
        ("a=1,b=7", ["a=1,b", "c"], [7, 1]),
        (" a=7", [" a", "a"], [7, 1]),
    ],
)
def test_names_of_classes_may_have_commas_and_blanks(given, names, weights):
    assert class_weights(given, names, [1, 1]) == weights
