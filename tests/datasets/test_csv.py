"""Tables in CSV files."""

import csv
import io
import json

import numpy as np
import pytest
from file_formats import write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from pynn import datasets


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def csv_file(tmp_path):
    return lambda text, name="table.csv": write(tmp_path / name, text)


# CSV

MIXED = "size,colour,grade\n1.5,red,b\n,blue,a\n-2e1,NA,b\n4,red,a\n"


def test_csv_of_numbers_text_and_gaps(csv_file):
    table = datasets.read_csv(csv_file(MIXED))
    assert table.feature_names == ["size", "colour=blue", "colour=red"]
    np.testing.assert_array_equal(table.x, [[1.5, 0, 1], [np.nan, 1, 0], [-20, 0, 0], [4, 0, 1]])
    assert (table.x.dtype, table.y.dtype) == (np.float64, np.int64)
    np.testing.assert_array_equal(table.y, [1, 0, 1, 0])
    assert table.class_names == ["a", "b"]
    assert table.missing == {"size": 1, "colour": 1}


def test_fill_means_come_from_the_training_rows_and_travel_with_the_schema(csv_file):
    table = datasets.read_csv(csv_file(MIXED))
    filled = table.fit_fill([0, 1, 2])
    assert filled.x[1, 0] == (1.5 - 20) / 2
    assert np.isnan(table.x[1, 0])
    assert table.schema["columns"][0]["fill"] is None
    schema = json.loads(json.dumps(filled.schema))
    new = datasets.read_csv(csv_file("size,colour\n?,red\n", "new.csv"), schema=schema)
    np.testing.assert_array_equal(new.x, [[(1.5 - 20) / 2, 0, 1]])
    assert new.y is None
    assert new.missing == {"size": 1}
    mask = np.array([True, False, False, False])
    assert table.fit_fill(mask).x[1, 0] == table.fit_fill(slice(0, 1)).x[1, 0] == 1.5
    with pytest.raises(ValueError, match="filled already"):
        filled.fit_fill(mask)
    with pytest.raises(ValueError, match="column 'size' has no number in the training rows"):
        table.fit_fill([1])
    for rows in ([], 1):
        with pytest.raises(ValueError, match="selects no rows"):
            table.fit_fill(rows)


@pytest.mark.parametrize(
    ("text", "rows", "names"),
    [
        ("a,b\n1,2\n3,4\n", 2, ["a"]),
        ("1,2\n3,4\n", 2, ["column_0"]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,?,virginica\n", 3, ["column_0", "column_1"]),
        ("wind,play\nweak,yes\nstrong,no\nweak,no\n", 3, ["wind=strong", "wind=weak"]),
        ("weak,yes\nstrong,no\nweak,no\n", 3, ["column_0=strong", "column_0=weak"]),
        (",a,b\n7,1,2\n1,3,4\n", 2, ["column_0", "a"]),
        ("a,b\n?,x\n2,y\n", 2, ["a"]),
    ],
)
def test_csv_header_is_recognised(csv_file, text, rows, names):
    table = datasets.read_csv(csv_file(text))
    assert len(table.x) == rows
    assert table.feature_names == names


def test_csv_header_can_be_given(csv_file):
    path = csv_file("name,2019,2020\nann,1,2\nbob,3,4\n")
    assert len(datasets.read_csv(path, header=False, task="classification").x) == 3
    assert datasets.read_csv(path, header=True).feature_names == ["name=ann", "name=bob", "2019"]
    assert datasets.read_csv(path, "2019").feature_names == ["name=ann", "name=bob", "2020"]
    assert len(datasets.read_csv(csv_file("a,1\nb,2\n"), header=False).x) == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_dialects(tmp_path, delimiter, encoding, newline):
    rows = [["größe", "note, long; with\ttab", "t"], ["1", 'say "a",\nthen b', "no"], [" 2 ", "", "yes"]]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=newline).writerows([*rows[:2], [], *rows[2:]])
    table = datasets.read_csv(write(tmp_path / "t.csv", text.getvalue().encode(encoding)))
    assert table.feature_names[0] == "größe"
    np.testing.assert_array_equal(table.x, [[1, 1], [2, 0]])
    assert table.class_names == ["no", "yes"]


