"""Spaces: ranges, scales, conditions, narrowing, and what is refused."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_builds import build, find, same

from pynn.search import Choice, Integer, LogUniform, Space, Uniform

finite = st.floats(-1e6, 1e6)


@given(low=finite, width=st.floats(1e-3, 1e6), share=st.floats(0, 1))
def test_uniform_places_values_linearly(low, width, share):
    parameter = Uniform(low, low + width)
    value = parameter.at(share)
    assert parameter.low <= value <= parameter.high
    assert value == pytest.approx(low + share * width, abs=1e-6 * (abs(low) + width))
    assert parameter.share(value) == pytest.approx(share, abs=1e-6)


@given(low=st.floats(-12, 3), decades=st.floats(0.1, 10), share=st.floats(0, 1))
def test_log_uniform_places_values_by_their_logarithm(low, decades, share):
    parameter = LogUniform(10.0**low, 10.0 ** (low + decades))
    value = parameter.at(share)
    assert parameter.low <= value <= parameter.high
    assert np.log10(value) == pytest.approx(low + share * decades, abs=1e-9)
    assert parameter.share(value) == pytest.approx(share, abs=1e-6)


@given(low=st.integers(-50, 50), count=st.integers(1, 60), share=st.floats(0, 1))
def test_integers_are_whole_and_in_range(low, count, share):
    parameter = Integer(low, low + count)
    assert isinstance(parameter.at(share), int)
    assert low <= parameter.at(share) <= low + count
    assert parameter.points(1000) == list(range(low, low + count + 1))


BAD = {
    "empty": ({"lr": Uniform(1, 1)}, "the range of 'lr' is empty: from 1 to 1"),
    "nan": ({"lr": LogUniform(np.nan, 1)}, "the low end of 'lr' is nan; expected a number"),
    "a truth": ({"lr": Uniform(False, 1)}, "the low end of 'lr' is False; expected a number"),
    "beyond floats": ({"lr": Uniform(0, 10**400)}, "the high end of 'lr' is 1000"),
    "wider than floats": ({"lr": Uniform(-1e308, 1e308)}, "the range of 'lr' is wider than any float"),
    "integers of floats": ({"n": Integer(1, 8.0)}, "the high end of 'n' is 8.0; expected an integer"),
    "integers that are huge": ({"n": Integer(1, 10**30)}, "the high end of 'n' is beyond 2**53"),
    "an option that is huge": ({"n": Choice(1, 10**400)}, "'n' has an option beyond 2**53"),
    "True and 1": ({"n": Choice(True, 1)}, "'n' has equal options: True, 1"),
    "1 and 1.0": ({"n": Choice(1, 1.0)}, "'n' has equal options: 1, 1.0"),
    "two of NumPy's": ({"n": Choice(np.int64(3), 3)}, "'n' has equal options"),
    "reversed": ({"lr": LogUniform(1e-1, 1e-5)}, "the range of 'lr' is reversed: from 0.1 to 1e-05"),
    "log through zero": ({"lr": LogUniform(0, 1)}, "log scale and must be above 0; it begins at 0"),
    "log below zero": ({"n": Integer(-3, 8, log=True)}, "log scale and must be above 0; it begins at -3"),
    "NaN": ({"lr": Uniform(float("nan"), 1)}, "the low end of 'lr' is nan"),
    "infinite": ({"lr": Uniform(0, float("inf"))}, "the high end of 'lr' is inf"),
    "half an integer": ({"n": Integer(0.5, 3)}, "the low end of 'n' is 0.5"),
    "nothing to choose": ({"act": Choice()}, "'act' has no options"),
    "twice": ({"act": Choice("relu", "relu")}, "'act' has equal options"),
    "no parameters": ({}, "space is empty"),
    "unknown condition": (
        {"m": Uniform(0, 1, when={"opt": "sgd"})},
        "depends on 'opt', which is not an earlier parameter",
    ),
    "condition behind": (
        {"m": Uniform(0, 1, when={"opt": "sgd"}), "opt": Choice("sgd", "adam")},
        "not an earlier parameter: none",
    ),
    "condition never true": (
        {"opt": Choice("sgd", "adam"), "m": Uniform(0, 1, when={"opt": "sdg"})},
        "depends on 'opt' being 'sdg'; its options are 'sgd', 'adam'",
    ),
    "condition on a range": ({"a": Uniform(0, 1), "b": Uniform(0, 1, when={"a": 0.5})}, "which is not a Choice"),
}


@pytest.mark.parametrize(("space", "message"), BAD.values(), ids=BAD)
def test_bad_spaces_are_refused_with_what_is_wrong(space, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Space(space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"lr": (1e-5, 1e-1)}, "expected Uniform"),
        ([1], "expected a dict"),
        ({3: Uniform(0, 1)}, "expected text"),
        ({"layer": Choice(object)}, "use names and look them up in build"),
        ({"m": Uniform(0, 1, when="sgd")}, "expected a dict such as"),
    ],
)
def test_things_that_are_no_parameters_are_refused(space, message):
    with pytest.raises(TypeError, match=message):
        Space(space)


def test_conditional_parameters_exist_where_their_conditions_hold():
    space = Space(
        {
            "optimizer": Choice("sgd", "nesterov", "adam"),
            "momentum": Uniform(0.5, 0.99, when={"optimizer": ("sgd", "nesterov")}),
            "deep": Choice(True, False),
            "width": Integer(4, 8, when={"optimizer": "sgd", "deep": True}),
        }
    )
    assert space.active({"optimizer": "adam", "deep": True}) == ["optimizer", "deep"]
    assert space.active({"optimizer": "nesterov", "deep": True}) == ["optimizer", "momentum", "deep"]
    assert space.active({"optimizer": "sgd", "deep": True}) == ["optimizer", "momentum", "deep", "width"]


def test_narrowing_keeps_the_best_and_a_margin_inside_the_range():
    space = Space({"lr": LogUniform(1e-5, 1e5), "n": Integer(1, 3), "act": Choice("a", "b")})
    narrow = space.narrowed([{"lr": 1e-1, "n": 1, "act": "a"}, {"lr": 1e1, "n": 1, "act": "a"}])
    lr = narrow["lr"]
    assert np.log10([lr.low, lr.high]) == pytest.approx([-2, 2])  # a tenth of ten decades on either side
    assert narrow["n"].low == 1
    assert narrow["n"].high == 2
    assert narrow["act"] == space["act"]
    at_edge = space.narrowed([{"lr": 1e5, "n": 3, "act": "a"}])["lr"]
    assert at_edge.high == 1e5
    assert at_edge.low < 1e5
    assert space.narrowed([])["lr"] == space["lr"]


def test_narrowing_looks_only_at_trials_that_have_the_parameter():
    space = Space({"o": Choice("sgd", "adam"), "m": Uniform(0, 1, when={"o": "sgd"})})
    narrow = space.narrowed([{"o": "adam"}, {"o": "sgd", "m": 0.5}])
    assert narrow["m"].low == pytest.approx(0.4)
    assert narrow["m"].high == pytest.approx(0.6)


def test_numbers_of_numpy_become_python_s_which_a_store_can_hold():
    space = Space(
        {
            "lr": LogUniform(np.float32(1e-4), np.float64(1)),
            "n": Integer(np.int8(1), np.uint64(8)),
            "kind": Choice(np.str_("a"), np.bool_(True), np.float32(0.5), np.int64(7), None),
            "m": Uniform(np.float16(0), 1, when={"kind": [np.str_("a"), np.int64(7)]}),
        }
    )
    text = json.dumps(space.describe())
    assert json.loads(text)["kind"]["options"] == ["a", True, 0.5, 7, None]
    assert json.loads(text)["m"]["when"] == {"kind": ["a", 7]}
    assert [type(option) for option in space["kind"].options] == [str, bool, float, int, type(None)]
    assert type(space["n"].high) is int and type(space["lr"].low) is float


@pytest.mark.parametrize("wrong", [LogUniform(8, 64), Integer(0, 8), Choice(16, 0), Choice(16, 32.0), Choice("16")])
def test_a_batch_size_that_is_none_is_told_before_the_search(wrong):
    with pytest.raises(ValueError, match=r"'batch_size' is .*; it sets the batch size: expected an Integer"):
        find(space={"batch_size": wrong})


@pytest.mark.parametrize("sampler", ["random", "grid", "quasi-random", "tpe"])
def test_extreme_ranges_are_searched(tmp_path, sampler):
    space = {
        "lr": Uniform(0.01, 0.1),
        "a": Uniform(-1e300, 1e300),
        "b": LogUniform(1e-300, 1e300),
        "c": Integer(-(2**53), 2**53),
        "d": Choice(*range(300)) if sampler != "grid" else Choice(0, 2**53),
        "e": LogUniform(5e-324, 1.7e308),
    }
    result = find(
        lambda params: build({"lr": params["lr"]}), space, trials=12, epochs=1, sampler=sampler, folder=tmp_path
    )
    for trial in result.trials:
        for name, parameter in result.space.ranges.items():
            assert parameter.low <= trial.params[name] <= parameter.high
    assert same(result, find(lambda params: build({"lr": params["lr"]}), space, trials=12, epochs=1, sampler=sampler))


def test_parameters_called_as_a_column_is_hide_none():
    columns = find(lambda params: build({"lr": 0.1}), {"epochs": Integer(5, 9), "seconds": Choice("a")}).columns()
    assert set(columns["epochs"]) == {2}
    assert set(columns["params.epochs"]) <= {5, 6, 7, 8, 9}
    assert set(columns["params.seconds"]) == {"a"}
