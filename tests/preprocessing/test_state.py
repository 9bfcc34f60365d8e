"""Writing fitted transformers down, and making them again."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import preprocessing as peers
from sklearn.base import clone
from transformer_cases import ON_IMAGES

from pynn.preprocessing import (
    PCA,
    ZCA,
    Center,
    ChannelCenter,
    ChannelStandardize,
    MinMax,
    NotFittedError,
    Pipeline,
    Standardize,
    from_state,
    to_state,
)


@pytest.mark.parametrize("transformer", [*ON_IMAGES, Pipeline([MinMax((0, 2)), Pipeline([Center(), ZCA()])])], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_restored_transformers_agree_to_the_bit(transformer, dtype, images):
    images = images.astype(dtype)
    fitted = copy.deepcopy(transformer).fit(images)
    config, arrays = to_state(fitted)
    restored = from_state(json.loads(json.dumps(config)), arrays)
    assert type(restored) is type(fitted)
    assert repr(restored) == repr(fitted)
    y = fitted.transform(images)
    for twin in (restored, pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(twin.transform(images), y)
        np.testing.assert_array_equal(twin.inverse_transform(y), fitted.inverse_transform(y))
    assert to_state(restored)[0] == config


@pytest.mark.parametrize("transformer", [Center(), Standardize(), ChannelStandardize(), MinMax()], ids=repr)
def test_restored_scaling_continues_with_partial_fit(transformer, images):
    whole = clone(transformer).fit(images[:20]).partial_fit(images[20:])
    restored = from_state(*to_state(clone(transformer).fit(images[:20]))).partial_fit(images[20:])
    np.testing.assert_array_equal(restored.transform(images), whole.transform(images))


def test_restored_pca_says_that_it_cannot_continue(rows):
    with pytest.raises(NotFittedError, match="restored from its state, which has no covariance"):
        from_state(*to_state(PCA().fit(rows))).partial_fit(rows)


def test_numpy_parameters_become_plain(rows):
    config, arrays = to_state(Pipeline([MinMax((np.float64(0), np.int64(2))), PCA(np.int64(2))]).fit(rows))
    restored = from_state(json.loads(json.dumps(config)), arrays)
    assert repr(restored) == "Pipeline(steps=[MinMax(feature_range=(0.0, 2), clip=False), PCA(n_components=2)])"


def test_state_holds_copies(rows):
    center = Center().fit(rows)
    center.state()["mean"][:] = 0
    assert center.mean_.any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class": "builtins.eval", "params": {}}, "unknown class of transformer: builtins.eval; expected one of"),
        ({"class": "Transformer", "params": {}}, "unknown class"),
        ({"class": ["Center"], "params": {}}, "unknown class"),
        ({"class": "Center"}, "config is"),
        ("Center", "config is"),
        ({"class": "Center", "params": {"eps": 1}}, "cannot restore"),
        ({"class": "Center", "params": []}, "parameters of Center"),
        ({"class": "Standardize", "params": {"eps": -1}}, "eps is -1"),
        ({"class": "Standardize", "params": {"eps": "x"}}, "eps is 'x'"),
        ({"class": "Pipeline", "params": {"steps": "Center"}}, "parameters of Pipeline"),
        (
            {"class": "Pipeline", "params": {"steps": [{"class": "os", "params": {}}]}},
            "unknown class of transformer: os",
        ),
        ({"class": "Pipeline", "params": {"steps": []}}, "steps is empty"),
    ],
)
def test_bad_configs(config, message):
    with pytest.raises(ValueError, match=message):
        from_state(config, {})


@pytest.mark.parametrize(
    ("transformer", "changes", "message"),
    [
        (Standardize(), {"m2": None}, r"has arrays \['mean', 'n_samples_seen'\]; expected"),
        (Standardize(), {"more": np.zeros(2)}, "has arrays"),
        (Standardize(), {"m2": np.zeros(5)}, "expected one shape"),
        (Standardize(), {"m2": np.full(6, -1.0)}, "negative sum of squares"),
        (Standardize(), {"mean": np.zeros(6, np.float32)}, "'mean' of Standardize is float32; expected float64"),
        (Standardize(), {"mean": np.array(["a"] * 6)}, "expected float64"),
        (Standardize(), {"mean": np.full(6, np.nan)}, "has a NaN"),
        (Standardize(), {"n_samples_seen": np.array(0)}, "expected one positive number"),
        (Standardize(), {"n_samples_seen": np.array([3])}, "expected one positive number"),
        (MinMax(), {"data_min": np.full(6, 1e9)}, "exceeds"),
        (PCA(2), {"components": np.zeros((2, 5))}, r"components \(2, 5\)"),
        (PCA(2), {"components": np.zeros((3, 6)), "explained_variance": np.ones(3)}, r"components \(3, 6\)"),
        (PCA(2), {"explained_variance": np.array(1.0)}, r"explained_variance \(\)"),
        (PCA(2), {"explained_variance": np.array([1.0, -1.0])}, "negative variance"),
        (Pipeline([Center()]), {"0.mean": None}, "has arrays"),
        (Pipeline([Center()]), {"1.mean": np.zeros(6)}, "belongs to no step of a Pipeline of 1 steps"),
    ],
)
def test_bad_arrays(transformer, changes, message, rows):
    config, arrays = to_state(transformer.fit(rows))
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    with pytest.raises(ValueError, match=message):
        from_state(config, arrays)


def test_bad_channel_arrays(images):
    config, arrays = to_state(ChannelCenter().fit(images))
    with pytest.raises(ValueError, match=r"'mean' of ChannelCenter has shape \(3, 1\); expected \(C,\)"):
        from_state(config, arrays | {"mean": np.zeros((3, 1))})


def test_only_transformers_of_the_package_have_a_state(rows):
    class Mine(Center):
        pass

    for stranger in (Mine().fit(rows), Pipeline([Mine().fit(rows)]), peers.StandardScaler()):
        with pytest.raises(TypeError, match="expected one of Center"):
            to_state(stranger)


def leaves(node, place=()):
    yield place
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield from leaves(node[key], (*place, key))


VALUES = st.one_of(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    st.sampled_from([0, -1, 1, 10**30, 10**400, [], {}, [[]], [1, 2], ["a"], {"class": "Center", "params": {}}]),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner)),
)
ARRAYS = st.sampled_from(
    [
        *(None, 3, "a", [], [[1.0], [2.0, 3.0]], np.zeros(0), np.zeros((2, 0)), np.float64(2), np.array([None])),
        *(np.ones(6), np.full(6, np.inf), np.ones((6, 6)), np.zeros((6, 6)), np.int64(5), np.ones((1, 1, 6))),
    ]
)


@pytest.mark.parametrize("transformer", [*ON_IMAGES, Pipeline([MinMax((0, 2)), Pipeline([Center(), ZCA()])])], ids=repr)
@given(data=st.data())
def test_any_state_is_restored_or_refused_by_a_value_error(transformer, data):
    x = np.random.default_rng(0).normal(size=(9, 3, 2, 1))
    config, arrays = to_state(copy.deepcopy(transformer).fit(x))
    config = json.loads(json.dumps(config))
    if data.draw(st.booleans()):
        place = data.draw(st.sampled_from(list(leaves(config))))
        node, value = config, data.draw(VALUES)
        for key in place[:-1]:
            node = node[key]
        if place:
            node[place[-1]] = value
        else:
            config = value
    else:
        arrays[data.draw(st.sampled_from([*arrays, "", "0", "0.", "x.mean"]))] = data.draw(ARRAYS)
    try:
        restored = from_state(config, arrays)
    except ValueError:
        return
    again = from_state(*to_state(restored))
    try:
        expected = restored.transform(x)
    except ValueError:
        return
    np.testing.assert_array_equal(again.transform(x), expected)


def test_a_config_that_is_nested_too_deep_is_refused():
    config = {"class": "Center", "params": {}}
    for _ in range(5000):
        config = {"class": "Pipeline", "params": {"steps": [config]}}
    with pytest.raises(ValueError, match="cannot restore a transformer"):
        from_state(config, {})
