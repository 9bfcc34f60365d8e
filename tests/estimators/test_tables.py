"""Data frames of pandas and polars, categories, missing values, labels of all types, and scale."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import pynn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 120


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    columns = {
        "size": rng.normal(50, 20, N),
        "colour": rng.choice(["red", "green", "blue"], N),
        "flag": rng.choice([True, False], N),
        "count": rng.integers(0, 5, N),
    }
    y = (columns["size"] > 50) ^ (columns["colour"] == "red")
    return columns, y


def frames(columns):
    categories = pd.DataFrame(columns).astype({"colour": "category"})
    return [
        categories,
        pd.DataFrame(columns),
        pl.DataFrame(columns),
        pl.DataFrame(columns, schema_overrides={"colour": pl.Categorical}),
    ]


def encoded(columns):
    """The same columns, by scikit-learn."""
    numbers = StandardScaler().fit_transform(np.column_stack([columns["size"], columns["count"]]))
    colours, flags = (OneHotEncoder(sparse_output=False).fit_transform(columns[k][:, None]) for k in ("colour", "flag"))
    return np.column_stack([numbers[:, 0], colours, flags, numbers[:, 1]])


@pytest.mark.parametrize("kind", range(4))
def test_frames_are_read_by_their_types(table, kind):
    columns, y = table
    frame = frames(columns)[kind]
    settings = {"max_iter": 30, "random_state": 0}
    model = pynn.MLPClassifier(categorical_features="from_dtype", scale="auto", **settings).fit(frame, y)
    expected = pynn.MLPClassifier(**settings).fit(encoded(columns), y)
    np.testing.assert_allclose(model.predict_proba(frame), expected.predict_proba(encoded(columns)), rtol=1e-8)
    assert list(model.feature_names_in_) == list(columns) and model.n_features_in_ == 4
    assert (pickle.loads(pickle.dumps(model)).predict(frame) == model.predict(frame)).all()


@pytest.mark.parametrize("categorical", [["colour", "flag"], [1, 2], [False, True, True, False], np.array([1, 2])])
def test_categories_by_name_index_or_mask(table, categorical):
    columns, y = table
    frame = frames(columns)[0]
    one, other = (
        pynn.MLPClassifier(categorical_features=given, max_iter=3, random_state=0).fit(frame, y).predict_proba(frame)
        for given in (categorical, "from_dtype")
    )
    np.testing.assert_array_equal(one, other)


def test_arrays_of_codes_are_categories_by_index():
    x = np.column_stack([np.tile([3.0, 7.0, 9.0], 20), np.linspace(0, 1, 60)])
    y = (x[:, 0] == 7).astype(int)
    model = pynn.MLPClassifier(categorical_features=[0], max_iter=200, random_state=0).fit(x, y)
    assert len(model.coefs_[0]) == 4 and model.score(x, y) == 1
    assert model.predict([[5.0, 0.5]]).shape == (1,)


@pytest.mark.parametrize("kind", range(4))
def test_unknown_and_missing_values(table, kind):
    columns, y = table
    columns = columns | {"size": columns["size"].copy(), "colour": columns["colour"].astype(object)}
    columns["size"][:5], columns["colour"][5:10] = np.nan, None
    model = pynn.MLPRegressor(categorical_features="from_dtype", scale="auto", max_iter=5, random_state=0)
    model.fit(frames(columns)[kind], y.astype(float))
    mean = np.nanmean(columns["size"])
    changed = {name: np.repeat(values[20:21], 3) for name, values in columns.items()}
    changed["size"][:] = [np.nan, mean, mean]
    changed["colour"][2] = None
    first, second, third = model.predict(frames(changed)[1])
    assert first == pytest.approx(second, rel=1e-9) and third != first
    changed["colour"][:] = ["violet", "mauve", "red"]
    first, second, _ = model.predict(frames(changed)[2])
    assert first == pytest.approx(second, rel=1e-9)


@pytest.mark.parametrize("text", [True, False])
def test_labels_of_all_types(table, text):
    columns, y = table
    x = np.column_stack([columns["size"], columns["count"]])
    plain = np.where(y, "yes", "no") if text else y
    given = [
        plain,
        plain.tolist(),
        pd.Series(plain),
        pl.Series(plain),
        pd.DataFrame({"y": plain}),
        plain.astype(object),
    ]
    given += [pd.Series(plain, dtype="string" if text else "boolean"), pd.Series(plain).astype("category")]
    for labels in given:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A column-vector y")
            model = pynn.MLPClassifier(max_iter=2, random_state=0).fit(x, labels)
        assert model.classes_.tolist() == np.unique(plain).tolist(), type(labels)
        assert set(model.predict(x)) <= set(plain)


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "boolean"])
def test_nullable_labels(dtype):
    labels = pd.Series([0, 1] * 10, dtype=dtype)
    model = pynn.MLPClassifier(max_iter=2, random_state=0).fit(np.arange(20.0)[:, None], labels)
    assert model.classes_.dtype.kind == ("b" if dtype == "boolean" else dtype[0].lower())
    labels[3] = pd.NA
    with pytest.raises(ValueError, match="missing label in row 3"):
        model.fit(np.arange(20.0)[:, None], labels)


@pytest.mark.parametrize("kind", ["string", "object", "category", "polars"])
def test_missing_labels_among_text(kind):
    labels = ["ant", "bee"] * 5 + [None]
    series = pl.Series(labels) if kind == "polars" else pd.Series(labels, dtype=kind)
    with pytest.raises(ValueError, match=r"labels y have a missing value, .*, in row 10"):
        pynn.MLPClassifier().fit(np.zeros((11, 2)), series)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([1, "ant"], "1 in row 0 among labels that are text"), ([1, None], r"unknown \(NoneType, int\)")],
)
def test_labels_of_several_types(labels, message):
    with pytest.raises((TypeError, ValueError), match=message):
        pynn.MLPClassifier().fit(np.zeros((10, 2)), np.array(labels * 5, dtype=object))


def test_a_series_of_values(table):
    columns, _ = table
    for container in (pd.Series, pl.Series):
        model = pynn.MLPRegressor(max_iter=3, random_state=0).fit(columns["count"][:, None], container(columns["size"]))
        assert model.predict(columns["count"][:, None]).shape == (N,)


def test_text_without_leave_says_what_to_pass(table):
    columns, y = table
    with pytest.raises(ValueError, match=r'\(colour.*categorical_features="from_dtype"'):
        pynn.MLPClassifier().fit(frames(columns)[1], y)
    dates = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=N)})
    with pytest.raises(ValueError, match="'when'"):
        pynn.MLPClassifier(categorical_features="from_dtype").fit(dates, y)


DAYS = pd.date_range("2020-01-01", periods=40)
MOMENTS = {
    "days": DAYS,
    "with a zone": DAYS.tz_localize("UTC"),
    "durations": DAYS - DAYS[0],
    "periods": DAYS.to_period("D"),
    "objects": pd.Series([day.date() for day in DAYS], dtype=object),
}


@pytest.mark.parametrize("kind", MOMENTS)
@pytest.mark.parametrize("make", [pynn.MLPClassifier, pynn.MLPRegressor, pynn.TabularClassifier, pynn.TabularRegressor])
def test_dates_are_refused_by_name(make, kind):
    """NumPy turns them into nanoseconds, which trained without a word."""
    moments, y = MOMENTS[kind], np.arange(40) % 2
    alone = pd.DataFrame({"when": moments})
    frames = [alone, alone.assign(size=np.arange(40.0))]
    if kind == "days":
        frames += [pl.DataFrame({"when": moments.to_numpy(), "size": np.arange(40.0)})]
    for frame in frames:
        with pytest.raises(ValueError, match=r"X holds [^;]+ in column 'when'; expected numbers"):
            make().fit(frame, y)
    numbers = np.arange(80.0).reshape(40, 2)
    for given in (moments, list(moments), np.asarray(moments)):
        with pytest.raises(ValueError, match=r"y holds [^;]+; expected numbers"):
            make().fit(numbers, given)
    if kind in ("days", "durations"):
        with pytest.raises(ValueError, match=r"X holds \S+; expected numbers"):
            make().fit(moments.to_numpy()[:, None], y)


def test_dates_are_refused_in_predictions():
    model = pynn.MLPRegressor(max_iter=2).fit(np.arange(40.0)[:, None], np.arange(40.0))
    with pytest.raises(ValueError, match=r"X holds datetime64\[\w+\]; expected numbers"):
        model.predict(DAYS.to_numpy()[:, None])


def test_other_columns_are_refused(table):
    columns, y = table
    model = pynn.MLPClassifier(categorical_features="from_dtype", max_iter=2).fit(frames(columns)[0], y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frames(columns)[0].rename(columns={"size": "length"}))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_scale_is_that_of_scikit_learn(container):
    rng = np.random.default_rng(0)
    x = rng.poisson(1, (N, 5)) * [1.0, 10.0, 1e3, 0.0, 0.1]
    y = (x[:, 0] > 1).astype(int)
    weights = rng.integers(0, 3, N)
    scaled = StandardScaler().fit_transform(x, sample_weight=weights)
    ours = pynn.MLPClassifier(scale="auto", max_iter=10, random_state=0).fit(container(x), y, sample_weight=weights)
    expected = pynn.MLPClassifier(max_iter=10, random_state=0).fit(scaled, y, sample_weight=weights)
    np.testing.assert_allclose(ours.predict_proba(container(x)), expected.predict_proba(scaled), rtol=1e-7)


@pytest.fixture
def towns():
    """Return a frame with a column of 30 categories, and amounts that depend on them."""
    rng = np.random.default_rng(0)
    number, size = rng.integers(30, size=900), rng.normal(size=900)
    effects = 3 * rng.normal(size=30)
    frame = pd.DataFrame({"size": size, "town": [f"t{k}" for k in number], "side": rng.choice(["a", "b"], 900)})
    return frame, effects[number] + size + 0.1 * rng.normal(size=900)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_many_categories_become_learnt_vectors(towns, solver):
    frame, y = towns
    model = pynn.MLPRegressor(
        hidden_layer_sizes=(32,),
        solver=solver,
        categorical_features="from_dtype",
        learning_rate_init=0.01,
        max_iter=80,
        random_state=0,
    ).fit(frame[:700], y[:700])
    assert model.network_[0].cardinalities == (0, 31, 0, 0)
    assert model.coefs_[0].shape == (1 + 8 + 2, 32) and model.n_features_in_ == 3
    assert model.score(frame[700:], y[700:]) > 0.95
    assert (pickle.loads(pickle.dumps(model)).predict(frame) == model.predict(frame)).all()
    new = pd.DataFrame({"size": [0.0] * 3, "town": ["elsewhere", None, "t3"], "side": ["a"] * 3})
    unknown, missing, known = model.predict(new)
    assert unknown == missing != known
    assert not model.network_[0].embeddings[0].weight[0].any()  # that of unknown categories


def test_missing_among_many_categories_is_one_of_them(towns):
    frame, y = towns
    frame = frame.assign(town=frame["town"].where(frame["town"] != "t3"))
    model = pynn.MLPRegressor(
        hidden_layer_sizes=(32,),
        categorical_features=["town", "side"],
        learning_rate_init=0.01,
        max_iter=100,
        random_state=0,
    ).fit(frame, y)
    missing = frame["town"].isna()
    assert np.corrcoef(model.predict(frame[missing]), y[missing])[0, 1] > 0.9
    assert abs((model.predict(frame[missing]) - y[missing]).mean()) < 0.3


def test_vectors_of_categories_go_on_in_further_fits(towns):
    frame, y = towns
    model = pynn.MLPClassifier((16,), categorical_features="from_dtype", random_state=0)
    model.partial_fit(frame, y > 0, classes=[False, True])
    table = model.network_[0].embeddings[0].weight
    before = table[...].copy()
    model.partial_fit(frame, y > 0)
    assert not table[0].any() and (table[1:] != before[1:]).any()
    model.partial_fit(frame.assign(town="elsewhere"), y > 0)
    assert table[0].any()  # unknown categories have a vector of their own, learnt when there are some
