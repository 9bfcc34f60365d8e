"""Tables of other formats than CSV, wide and messy ones, and what is decided about their columns."""

import datetime
import gzip

import numpy as np
import polars as pl
import pytest
from file_formats import write

from pynn import datasets

FRAME = pl.DataFrame(
    {
        "number": [1.5, None, -2.0],
        "whole": [3, 4, None],
        "flag": [True, False, True],
        "colour": ["red", None, " blue "],
        "day": [datetime.date(2020, 1, 2), datetime.date(2020, 1, 9), None],
        "label": ["no", "yes", "no"],
    }
)
NAMES = ["number", "whole", "flag", "colour=blue", "colour=red", "day"]
X = [[1.5, 3, 1, 0, 1, 18263], [np.nan, 4, 0, 0, 0, 18270], [-2, np.nan, 1, 1, 0, np.nan]]


@pytest.mark.parametrize(
    "suffix", [".parquet", ".arrow", ".feather", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".csv.gz"]
)
def test_every_format_gives_the_same_table(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    if suffix in (".json", ".jsonl", ".ndjson"):
        FRAME.write_json(path) if suffix == ".json" else FRAME.write_ndjson(path)
    elif suffix == ".parquet":
        FRAME.write_parquet(path)
    elif suffix in (".arrow", ".feather"):
        FRAME.write_ipc(path)
    else:
        text = FRAME.write_csv(separator="\t" if suffix == ".tsv" else ",").encode()
        path.write_bytes(gzip.compress(text) if suffix == ".csv.gz" else text)
    if suffix.startswith((".csv", ".tsv")):  # text says "true": categories
        table = datasets.read_table(path, "label", drop=["flag"])
        np.testing.assert_array_equal(table.x, np.delete(X, 2, axis=1))
    else:
        table = datasets.read_table(path, "label")
        assert table.feature_names == NAMES
        np.testing.assert_array_equal(table.x, X)
    assert table.class_names == ["no", "yes"]
    assert table.y.tolist() == [0, 1, 0]
    assert table.missing["colour"] == 1


IDENTIFIERS = ("customer_id", "PassengerId", "customerID", "Row ID", "loan-id", "Serial No.", "record_number")
#: Only if they count the rows one by one.
COUNTERS = ("Unnamed: 0.1", "__index_level_0__", "level_0", "...1", "S.No.", "Sr. No.", "No", "Nr.", "X", "X1")


def test_spreadsheets(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["size", "colour", "price"], [1.5, "red", 10], [2.5, "blue", 20.5], [None, "red", 7]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    table = datasets.read_table(tmp_path / "t.xlsx", "price")
    assert table.class_names is None
    np.testing.assert_array_equal(table.x, [[1.5, 0, 1], [2.5, 1, 0], [np.nan, 0, 1]])
    np.testing.assert_array_equal(table.y, [10, 20.5, 7])


def test_data_frames():
    table = datasets.read_table(FRAME, "label")
    np.testing.assert_array_equal(table.x, X)
    new = datasets.read_table(FRAME.drop("label").reverse(), schema=table.schema)
    np.testing.assert_array_equal(new.x, X[::-1])
    with pytest.raises(TypeError, match="expected a file, or a data frame"):
        datasets.read_table(7)


@pytest.mark.parametrize(
    "odd", [b"x", 1j, [1, 2], (1, 2), {"b": 1}, {1}, np.ones(2)], ids=lambda odd: type(odd).__name__
)
def test_objects_that_are_no_cells_are_refused(odd):
    """Their texts are not what they mean, as polars' types of them say."""
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([odd] * 4, dtype="complex" if isinstance(odd, complex) else object)
    frame = pandas.DataFrame({"a": column, "b": [1, 2, 3, 4], "label": ["x", "y"] * 2})
    with pytest.raises(ValueError, match=r"the table: column 'a' holds a .*; expected numbers, text or dates"):
        datasets.read_table(frame)


def test_durations_are_days_in_every_frame():
    pandas = pytest.importorskip("pandas")
    hours, label = [12.0, 36.0, 6.0, None], ["x", "y"] * 2
    frames = [
        pandas.DataFrame({"a": pandas.to_timedelta(hours, unit="h"), "label": label}),
        pl.DataFrame({"a": [None if h is None else datetime.timedelta(hours=h) for h in hours], "label": label}),
    ]
    for frame in frames:
        np.testing.assert_array_equal(datasets.read_table(frame).x[:, 0], [0.5, 1.5, 0.25, np.nan])


def test_data_frames_of_pandas():
    pandas = pytest.importorskip("pandas")
    columns = {
        "a": [1.5, None, 3],
        "b": pandas.Categorical(["x", "y", "x"]),
        "c": pandas.array([1, None, 3], "Int64"),
        "d": pandas.to_datetime(["2020-01-02", None, "2020-01-09"]),
        "e": [True, False, True],
        "y": [0.5, 1, 2],
    }
    table = datasets.read_table(pandas.DataFrame(columns))
    assert table.feature_names == ["a", "b=x", "b=y", "c", "d", "e"]
    nan = np.nan
    np.testing.assert_array_equal(table.x, [[1.5, 1, 0, 1, 18263, 1], [nan, 0, 1, nan, nan, 0], [3, 1, 0, 3, 18270, 1]])
    np.testing.assert_array_equal(table.y, [0.5, 1, 2])


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"PAR1", "t.parquet", "cannot read"),
        (b"{]", "t.json", "cannot read"),
        (b"", "t.jsonl", "is empty|cannot read"),
        (b"nothing", "t.xlsx", "cannot read"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, name, message):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=message) as error:
        datasets.read_table(path)
    assert str(path) in str(error.value)


