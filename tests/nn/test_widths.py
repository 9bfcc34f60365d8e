"""Widths of layers that follow each other: what does not fit is found at construction, and what fits is let through."""

import numpy as np
import pytest

import pynn

pytestmark = pytest.mark.usefixtures("backend")


def test_widths_that_do_not_fit_are_found_at_construction():
    with pytest.raises(ValueError, match=r"layer 2 \(Linear\) expects 7 features, but layer 1 \(ReLU\) returns 8"):
        pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU(), pynn.Linear(7, 3))
    with pytest.raises(ValueError, match=r"layer 1.0 \(BatchNorm1d\) expects 5 features, but layer 0 .* returns 8"):
        pynn.Sequential(pynn.Maxout(4, 8), pynn.Sequential(pynn.BatchNorm1d(5)))


@pytest.mark.parametrize("first", [lambda: pynn.BatchNorm2d(3), lambda: pynn.GroupNorm(1, 3), lambda: pynn.PReLU(3)])
def test_flatten_makes_features_of_the_positions_behind_any_first_layer(first):
    model = pynn.Sequential(first(), pynn.Flatten(), pynn.Linear(48, 2))
    assert model(np.zeros((2, 3, 4, 4), np.float32)).shape == (2, 2)


def test_widths_where_examples_have_more_dimensions():
    of_flatten = r"layer 2 \(Linear\) expects 8 features, but layer 1 \(Flatten\) returns a multiple of 7"
    with pytest.raises(ValueError, match=of_flatten):
        pynn.Sequential(pynn.Linear(4, 7), pynn.Flatten(), pynn.Linear(8, 2))
    rows = pynn.Sequential(pynn.Linear(4, 7), pynn.Flatten(), pynn.Linear(21, 2))
    assert rows(np.zeros((2, 3, 4))).shape == (2, 2)
    with pytest.raises(ValueError, match="expects 8 features, but layer 3"):
        pynn.Sequential(pynn.Embedding(9, 7), pynn.Linear(7, 5), pynn.BatchNorm1d(3), pynn.ReLU(), pynn.Linear(8, 2))
    tokens = pynn.Sequential(pynn.Embedding(9, 7), pynn.Linear(7, 5), pynn.BatchNorm1d(3), pynn.Linear(5, 2))
    assert tokens(np.zeros((2, 3))).shape == (2, 3, 2)
    images = pynn.Sequential(pynn.Linear(4, 7), pynn.Conv2d(3, 5, 1), pynn.ReLU(), pynn.Linear(7, 2))
    assert images(np.zeros((2, 3, 6, 4))).shape == (2, 5, 6, 2)


def test_pooling_behind_a_linear_layer_pools_the_features():
    layers = [pynn.Linear(8, 17), pynn.MaxPool1d(2, ceil_mode=True), pynn.Flatten(), pynn.Linear(18, 2)]
    x = np.ones((3, 2, 8))
    assert pynn.Sequential(*layers)(x).shape == (3, 2)
    branches = [pynn.Sequential(pynn.Linear(8, 17), pynn.AvgPool1d(2)), pynn.Sequential(pynn.Linear(8, 8))]
    pynn.Sequential(pynn.Concat(*branches), pynn.BatchNorm1d(4))(x)
