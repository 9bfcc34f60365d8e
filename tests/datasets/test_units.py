"""Numbers with units: read where a column has one, refused where it has several; text with a number in front stays."""

import json
import re

import numpy as np
import polars as pl
import pytest
from file_formats import write

from pynn import datasets


@pytest.fixture
def csv_file(tmp_path):
    return lambda text, name="table.csv": write(tmp_path / name, text)


@pytest.fixture
def column(csv_file):
    """Return the file of a table with a column of cells."""

    def made(cells, name="table.csv"):
        return csv_file("a,label\n" + "".join(f'"{cell}",{"xy"[i % 2]}\n' for i, cell in enumerate(cells)), name)

    return made


@pytest.mark.parametrize(
    ("cells", "numbers", "note"),
    [
        (["12 kg", "1.5kg", "-3 kg"], [12, 1.5, -3], "numbers in kg"),
        (["12 kg", "13 Kg", "14 KGS"], [12, 13, 14], "numbers in kg"),
        (["1 year", "2 years", "3 years"], [1, 2, 3], "numbers in years"),
        (["1,200 km/h", "(5 km/h)", "NA"], [1200, -5, np.nan], "numbers in km/h"),
        (["21 °C", "-2.5 °C"], [21, -2.5], "numbers in °C"),
        (["5 m²", "6 m²"], [5, 6], "numbers in m²"),
        (["300 K", "310 K"], [300, 310], "numbers in K"),
        (["5m", "7m"], [5, 7], "numbers in m"),
        ([f"{i} kg" for i in range(39)] + ["39"], range(40), "numbers in kg, 1 of them without it"),
        (["1.2M", "900k", "7"], [1.2e6, 9e5, 7], "1.2M is 1.2e+06"),
        (["300K", "310K"], [3e5, 3.1e5], "300K is 300000"),
        (["5 million", "7 thousand"], [5e6, 7e3], "5 million is 5e+06"),
        (["€1.5M", "€200K", "€0"], [1.5e6, 2e5, 0], "€1.5M is 1.5e+06"),
        (["$5m", "$7m"], [5e6, 7e6], "$5m is 5e+06"),
        (["US$ 5", "7 USD", "$8"], [5, 7, 8], "US$ 5 is 5"),
        (["Rs. 500", "Rs 7"], [500, 7], "Rs. 500 is 500"),
        (["0%", "5%"], [0, 0.05], "5% is 0.05"),
        (["$5", "7", "8.5"], [5, 7, 8.5], "$5 is 5"),
    ],
)
def test_a_unit_of_the_whole_column_is_told_and_kept(column, cells, numbers, note):
    table = datasets.read_table(column(cells))
    assert table.feature_names == ["a"]
    np.testing.assert_allclose(table.x[:, 0], list(numbers), rtol=1e-15)
    assert table.notes == {"a": note}
    again = datasets.read_table(column(cells, "again.csv"), schema=json.loads(json.dumps(table.schema)))
    np.testing.assert_array_equal(again.x, table.x)


@pytest.mark.parametrize(
    ("cells", "kept", "refused"),
    [
        (["12 kg", "13 kg"], ["5kg", "5 KG", "5"], ["5 g", "5 lb", "5%", "$5", "5 kg net"]),
        (["12 mW", "13 mW"], ["5 mw", "5"], ["5 MW", "5 W"]),
        (["12%", "13%"], ["5%", "5 %"], ["5", "5 kg", "0.05"]),
        (["$12", "$13"], ["$5", "5 USD", "5"], ["€5", "5%", "$5M"]),
        (["12", "13"], ["5", "1e2"], ["5 kg", "5%", "$5", "5M"]),
        (["1.2M", "3k"], ["5", "5B", "2K"], ["$5", "5 kg"]),
    ],
)
def test_other_files_have_the_same_unit(column, cells, kept, refused):
    schema = json.loads(json.dumps(datasets.read_table(column(cells)).schema))
    for cell in kept:
        assert datasets.read_table(column([cell], "new.csv"), schema=schema).missing == {}
    for cell in refused:
        with pytest.raises(ValueError, match=r"line 2: column 'a' has .*; expected a"):
            datasets.read_table(column([cell], "new.csv"), schema=schema)


def test_a_schema_of_a_former_version_reads_what_it_read(column):
    schema = datasets.read_table(column(["12", "13"])).schema
    del schema["columns"][0]["unit"]
    for cell, number in (("$5", 5), ("5%", 0.05), ("5", 5)):
        assert datasets.read_table(column([cell], "new.csv"), schema=schema).x[0, 0] == number


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([f"{i}.5 kg" if i % 2 else f"{i} g" for i in range(30)], "has '0 g' among numbers in kg"),
        ([f"{i} kg" if i % 2 else f"{i}" for i in range(30)], "has '0' among numbers in kg"),
        ([f"{i} kmpl" if i % 30 else f"{i} km/kg" for i in range(90)], "has '0 km/kg' among numbers in kmpl"),
        (["5%", "7%", "12"], "has '12' among numbers in %"),
        (["$5", "$7", "€12"], "has '€12' among numbers in \\$"),
        ([f"{i} bhp" if i else "unknown" for i in range(90)], "has 'unknown' among numbers; .*missing"),
    ],
)
def test_several_units_are_refused(column, cells, message):
    with pytest.raises(ValueError, match=message):
        datasets.read_table(column(cells))
    assert datasets.read_table(column(cells), categorical="a").x.shape[0] == len(cells)