def test_columns_of_lists_and_records_are_refused_unless_they_are_dropped(tmp_path):
    frame = pl.DataFrame({"a": [[1, 2], [3]], "b": [{"c": 1}, {"c": 2}], "x": [1.5, 2.5], "y": ["u", "v"]})
    frame.write_ndjson(tmp_path / "t.jsonl")
    for source in (frame, tmp_path / "t.jsonl"):
        with pytest.raises(ValueError, match=r"'a' holds lists, 'b' holds records; .* \(drop, --drop a,b\)"):
            datasets.read_table(source)
        table = datasets.read_table(source, drop=["a", "b"])
        np.testing.assert_array_equal(table.x, [[1.5], [2.5]])
        np.testing.assert_array_equal(datasets.read_table(source, schema=table.schema).x, table.x)
    with pytest.raises(ValueError, match="column 'x' holds lists; expected numbers"):
        datasets.read_table(frame.with_columns(x="a"), schema=table.schema)


def test_columns_of_pandas_that_hold_objects_can_be_dropped():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [{"b": 1}, None], "x": [1.5, 2.5], "y": ["u", "v"]})
    with pytest.raises(ValueError, match=r"column 'a' holds a dict, \{'b': 1\}; .* \(drop, --drop a\)"):
        datasets.read_table(frame)
    np.testing.assert_array_equal(datasets.read_table(frame, drop="a").x, [[1.5], [2.5]])


