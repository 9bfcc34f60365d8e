"""Recipes for small tables: what is chosen by rows, what the user's options override, class weights."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from pynn.cli.recipe import KINDS, class_weights, recipes


def test_without_options_all_kinds_are_tried():
    assert [kind.name for kind in recipes(300, {"hidden": None, "lr": None})] == [kind.name for kind in KINDS]


@pytest.mark.parametrize("rows", [10, 100, 1000, 5000])
def test_many_rows_take_few_epochs(rows):
    """Twenty networks of 5000 steps at 30 us each are 3 s."""
    for kind in recipes(rows, {}):
        assert 30 <= kind.epochs <= 150
        assert kind.epochs * rows / kind.batch_size <= 5001
        assert 5 <= kind.patience < kind.epochs


def test_options_that_shape_the_network_leave_one_kind():
    (kind,) = recipes(300, {"hidden": (16, 8), "activation": "tanh", "dropout": 0.0})
    assert (kind.hidden, kind.activation, kind.dropout, kind.knots, kind.skip) == ((16, 8), "tanh", 0.0, 0, False)
    (kind,) = recipes(300, {"batchnorm": True})
    assert kind.batchnorm and kind.hidden


@pytest.mark.parametrize(
    "given",
    [
        {"lr": 0.5}, {"weight_decay": 0.0}, {"epochs": 7}, {"batch_size": 5}, {"dropout": 0.0}, {"schedule": "cosine"},
        {"early_stopping": False}, {"activation": "selu"}, {"input_dropout": 0.1}, {"optimizer": "sgd", "lr": 0.2},
    ],
    ids=str,
)  # fmt: skip
def test_other_options_hold_for_all_kinds(given):
    made = recipes(300, given)
    assert len(made) == len(KINDS)
    for kind in made:
        assert {name: getattr(kind, name) for name in given} == given


def test_an_optimizer_brings_its_own_rates():
    assert {(kind.lr, kind.weight_decay) for kind in recipes(300, {"optimizer": "sgd"})} == {(None, None)}


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
    ],
)
def test_wrong_class_weights_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        class_weights(given, ["a", "b"], [3, 4])
