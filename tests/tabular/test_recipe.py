"""Recipes for small tables: what is chosen by rows, what the user's options override."""

import pytest

from pynn.tabular.recipe import KINDS, recipes


def test_without_options_all_kinds_are_tried():
    assert [kind.name for kind in recipes(300, {"hidden": None, "lr": None})] == [kind.name for kind in KINDS]


@pytest.mark.parametrize("rows", [10, 100, 1000, 5000])
def test_many_rows_take_few_epochs(rows):
    """25 networks of 5000 steps at 30 us each are 4 s."""
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