@pytest.mark.parametrize(
    ("labels", "task", "names", "y"),
    [
        ("10 9 10", None, ["9", "10"], [1, 0, 1]),
        ("1.0 0 +1", None, ["0", "1"], [1, 0, 1]),
        ("no 7 no", None, ["7", "no"], [1, 0, 1]),
        ("1.5 2 -3", None, None, [1.5, 2, -3]),
        ("1700000000.25 2 -3", None, None, [1700000000.25, 2, -3]),
        ("1 2 3", "regression", None, [1, 2, 3]),
        ("007 7 01", None, ["007", "01", "7"], [0, 2, 1]),
        (
            "9007199254740993 9007199254740992.0 18446744073709551615",
            None,
            ["9007199254740992", "9007199254740993", "18446744073709551615"],
            [1, 0, 2],
        ),
        ("1.5 2.5 1.5", "classification", ["1.5", "2.5"], [0, 1, 0]),
    ],
)
def test_csv_targets(csv_file, labels, task, names, y):
    text = "f,t\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels.split()))
    table = datasets.read_csv(csv_file(text), "t", task=task)
    assert table.class_names == names
    assert table.y.dtype == (np.float64 if names is None else np.int64)
    np.testing.assert_array_equal(table.y, y)
    again = datasets.read_csv(csv_file(text), schema=table.schema)
    np.testing.assert_array_equal(again.y, y)
    np.testing.assert_array_equal(again.x, table.x)


@pytest.mark.parametrize(
    ("target", "names"), [("a", ["b", "c"]), (1, ["a", "c"]), (-3, ["b", "c"]), (None, ["a", "b"]), ("c", ["a", "b"])]
)
def test_csv_target_by_name_or_index(csv_file, target, names):
    assert datasets.read_csv(csv_file("a,b,c\n1,2,3\n4,5,6\n"), target).feature_names == names


@settings(max_examples=60, deadline=None)
@given(
    x=st_numpy.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.floats(-3e38, 3e38) | st.just(np.nan)
    ),
    labels=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=6, max_size=6),
    delimiter=st.sampled_from(",;\t"),
)
def test_csv_round_trip(tmp_path_factory, x, labels, delimiter):
    x[0] = np.nan_to_num(x[0])  # every column has a number
    labels = [f"class {label}".strip() for label in labels[: len(x)]]
    names = [f"f{i}" for i in range(x.shape[1])]
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow([*names, "label"])
        writer.writerows([*map(repr, row), label] for row, label in zip(x.tolist(), labels, strict=True))
    table = datasets.read_csv(path, "label")
    np.testing.assert_array_equal(table.x, x)
    assert table.feature_names == names
    assert [table.class_names[i] for i in table.y] == labels
    again = datasets.read_csv(path, schema=json.loads(json.dumps(table.schema)))
    np.testing.assert_array_equal(again.x, x)
    np.testing.assert_array_equal(again.y, table.y)


