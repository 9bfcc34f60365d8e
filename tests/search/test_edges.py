"""Ranges at whose edge the best values lie, and what is suggested instead."""

import numpy as np

from pynn import search
from pynn.search import Integer, LogUniform, Uniform


def score_by(function, space, count=30, seed=0):
    rng = np.random.default_rng(seed)
    checked = search.Space(space)
    trials = []
    for number in range(count):
        params = {name: parameter.at(rng.uniform()) for name, parameter in checked}
        trials.append(search.Trial(number, 0, params, "finished", score=function(params)))
    return search.edges.edges(trials, checked, maximize=True)


def test_a_range_that_does_not_matter_is_hardly_ever_said_to_be_too_narrow():
    space = {"a": Uniform(1, 2), "b": Integer(1, 3), "c": LogUniform(1, 10)}
    found = sum(
        len(score_by(lambda params, seed=seed: hash((seed, params["a"])) % 1000, space, seed=seed))
        for seed in range(200)
    )
    assert found < 0.04 * 200 * 3


def test_edges_of_integers_and_beside_zero():
    assert str(score_by(lambda p: p["n"], {"n": Integer(1, 8)})[0]).endswith("from 1 to 8; try 1 to 12")
    assert score_by(lambda p: -p["p"], {"p": Uniform(0, 0.5)}) == []  # below 0 there is nothing to try
    (edge,) = score_by(lambda p: p["p"], {"p": Uniform(0, 0.5)})
    assert (edge.try_low, edge.try_high) == (0, 0.75)


def test_the_other_end_of_a_range_stays_as_it_is():
    # The logarithm of 25.428217015058735, and back, is another number.
    (edge,) = score_by(lambda p: -p["lr"], {"lr": LogUniform(0.03664328335898755, 25.428217015058735)})
    assert (edge.try_low, edge.try_high) == (0.0014, edge.high)
