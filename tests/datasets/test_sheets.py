"""Spreadsheets, and which formats may lack names."""

import datetime

import numpy as np
import polars as pl
import pytest
from cases import case

from pynn import datasets

openpyxl = pytest.importorskip("openpyxl")

DAY = datetime.datetime(2024, 1, 1)
ROWS = {
    "numbers": [[index / 4 + 0.126, index % 3, ("yes", "no")[index % 2]] for index in range(12)],
    "numbers with a gap at the top": [[None if index == 0 else index / 4, index % 3, index % 2] for index in range(12)],
    "dates": [[DAY + datetime.timedelta(index), index % 5 + 0.5, ("yes", "no")[index % 2]] for index in range(12)],
    "equal numbers": [[0.5, 0.5, index % 2] for index in range(12)],
}


@pytest.fixture
def sheet(tmp_path):
    def write(rows, name="t.xlsx"):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(tmp_path / name)
        return tmp_path / name

    return write


def test_a_sheet_without_names_keeps_its_first_row(sheet):
    for kind, rows in ROWS.items():
        with case(kind):
            named = datasets.read_table(sheet([["a", "b", "y"], *rows]), task="classification")
            path = sheet(rows)
            for header in (None, False):
                table = datasets.read_table(path, header=header, task="classification")
                assert len(table.x) == len(rows)
                np.testing.assert_array_equal(table.x, named.x)
                assert table.schema["target"]["name"] == "column_2"
            again = datasets.read_table(path, schema=table.schema)
            np.testing.assert_array_equal(again.x, table.x)
            np.testing.assert_array_equal(again.y, table.y)


def test_the_user_says_whether_a_sheet_has_names(sheet):
    rows = [[1990, 1991, 5], [3, 8, 6], [4, 4, 7], [9, 3, 5]]
    path = sheet(rows)
    assert datasets.read_table(path, header=True).schema["target"]["name"] == "5"
    assert len(datasets.read_table(path, header=False).x) == 4
    with pytest.raises(ValueError, match=r"^header is 'no'; expected True or False"):
        datasets.read_table(path, header="no")


def test_columns_that_always_have_names_cannot_lack_them(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pl.DataFrame({"a": [0.5, 1.5, 2.5], "y": ["u", "v", "u"]})
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow")
    frame.write_json(tmp_path / "t.json")
    for source in (frame, pandas.DataFrame(frame.to_dict(as_series=False)), *tmp_path.iterdir()):
        with case(source):
            assert len(datasets.read_table(source, header=True).x) == 3
            with pytest.raises(ValueError, match=r"header=False .* always have names"):
                datasets.read_table(source, header=False)
