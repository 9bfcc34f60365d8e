"""What the types of a data frame, or of a file that has types, say of its columns."""

import numpy as np
import polars as pl
import pytest
from cases import case

from pynn import datasets

pandas = pytest.importorskip("pandas")

CODES = [index * 7 % 6 + 1 for index in range(24)]
Y = [("u", "v")[index % 2] for index in range(24)]


def categories_of(codes):
    """Return the same categories in each type that libraries have for them."""
    texts = [str(code) for code in codes]
    return {
        "pandas": pandas.DataFrame({"a": pandas.Categorical(codes)}),
        "pandas, float": pandas.DataFrame({"a": pandas.Categorical([code + 0.5 for code in codes])}),
        "pandas, text": pandas.DataFrame({"a": pandas.Categorical(texts)}),
        "polars": pl.DataFrame({"a": pl.Series(texts, dtype=pl.Categorical)}),
        "polars, enum": pl.DataFrame({"a": pl.Series(texts, dtype=pl.Enum(sorted(set(texts))))}),
    }


def beside(frame, name, values):
    if isinstance(frame, pl.DataFrame):
        return frame.with_columns(pl.Series(name, values))
    return frame.assign(**{name: values})


def test_a_column_whose_type_is_that_of_categories_has_categories():
    for kind, frame in categories_of(CODES).items():
        with case(kind):
            frame = beside(frame, "y", Y)
            table = datasets.read_table(frame)
            assert len(table.feature_names) == 6
            assert table.schema["columns"][0]["kind"] == "category"
            np.testing.assert_array_equal(table.x.sum(axis=1), 1)
            np.testing.assert_array_equal(datasets.read_table(frame, schema=table.schema).x, table.x)
            assert datasets.read_table(frame, numeric="a").feature_names == ["a"]


def test_a_target_whose_type_is_that_of_categories_has_classes():
    for kind, frame in categories_of([*CODES, 40]).items():
        with case(kind):
            frame = beside(frame, "x", np.arange(25) ** 2 / 7)
            assert len(datasets.read_table(frame, "a").class_names) == 7
            assert datasets.read_table(frame, "a", task="regression").class_names is None


def test_categories_that_tell_nothing_are_dropped():
    for kind, values, note in (
        ("names", [f"name {index}" for index in range(40)], "dropped: 40 different texts"),
        ("nothing", [None] * 40, "dropped: no values"),
    ):
        for library in (pandas.DataFrame, pl.DataFrame):
            with case(kind, library=library):
                column = (
                    pandas.Categorical(values)
                    if library is pandas.DataFrame
                    else pl.Series(values, dtype=pl.Categorical)
                )
                table = datasets.read_table(library({"a": column, "b": [0.5, 1.5] * 20, "y": ["u", "v"] * 20}))
                assert table.feature_names == ["b"]
                assert table.notes["a"].startswith(note)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ipc", "json"])
def test_columns_without_values_are_dropped_whatever_their_type(tmp_path, suffix):
    columns = {"e": [None] * 12, "a": [index / 3 for index in range(12)], "y": ["u", "v"] * 6}
    for dtype in (pl.Float64, pl.Int64, pl.Boolean, pl.Date, pl.Datetime, pl.Duration, pl.String, pl.Null):
        frame = pl.DataFrame(columns, schema_overrides={"e": dtype})
        path = tmp_path / ("t.arrow" if suffix == "ipc" else f"t.{suffix}")
        written = frame.with_columns(pl.col("e").cast(pl.String)) if suffix == "csv" else frame
        if suffix == "json" and dtype == pl.Duration:  # polars writes none
            continue
        getattr(written, f"write_{suffix}")(path)
        for source in (path, frame):
            with case(dtype, source=source):
                table = datasets.read_table(source)
                assert table.feature_names == ["a"]
                assert table.notes == {"e": "dropped: no values"}