@pytest.mark.parametrize(
    "cells",
    [
        ["12 Main Street", "13 Main Street"],
        ["3rd", "4th", "5th"],
        ["4th", "5th", "6th"],
        ["5 stars and up", "4 stars and up"],
        ["2 BHK", "4 Bedroom", "1 RK"],
        ["10 mg", "1 g"],
        ["7 am", "8 pm"],
        ["1-5 kg", "6-9 kg"],
        ["4x4", "4x2"],
        ["12A", "13B"],
        ["> 5 kg", "< 5 kg"],
        ["4WD", "front", "rear"],
        ["3 beds", "3 beds", "3 beds", "1-2 beds", "4+ beds"],
        ["3 beds", "2 beds", "3 beds", "2 beds", "many"],
        ["5k", "10k", "half-marathon"],
    ],
)
def test_text_with_a_number_in_front_is_text(column, cells):
    table = datasets.read_table(column(cells * 4))
    assert table.feature_names == [f"a={cell}" for cell in sorted(set(cells))]


def test_the_target_may_have_a_unit(csv_file):
    table = datasets.read_table(csv_file("a;weight\n1;2,5 kg\n2;3 kg\n4;1,25 kg\n"))
    assert (table.class_names, table.y.tolist()) == (None, [2.5, 3, 1.25])
    assert table.notes == {"weight": "numbers in kg"}
    again = datasets.read_table(csv_file("a;weight\n1;7 kg\n", "new.csv"), schema=table.schema)
    assert again.y.tolist() == [7]
    with pytest.raises(ValueError, match="column 'weight' has '7 g'; expected a number in kg"):
        datasets.read_table(csv_file("a;weight\n1;7 g\n", "new.csv"), schema=table.schema)
    with pytest.raises(ValueError, match=r"has '4\.5 g' among numbers in kg"):
        datasets.read_table(
            csv_file("a,weight\n" + "".join(f"{i},{i}.5 {'kg' if i % 4 else 'g'}\n" for i in range(3, 40)))
        )


def test_rows_with_units_have_no_header(csv_file):
    table = datasets.read_table(csv_file("3.5 kg,2 m,x\n4.5 kg,3 m,y\n5.5 kg,4 m,z\n"))
    np.testing.assert_array_equal(table.x, [[3.5, 2], [4.5, 3], [5.5, 4]])


def test_a_number_that_may_mark_gaps_is_told(csv_file):
    path = csv_file("a,b,y\n" + "".join(f"{i if i % 5 else -999},{i - 3},{'xy'[i % 2]}\n" for i in range(30)))
    assert datasets.read_table(path).notes == {
        "a": "-999 in 6 cells; if it marks gaps, say so (missing, --missing -999)"
    }
    table = datasets.read_table(path, missing="-999")
    assert (table.missing, np.nanmin(table.x[:, 0])) == ({"a": 6}, 1)
    frame = pl.read_csv(path)
    assert datasets.read_table(frame, missing="-999").missing == {"a": 6}
    assert datasets.read_table(frame, schema=table.schema).missing == {"a": 6}


@pytest.mark.parametrize(
    ("learned", "cell", "expected"),
    [
        (["1250", "7.5"], "1,250", "without thousands separators, such as 1250"),
        (["1250", "7.5"], "1 250.5", "without thousands separators, such as 1250.5"),
        (["1250", "7.5"], "1,5", "with a decimal point, such as 1.5"),
        (["1,5", "2,25"], "1.5", "with a decimal comma, such as 1,5"),
        (["1250", "7.5"], "True", "a number, as in the training data"),
        (["1250", "7.5"], "soon", "a number, as in the training data"),
        (["1250", "7.5"], "inf", "a finite number within the range of float32"),
        (["1250", "7.5"], "1e39", "a finite number within the range of float32"),
        (["5 kg", "6 kg"], "1,5", "with a decimal point, such as 1.5"),
    ],
)
def test_a_number_written_in_another_way_than_learnt_is_told_the_way(column, learned, cell, expected):
    schema = datasets.read_table(column([*learned, *learned])).schema
    with pytest.raises(ValueError, match=f"column 'a' has '{re.escape(cell)}'; expected .*{re.escape(expected)}"):
        datasets.read_table(column([cell], "new.csv"), schema=schema, header=True)