@settings(max_examples=80, deadline=None)
@given(text=st.text(alphabet='ab1,;\t\n\r" ?.-', max_size=60))
def test_any_text_gives_a_table_or_a_clear_error(tmp_path_factory, text):
    path = write(tmp_path_factory.mktemp("csv") / "t.csv", text.encode())
    try:
        table = datasets.read_csv(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert table.x.shape == (len(table.y), len(table.feature_names))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("\n  \n", {}, "is empty"),
        ("a,b\n", {}, "has a header but no rows"),
        ("a,b\n1,2\n1,2,3\n", {}, "line 3: 3 cells; expected 2, as in line 1"),
        ('a,b\n1,"x\ny"\n1\n', {}, "line 4: 1 cells"),
        ('a,b\n1,"x\n', {}, "line 2: unexpected end of data"),
        (b"a,b\n\xff,1\n", {}, "is not UTF-8"),
        ("a\n1\n", {}, "has one column"),
        ("a,a,b\n1,2,3\n", {}, "more than one column named 'a'"),
        ("a,b\n1,2\n", {"target": "c"}, "has no column 'c'; it has a, b"),
        ("a,b\n1,2\n", {"target": 2}, "has no column 2; it has 2: a, b"),
        ("a,b\n1,2\n", {"target": -3}, "has no column -3"),
        ("a,b\n" + "1,\n" * 15, {}, "target 'b' has no values"),
        ("a,b\n1,1\n2,2\n", {"drop": ["a"]}, "can be learnt from: 'a': dropped$"),
        ("a,b\n?,1\n,2\n", {"header": True}, "no feature beside its target that can be learnt from: 'a': .*no values"),
        ("a,b\n1,2\ninf,3\n", {}, "line 3: column 'a' has 'inf'; expected a finite number"),
        ("a,b\n1,inf\n2,3\n", {}, "line 2: target 'b' has 'inf'"),
        ("a,b\n1,x\n2,3\n", {"task": "regression"}, "line 2: target 'b' is 'x'; regression needs numbers"),
        ("a,b\n1,2\n", {"task": "ranking"}, "task is 'ranking'"),
        (
            "a,b\n" + "".join(f"{i if i != 5 else 'x5'},{i % 2}\n" for i in range(21)),
            {"header": True},
            "line 7: column 'a' has 'x5' among numbers",
        ),
    ],
)
def test_csv_refuses(csv_file, text, options, message):
    path = csv_file(text)
    with pytest.raises(ValueError, match=message):
        datasets.read_csv(path, **options)


@pytest.mark.parametrize("target", [1.0, True, ["a"]])
def test_csv_refuses_a_target_that_is_neither_name_nor_index(csv_file, target):
    with pytest.raises(TypeError, match="expected the name of a column or its index"):
        datasets.read_csv(csv_file(MIXED), target)


def test_csv_twenty_categories_are_encoded(csv_file):
    table = datasets.read_csv(csv_file("a,b\n" + "".join(f"v{i:02},{i % 2}\n" for i in range(20))))
    np.testing.assert_array_equal(table.x, np.eye(20))


@pytest.mark.parametrize(
    ("text", "x", "y"),
    [
        ("size,colour,grade\n2,red,a\n", [2, 0, 1], [0]),
        ("id,grade,colour,size\n9,b,blue,3\n", [3, 1, 0], [1]),
        ("colour;size\nblue;3\n", [3, 1, 0], None),
        ("3,blue\n", [3, 1, 0], None),
        ("3,?,b\n", [3, 0, 0], [1]),
    ],
)
def test_csv_with_a_schema(csv_file, text, x, y):
    schema = datasets.read_csv(csv_file(MIXED)).schema
    table = datasets.read_csv(csv_file(text, "new.csv"), schema=schema)
    np.testing.assert_array_equal(table.x, [x])
    assert (None if table.y is None else table.y.tolist()) == y
    assert table.class_names == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("size,grade\n1,a\n", {}, "lacks column colour; it has size, grade"),
        ("size,colour\nbig,red\n", {}, "line 2: column 'size' has 'big'; expected a number, as in the training data"),
        ("size,colour,grade\n1,red,c\n", {}, "line 2: target 'grade' is 'c', which is none of the classes a, b"),
        ("1,red,a,7\n", {}, r"no header and 4 columns; expected 2 features \(size, colour\)"),
        ("size,colour\n1,red\n", {"target": "size"}, "are part of the schema"),
        ("width,hue\n1,red\n", {}, "lacks column size, colour; it has width, hue"),
    ],
)
def test_csv_refuses_what_does_not_fit_the_schema(csv_file, text, options, message):
    schema = datasets.read_csv(csv_file(MIXED)).schema
    with pytest.raises(ValueError, match=message):
        datasets.read_csv(csv_file(text, "new.csv"), schema=schema, **options)


