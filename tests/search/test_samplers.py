"""What samplers propose: in range, reproducible, spread out; grids with conditions; Optuna left as it was."""

import logging

import numpy as np
import optuna
import pytest

from pynn.search import Choice, Integer, LogUniform, Space, Trial, Uniform
from pynn.search.samplers import grid, proposer

SPACE = Space(
    {
        "lr": LogUniform(1e-5, 1e-1),
        "optimizer": Choice("sgd", "adam"),
        "momentum": Uniform(0.0, 0.9, when={"optimizer": "sgd"}),
        "width": Integer(8, 64, log=True),
    }
)


def proposals(sampler, count=16, entropy=(0, 0), space=SPACE):
    source = proposer(sampler, space, count, entropy, maximize=True)
    return [source.ask() for _ in range(count)]


@pytest.mark.parametrize("sampler", ["random", "quasi-random", "tpe"])
def test_proposals_are_in_range_and_the_same_for_the_same_seed(sampler):
    found = proposals(sampler)
    assert found == proposals(sampler)
    assert found != proposals(sampler, entropy=(1, 0))
    assert found != proposals(sampler, entropy=(0, 1))
    for params in found:
        assert 1e-5 <= params["lr"] <= 1e-1
        assert isinstance(params["width"], int)
        assert ("momentum" in params) == (params["optimizer"] == "sgd")
        assert list(params) == SPACE.active(params)


@pytest.mark.parametrize("sampler", ["random", "quasi-random"])
def test_log_ranges_are_sampled_evenly_by_logarithm(sampler):
    logs = np.log10([params["lr"] for params in proposals(sampler, 256)])
    counts, _ = np.histogram(logs, 4, (-5, -1))
    assert counts.min() > 256 / 4 * 0.7


def test_a_quasi_random_sequence_has_a_point_in_every_part():
    space = Space({"a": Uniform(0, 1), "b": Uniform(0, 1)})
    points = np.array([list(params.values()) for params in proposals("quasi-random", 64, space=space)])
    for axis in range(2):
        counts, _ = np.histogram(points[:, axis], 64, (0, 1))
        assert (counts == 1).all()  # of 64 points of a Sobol sequence, one lies in each 64th: chance has 37% empty


def test_a_grid_is_the_product_of_its_axes_within_the_budget():
    space = Space({"a": Uniform(0, 1), "b": Uniform(0, 1)})
    points = grid(space, 9)
    assert {(params["a"], params["b"]) for params in points} == {
        (a, b) for a in (1 / 6, 0.5, 5 / 6) for b in (1 / 6, 0.5, 5 / 6)
    }
    for trials in (1, 2, 5, 7, 20):
        assert trials / 2 < len(grid(space, trials)) <= trials


def test_a_grid_takes_choices_whole_and_leaves_out_what_does_not_exist():
    space = Space({"o": Choice("sgd", "adam"), "m": Uniform(0, 1, when={"o": "sgd"})})
    assert grid(space, 4) == [
        {"o": "sgd", "m": 1 / 6},
        {"o": "sgd", "m": 0.5},
        {"o": "sgd", "m": pytest.approx(5 / 6)},
        {"o": "adam"},
    ]
    with pytest.raises(ValueError, match="at least 2 trials for its choices; got 1"):
        grid(Space({"o": Choice("sgd", "adam")}), 1)


def test_a_grid_of_few_integers_has_each_once():
    assert [params["n"] for params in grid(Space({"n": Integer(1, 3)}), 50)] == [1, 2, 3]


def test_a_model_based_sampler_learns_where_to_look():
    space = Space({"x": Uniform(0, 1)})
    source = proposer("tpe", space, 60, (0, 0), maximize=True)
    tried = []
    for number in range(60):
        params = source.ask()
        tried.append(params["x"])
        if number % 7 == 3:
            source.tell(Trial(number, 0, params, "early"))
        else:
            source.tell(Trial(number, 0, params, "finished", score=-abs(params["x"] - 0.8)))
    assert np.median(np.abs(np.array(tried[30:]) - 0.8)) < 0.1 < np.median(np.abs(np.array(tried[:10]) - 0.8))


def test_a_sampler_of_optuna_is_taken_as_it_is():
    source = proposer(optuna.samplers.RandomSampler(seed=1), SPACE, 4, (0, 0), maximize=True)
    assert source.ask() != source.ask()


def test_optuna_s_verbosity_stays_what_it_was():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.DEBUG)
    try:
        proposals("random", 2)
        assert optuna.logging.get_verbosity() == logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)