def test_numbers_that_all_mark_gaps_are_no_values():
    for library in (pandas.DataFrame, pl.DataFrame):
        for e, missing in (([np.nan] * 12, ()), ([-99.0] * 12, "-99"), ([-99] * 12, "-99")):
            with case(library, e=e[0]):
                frame = library({"e": e, "a": [index / 3 for index in range(12)], "y": ["u", "v"] * 6})
                assert datasets.read_table(frame, missing=missing).notes["e"] == "dropped: no values"


def test_a_column_without_a_number_to_fill_its_gaps_can_be_left_out():
    e = [*[None] * 10, 1.5, 2.5]
    table = datasets.read_table(pl.DataFrame({"e": e, "a": range(1, 24, 2), "y": ["u", "v"] * 6}))
    with pytest.raises(
        ValueError, match=r"column 'e' has no number in the training rows .* 2 in the other rows; .*--drop e"
    ):
        table.fit_fill(slice(0, 10))


def test_a_column_called_numeric_needs_a_number(tmp_path):
    (tmp_path / "t.csv").write_text("e,a,y\n" + ",1.5,u\nNA,2.5,v\n" * 6)
    with pytest.raises(ValueError, match=r"t\.csv: column 'e' has no values; .* \(drop, --drop e\)"):
        datasets.read_table(tmp_path / "t.csv", numeric="e")


def booleans(tmp_path, gap):
    """Return a table with booleans in every format that has them, or spells them."""
    flags = [index % 3 == 0 for index in range(12)]
    if gap:
        flags[4] = None
    columns = {"flag": flags, "a": [index / 3 for index in range(12)], "y": [index % 2 == 0 for index in range(12)]}
    frame = pl.DataFrame(columns)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_json(tmp_path / "t.json")
    frame.write_csv(tmp_path / "polars.csv")
    found = {
        "polars": frame,
        "pandas": pandas.DataFrame(columns),
        "nullable": pandas.DataFrame(columns).convert_dtypes(),
    }
    found["pandas"].to_csv(tmp_path / "pandas.csv", index=False)
    frame.with_columns(pl.col("flag", "y").cast(pl.String).str.to_uppercase()).write_csv(tmp_path / "R.csv")
    return found | {path.name: path for path in sorted(tmp_path.iterdir())}


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("options", [{}, {"categorical": "flag"}], ids=["inferred", "categorical"])
def test_booleans_survive_a_change_of_format(tmp_path, gap, options):
    for learned_from, source in booleans(tmp_path, gap).items():
        schema = datasets.read_table(source, "y", **options).schema
        other = booleans(tmp_path, gap=False)
        expected = datasets.read_table(other[learned_from], schema=schema)
        assert set(expected.x[:, 0]) == {0, 1}
        for name, new in other.items():
            with case(learned_from=learned_from, read=name):
                table = datasets.read_table(new, schema=schema)
                np.testing.assert_array_equal(table.x, expected.x)
                np.testing.assert_array_equal(table.y, expected.y)


def test_true_is_no_number_unless_booleans_were_learnt(tmp_path):
    schema = datasets.read_table(pl.DataFrame({"a": [0, 1, 5, 7], "y": ["u", "v"] * 2})).schema
    new = pl.DataFrame({"a": ["1", "True"]})
    with pytest.raises(ValueError, match="row 1: column 'a' has 'True'; expected a number, as in the training data"):
        datasets.read_table(new, schema=schema)


def test_categories_that_differ_by_the_spelling_of_true_stay_apart():
    frame = pl.DataFrame({"a": ["true", "True", "false"] * 4, "y": ["u", "v", "w"] * 4})
    table = datasets.read_table(frame)
    assert table.x.shape == (12, 3)
    np.testing.assert_array_equal(table.x.sum(axis=0), 4)
    assert datasets.read_table(pl.DataFrame({"a": ["FALSE"]}), schema=table.schema).x[0].tolist() == table.x[2].tolist()