def test_csv_without_header_keeps_the_place_of_its_target(csv_file):
    schema = datasets.read_csv(csv_file("yes,1,2\nno,3,4\nyes,5,6\n"), 0).schema
    np.testing.assert_array_equal(datasets.read_csv(csv_file("no,7,8\n"), schema=schema).x, [[7, 8]])
    np.testing.assert_array_equal(datasets.read_csv(csv_file("7,8\n"), schema=schema).x, [[7, 8]])


def test_csv_class_named_none_is_a_class_like_others(csv_file):
    schema = datasets.read_csv(csv_file("a,b\n1,None\n2,some\n")).schema
    with pytest.raises(ValueError, match="target 'b' is 'many', which is none of the classes None, some"):
        datasets.read_csv(csv_file("a,b\n1,many\n"), schema=schema)


def test_a_category_that_was_not_there_is_told_and_read_as_missing(csv_file):
    schema = datasets.read_csv(csv_file(MIXED)).schema
    new = csv_file("size,colour\n1,red\n2,green\n", "new.csv")
    with pytest.warns(datasets.TableWarning, match="line 3: column 'colour' has 'green', none of the known categories"):
        table = datasets.read_csv(new, schema=schema)
    np.testing.assert_array_equal(table.x, [[1, 0, 1], [2, 0, 0]])


@pytest.mark.parametrize(
    "change",
    [
        {"columns": None},
        {"columns": []},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": "a", "kind": "picture", "categories": [], "fill": None}]},
        {"columns": [{"name": "a", "kind": "number", "categories": [], "fill": float("nan")}]},
        {"target": {"name": "t", "index": 9, "class_names": None}},
        {"columns": [{"name": "a", "kind": "number", "categories": [], "fill": None, "decimal": "x"}]},
        {"columns": [{"name": "a", "kind": "category", "categories": [], "fill": None, "other": 1}]},
        {"dropped": "a"},
        {"target": {"name": "t", "index": 0, "class_names": "ab"}},
    ],
)
def test_csv_refuses_a_broken_schema(csv_file, change):
    schema = datasets.read_csv(csv_file(MIXED)).schema
    with pytest.raises(ValueError, match="schema was not made by read_table"):
        datasets.read_csv(csv_file(MIXED), schema={**schema, **change})


@pytest.mark.parametrize(
    ("values", "counts", "classes"),
    [
        ([0, 1], [30, 2], True),
        ([4, 6, 8], [11, 7, 14], True),  # cylinders of cars
        ([2007, 2008, 2009], [110, 114, 120], True),
        (range(10), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180], True),  # digits
        (range(1, 27), [30 + 7 * (i * 5 % 11) for i in range(26)], True),  # letters
        ([1, 2, 3, 4, 5], [15, 40, 60, 35, 10], True),
        ([3, 4, 5, 6, 7, 8], [10, 53, 681, 638, 199, 18], False),  # grades of wines
        (range(11), [94, 163, 348, 1030, 2066, 3432, 6092, 5044, 2889, 1684, 926], False),  # words known of ten
        (range(9), [207, 113, 86, 19, 1, 9, 31, 1, 3], False),
        ([0, 1, 2, 3, 7, 12], [451, 34, 17, 19, 42, 38], False),
        (range(20, 60), [3] * 40, False),
        (range(11), [2] * 11, False),  # scores of patients, one row per score and sex
        (range(218), [1] * 218, False),
    ],
)
def test_whole_numbers_are_classes_or_amounts(csv_file, values, counts, classes):
    target = np.random.default_rng(0).permutation(np.repeat(list(values), counts))
    table = datasets.read_csv(csv_file("a,t\n" + "".join(f"{i},{value}\n" for i, value in enumerate(target))))
    assert (table.class_names is not None) == classes
    assert sorted(set(table.y)) == (list(range(len(counts))) if classes else list(values))


@pytest.mark.parametrize("cell", ["0e99999999999999999999", "0.0e-99999999999999999999", "-0e7"])
def test_a_zero_of_any_exponent_is_zero(csv_file, cell):
    assert datasets.read_csv(csv_file(f"a,t\n1,{cell}\n2,1\n3,0\n")).class_names == ["0", "1"]