def test_a_sheet_with_a_title_is_refused_and_an_index_without_a_name_is_one(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    rows = [[None, "size", "price"], *([index, index * 7 % 5, index + 0.5] for index in range(8))]
    for name, before in (("index", []), ("title", [["Prices of 2024"], []])):
        book = openpyxl.Workbook()
        for row in (*before, *rows):
            book.active.append(row)
        book.save(tmp_path / f"{name}.xlsx")
    assert datasets.read_table(tmp_path / "index.xlsx").feature_names == ["size"]
    with pytest.raises(ValueError, match="the first row names 1 of 3 columns; delete the rows above the names"):
        datasets.read_table(tmp_path / "title.xlsx")


def test_a_column_named_as_categorical_has_categories_although_all_are_rare():
    frame = pl.DataFrame({"shop": [f"shop {i % 150}" for i in range(600)], "y": [i % 2 for i in range(600)]})
    with pytest.raises(ValueError, match="150 different texts in 600 rows"):
        datasets.read_table(frame)
    assert datasets.read_table(frame, categorical="shop").x.shape == (600, 150)


def test_rare_categories_share_a_column_and_so_do_new_ones(tmp_path):
    values = ["red"] * 60 + ["blue"] * 30 + [f"shade {i}" for i in range(30)]
    lines = [f"{value},{i % 2}\n" for i, value in enumerate(values)]
    table = datasets.read_table(write(tmp_path / "t.csv", "colour,label\n" + "".join(lines)))
    assert table.feature_names == ["colour=blue", "colour=red", "colour=(other)"]
    np.testing.assert_array_equal(table.x.sum(axis=0), [30, 60, 30])
    assert table.notes == {"colour": "2 of 32 categories; the rare ones together"}
    new = datasets.read_table(write(tmp_path / "new.csv", "colour\ngreen\nred\n\n"), schema=table.schema)
    np.testing.assert_array_equal(new.x, [[0, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("name", "values", "note"),
    [
        ("name", [f"person {i}" for i in range(60)], "dropped: 60 different texts in 60 rows, such as"),
        ("id", [str(i) for i in range(60)], "dropped: row numbers"),
        ("", [str(i + 1) for i in range(60)], "dropped: row numbers"),
        ("", [str(i * 37 % 101) for i in range(60)], "dropped: row numbers"),  # of a part, in random order
        ("Id", [str(i * 37 % 101) for i in range(60)], "dropped: row numbers"),
        ("id", [str(10**25 + i) for i in range(60)], "dropped: row numbers"),  # all the same in float64
        *((name, [str(i * 37 % 101) for i in range(60)], "dropped: row numbers") for name in IDENTIFIERS),
        *((name, [str(i + 1) for i in range(60)], "dropped: row numbers") for name in COUNTERS),
        ("empty", ["NA"] * 60, "dropped: no values"),
    ],
)
def test_columns_that_tell_nothing_are_dropped_with_a_word(tmp_path, name, values, note):
    lines = [f"{value},{i * 7 % 5}.5,{i % 2}\n" for i, value in enumerate(values)]
    path = write(tmp_path / "t.csv", f"{name},size,label\n" + "".join(lines))
    table = datasets.read_table(path)
    assert table.feature_names == ["size"]
    assert table.notes[name or "column_0"].startswith(note)
    again = datasets.read_table(path, schema=table.schema)
    np.testing.assert_array_equal(again.x, table.x)


@pytest.mark.parametrize("name", ["paid", "grid", "Madrid", "valid", "no", "price per id card"])
def test_names_that_end_like_an_identifier_are_none(tmp_path, name):
    lines = [f"{i * 37 % 101},{'xy'[i % 2]}\n" for i in range(60)]
    assert datasets.read_table(write(tmp_path / "t.csv", f"{name},label\n" + "".join(lines))).feature_names == [name]


def test_what_only_looks_like_an_index_stays(tmp_path):
    lines = [f"{i},{i // 2},{'xy'[i % 2]}\n" for i in range(20)]
    path = write(tmp_path / "t.csv", "day,id,label\n" + "".join(lines))
    assert datasets.read_table(path).feature_names == ["day", "id"]
    path = write(tmp_path / "u.csv", "id,a,label\n" + "".join(lines))
    assert datasets.read_table(path, numeric=["id"]).feature_names == ["id", "a"]


@pytest.mark.parametrize("header", ["SIZE,COLOUR", "length,shade", "Colour"])
def test_a_header_of_other_names_is_no_row(tmp_path, header):
    """Of new data: the columns are named that are lacking, and no example is made of their names."""
    (tmp_path / "t.csv").write_text("size,colour,label\n1.5,red,no\n2.5,blue,yes\n3.5,red,no\n")
    schema = datasets.read_table(tmp_path / "t.csv", "label").schema
    cells = ["1.5,red", "2.5,blue"] if "," in header else ["red", "blue"]
    (tmp_path / "new.csv").write_text("\n".join([header, *cells]))
    with pytest.raises(ValueError, match=f"lacks column size, colour; it has {header.replace(',', ', ')}"):
        datasets.read_table(tmp_path / "new.csv", schema=schema)
    if "," in header:
        (tmp_path / "new.csv").write_text("\n".join(cells))
        assert len(datasets.read_table(tmp_path / "new.csv", schema=schema).x) == 2


def test_a_table_without_header_drops_the_same_columns_again(tmp_path):
    lines = [f"name {i},{i * 7 % 5}.5,{'xy'[i % 2]}\n" for i in range(40)]
    table = datasets.read_table(write(tmp_path / "t.csv", "".join(lines)))
    assert table.feature_names == ["column_1"]
    new = datasets.read_table(write(tmp_path / "new.csv", "someone,7.5\nother,8.5\n"), schema=table.schema)
    np.testing.assert_array_equal(new.x, [[7.5], [8.5]])


def test_the_first_row_of_a_table_without_header_may_be_text_above_numbers(tmp_path):
    lines = [f"{i % 3 or 'unknown'},{i * 7 % 5}.5,{'xy'[i % 2]}\n" for i in range(12)]
    table = datasets.read_table(write(tmp_path / "t.csv", "".join(lines)), header=False, missing="unknown")
    new = datasets.read_table(write(tmp_path / "new.csv", "unknown,7.5\n2,8.5\n"), schema=table.schema)
    np.testing.assert_array_equal(new.x, [[np.nan, 7.5], [2, 8.5]])


def test_rows_without_a_target_are_left_out_or_predicted(tmp_path):
    text = "a,price\n1,1.5\n2,\n3,2.5\n4,NA\n"
    table = datasets.read_table(write(tmp_path / "t.csv", text))
    assert table.without_target == 2
    np.testing.assert_array_equal(table.x, [[1], [3]])
    assert datasets.read_table(write(tmp_path / "new.csv", "a,price\n2,\n4,\n"), schema=table.schema).y is None


def test_the_user_tells_what_columns_are(tmp_path):
    text = "zip,code,when,size,label\n01,1,3/4/20,none,x\n02,2,5/6/20,unknown,y\n"
    path = write(tmp_path / "t.csv", text)
    table = datasets.read_table(
        path, numeric=["zip"], categorical=["code"], dates={"when": "%m/%d/%y"}, missing=["unknown"], drop=["size"]
    )
    assert table.feature_names[:4] == ["zip", "code=1", "code=2", "when"]
    days = [(datetime.date(2020, *day) - datetime.date(1970, 1, 1)).days for day in ((3, 4), (5, 6))]
    np.testing.assert_array_equal(table.x[:, :4], [[1, 1, 0, days[0]], [2, 0, 1, days[1]]])
    for option in ({"drop": ["age"]}, {"numeric": ["age"]}, {"dates": {"age": ""}}):
        with pytest.raises(ValueError, match=r"names 'age', but .* has zip, code, when, size, label"):
            datasets.read_table(path, **option)
    with pytest.raises(ValueError, match="line 3: column 'size' has 'unknown'; expected a number"):
        datasets.read_table(path, dates={"when": "%m/%d/%y"}, numeric=["size"])


@pytest.mark.parametrize("option", ["drop", "numeric", "categorical"])
def test_an_option_for_features_does_not_name_the_target(tmp_path, option):
    path = write(tmp_path / "t.csv", "a,b,y\n1,2,1\n2,3,0\n3,1,1\n4,5,0\n")
    with pytest.raises(ValueError, match=f"{option} names 'y', which is the target"):
        datasets.read_table(path, target="y", **{option: ["y"]})


def test_large_offsets_keep_their_digits(tmp_path):
    moments = [1_700_000_000_123, 1_700_000_000_124]
    table = datasets.read_table(write(tmp_path / "t.csv", "ms,y\n" + "".join(f"{m},{m + 0.25}\n" for m in moments)))
    assert table.x[:, 0].tolist() == moments
    assert table.y.tolist() == [m + 0.25 for m in moments]


@pytest.mark.parametrize(("rows", "encoded"), [(400, 100), (250_000, 20)])
def test_as_many_categories_are_encoded_as_rows_and_memory_allow(rows, encoded):
    place = np.arange(rows) % 100
    frame = pl.DataFrame({"city": [f"c{number:02}" for number in place], "y": place % 2})
    table = datasets.read_table(frame)
    assert len(table.feature_names) == encoded + (encoded < 100)
    assert table.notes == ({} if encoded == 100 else {"city": "20 of 100 categories; the rare ones together"})
    np.testing.assert_array_equal(table.x.sum(axis=1), 1)


def test_categories_that_are_numbers_share_a_column_too_if_they_are_rare():
    codes = [1] * 60 + [2] * 30 + list(range(100, 130))
    frame = pl.DataFrame({"code": codes, "y": ["u", "v"] * 60})
    table = datasets.read_table(frame, categorical=["code"])
    assert table.feature_names == ["code=1", "code=2", "code=(other)"]
    np.testing.assert_array_equal(table.x.sum(axis=0), [60, 30, 30])
