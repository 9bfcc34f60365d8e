"""CSV files as spreadsheets and people write them: read for what they are, or refused with the line."""

import itertools
import json
import re

import numpy as np
import pytest
from cases import case
from file_formats import write
from hypothesis import given, settings
from hypothesis import strategies as st

from pynn import datasets
from pynn.datasets.tables.options import ColumnOptions
from pynn.datasets.tables.source import opened
from pynn.datasets.tables.target import described, evident_target


@pytest.fixture
def csv_file(tmp_path):
    return lambda text, name="table.csv": write(tmp_path / name, text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_what_spreadsheets_save(csv_file, encoding):
    rows = [["größe", "klasse"], ["1", '"yes "'], ["2.5", " no"], ["-3e2", "yes\u00a0"]]
    for newline, delimiter, names_it in itertools.product(("\n", "\r\n", "\r"), ",;\t|", (True, False)):
        with case(newline=repr(newline), delimiter=repr(delimiter), names_it=names_it):
            lines = [f"sep={delimiter}"] * names_it + [delimiter.join(row) for row in rows]
            table = datasets.read_csv(csv_file((newline.join(lines) + newline).encode(encoding)))
            assert table.feature_names == ["größe"]
            np.testing.assert_array_equal(table.x, [[1], [2.5], [-300]])
            assert [table.class_names[i] for i in table.y] == ["yes", "no", "yes"]


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 99)), min_size=2, max_size=8, unique=True),
    delimiter=st.sampled_from(";\t|"),
    header=st.booleans(),
)
def test_decimal_commas_are_decimal_points(tmp_path_factory, numbers, delimiter, header):
    rows = [[f"{whole},{part:02}", f"{part},{abs(whole) % 10}", "yn"[whole % 2]] for whole, part in numbers]
    lines = [delimiter.join(row) for row in [["a", "b", "label"]] * header + rows]
    path = write(tmp_path_factory.mktemp("csv") / "t.csv", "\n".join(lines))
    table = datasets.read_csv(path, header=header)
    expected = [[float(cell.replace(",", ".")) for cell in row[:2]] for row in rows]
    np.testing.assert_array_equal(table.x, expected)


MISSING = [
    "",
    " ",
    "\\N",
    "NA",
    "N/A",
    "n/a",
    "nan",
    "NaN",
    "-nan",
    "NULL",
    "null",
    "None",
    "#N/A",
    "<NA>",
    "?",
    "-",
    "--",
]


@pytest.mark.parametrize("word", MISSING)
def test_a_gap_among_numbers_is_a_gap_whatever_it_is_called(csv_file, word):
    table = datasets.read_csv(csv_file(f"stars,label\n1,p\n2,q\n{word},p\n4,q\n"))
    np.testing.assert_array_equal(table.x, [[1], [2], [np.nan], [4]])
    assert table.missing == {"stars": 1}


@pytest.mark.parametrize("word", MISSING)
def test_a_row_without_its_amount_is_left_out_whatever_it_is_called(csv_file, word):
    for text in (f"a,price\n1,1.5\n2,{word}\n3,2.5\n", f"a;price\n1;1,5\n2;{word}\n3;2,5\n"):
        table = datasets.read_csv(csv_file(text))
        assert table.without_target == 1
        np.testing.assert_array_equal(table.x, [[1], [3]])
        np.testing.assert_array_equal(table.y, [1.5, 2.5])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (['"1,5"', "2.5"], "line 2: column 'a' has '1,5' beside numbers such as '2.5'"),
        (["01/02/20", "01/03/20"], "such as '01/02/20', may be %d/%m/%y or %m/%d/%y"),
        (["31/02/2020", "13/04/2020"], "line 2: column 'a' has '31/02/2020'; expected existing dates"),
        (["2020-01-02 10:20:30", "2020-01-02T10:20"], "existing dates or times, all in one format"),
        (["11:13", "9:59", "74:02"], "or leave it out (drop, --drop)"),
        (["01/02/2020 10:20:30", "03/04/2020 10:20:31"], "--date a=%d/%m/%Y %H:%M:%S)"),
        (["01/02/2020 10:20:30.5", "03/04/2020 10:20:31.5"], "--date a=%d/%m/%Y %H:%M:%S%.f)"),
        (["1.5", "2.5", "abc"], "line 4: column 'a' has 'abc' among numbers"),
        (["1", "2", "abc", "4"], "line 4: column 'a' has 'abc' among numbers"),
        (["1", "2"] * 60 + ["x"], "line 122: column 'a' has 'x' among numbers"),
        *(
            ([form.format(n + 0.5) if n % 10 == 3 else n + 0.5 for n in range(60)], f"has '{form.format(3.5)}' among")
            for form in ("{}*", "<{}", "~{}", "{} [1]", "{}e", "{}†")
        ),
        (["#DIV/0!", "2.5", "3.5"], "line 2: column 'a' has '#DIV/0!' among numbers"),
        (["1e999", "2"], "line 2: column 'a' has '1e999'; expected a finite number"),
        (["1", "-1e39"], "line 3: column 'a' has '-1e39'; expected a finite number"),
        (["1", "-inf"], "line 3: column 'a' has '-inf'"),
    ],
)
def test_numbers_that_are_doubtful_do_not_become_categories(csv_file, column, message):
    path = csv_file("a,label\n" + "".join(f"{cell},{'xy'[i % 2]}\n" for i, cell in enumerate(column)))
    with pytest.raises(ValueError, match=r"table\.csv") as error:
        datasets.read_csv(path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "cells",
    [
        ["1.6", "1.8", "2.0", "1.8 turbo", "2.0 turbo", "hybrid", "electric", "3.5"],  # few: all of them are encoded
        [*map(str, range(100, 140)), *(f"PC {n}" for n in range(20))],  # numbers of tickets
        [f"1.{n}.{n % 3}" for n in range(30)],
    ],
)
def test_text_beside_numbers_that_measure_nothing_is_text(csv_file, cells):
    path = csv_file("a,b,label\n" + "".join(f"{cell},{i},{'xy'[i % 2]}\n" for i, cell in enumerate(cells * 4)))
    assert "a" not in datasets.read_csv(path).feature_names


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (['"1,234"', '"5,678"'], [1234, 5678]),
        (['"1,234"', '"12,345,678"', "999"], [1234, 12345678, 999]),
        (['"1,234.50"', "7"], [1234.5, 7]),
        (['"12,34,567"', '"1,23,456.5"', '"1,234"'], [1234567, 123456.5, 1234]),
        (['"1.234,50"', "7"], [1234.5, 7]),
        (["1 234", "5\u202f678.5"], [1234, 5678.5]),
        (["1'234", "5\u2019678"], [1234, 5678]),
        (["1_234", "5_678"], [1234, 5678]),
        (["5%", "10 %", "12.5%"], [0.05, 0.1, 0.125]),
        (["$5", "$10.50", "-$3", '"$1,000"'], [5, 10.5, -3, 1000]),
        (["5 \u20ac", "7 \u20ac"], [5, 7]),
        (["EUR 5", "7.5 EUR"], [5, 7.5]),
        (["(5)", "(6.5)", "7"], [-5, -6.5, 7]),
        (["\u22125", "3"], [-5, 3]),
        (["'1.5'", "'2.5'"], [1.5, 2.5]),
        (["N/A", "#N/A", "<NA>", "None", "-", "$5"], [np.nan] * 5 + [5]),
        # Days since 1970-01-01, from Python's datetime.date.toordinal.
        (["2020-01-02", "2020-01-03"], [18263, 18264]),
        (["2.1.2020", "3.1.2020"], [18263, 18264]),
        (["13/01/2020", "02/01/2020"], [18274, 18263]),
        (["01/13/2020", "01/02/2020"], [18274, 18263]),
        (["2020-01-02 12:00:00", "2020-01-03 06:00:00"], [18263.5, 18264.25]),
        (["2020-01-02T12:00:00+01:00", "2020-01-02T12:00:00+00:00"], [18263 + 11 / 24, 18263.5]),
        (["2 Jan 2020", "3 Jan 2020"], [18263, 18264]),
        (["Jan 2 2020", "Jan 3 2020"], [18263, 18264]),
        (['"Thu, 2 Jan 2020"', '"Fri, 3 Jan 2020"'], [18263, 18264]),
        (['"Thursday, January 2, 2020"', '"Friday, January 3, 2020"'], [18263, 18264]),
        (["Thu 02/01/2020", "Fri 03/01/2020"], [18263, 18264]),  # in 2020, 1 February was a Saturday
        (['"Thu, 02 Jan 2020 12:00:00 +0100"', '"Thu, 02 Jan 2020 12:00:00 +0000"'], [18263 + 11 / 24, 18263.5]),
        (['"Thu, 02 Jan 2020 12:00:00 GMT"', '"Fri, 03 Jan 2020 06:00:00 GMT"'], [18263.5, 18264.25]),
        (["Thu Jan  2 12:00:00 2020", "Fri Jan  3 06:00:00 2020"], [18263.5, 18264.25]),
        (["2020-01", "2020-12"], [18262, 18597]),
        (["01/2020", "12/2020"], [18262, 18597]),
        (["Jan 2020", "Dec 2020"], [18262, 18597]),
        (["January 2020", "May 2020"], [18262, 18383]),
        (["2020-01-02", "-", "N/A", "n.a."], [18263] + [np.nan] * 3),
        (["10:30", "11:45"], [10.5 / 24, 11.75 / 24]),
    ],
)
def test_numbers_and_dates_that_people_write_are_read(csv_file, column, numbers):
    path = csv_file("a,label\n" + "".join(f"{cell},{'xy'[i % 2]}\n" for i, cell in enumerate(column)))
    table = datasets.read_csv(path)
    assert [name.partition("=")[0] for name in table.feature_names] == ["a"] * len(table.feature_names)
    np.testing.assert_allclose(table.x[:, 0], numbers, rtol=1e-15)
    again = datasets.read_csv(path, schema=json.loads(json.dumps(table.schema)))
    np.testing.assert_array_equal(again.x, table.x)


@pytest.mark.parametrize(
    ("row", "options", "first"),
    [
        ("1,234;2,5;x", {}, 1.234),
        ("1.234;2,5;x", {}, 1234),
        ("1.234;2.5;x", {}, 1.234),
        ("1,234;2;x", {"decimal": ","}, 1.234),
        ("1,234;2;x", {"decimal": "."}, 1234),
        ("1,234;2;x", {"thousands": ","}, 1234),
        ("1.234;2;x", {"decimal": ",", "thousands": "."}, 1234),
    ],
)
def test_other_columns_and_the_user_tell_what_a_mark_means(csv_file, row, options, first):
    table = datasets.read_table(csv_file(f"a;b;label\n{row}\n{row}\n"), **options)
    assert table.x[0, 0] == first


@pytest.mark.parametrize("cell", ["1.500", "€1.500", "1.500 EUR", "-1.500", "1.500.000", "150"])
def test_beside_decimal_commas_points_group_digits(csv_file, cell):
    value = float(re.sub("[^0-9-]", "", cell))
    for text in (f"a;b;y\n{cell};0,5;x\n{cell};1,5;z\n", f'a,b,y\n{cell},"0,5",x\n{cell},"1,5",z\n'):
        table = datasets.read_table(csv_file(text))
        np.testing.assert_array_equal(table.x, [[value, 0.5], [value, 1.5]])
        new = csv_file("a;b\n2.500;0,5\n2,5;0,5\n", "new.csv")  # also in a column that had none yet
        np.testing.assert_array_equal(datasets.read_table(new, schema=table.schema).x[:, 0], [2500, 2.5])
    table = datasets.read_table(csv_file(f"b;y\n0,5;{cell}\n1,5;2.500\n0,5;3,5\n"))
    assert table.y.tolist() == [value, 2500, 3.5]


def test_among_commas_that_separate_cells_a_column_with_points_tells_what_points_mean(csv_file):
    table = datasets.read_table(csv_file('a,b,c,y\n1.500,"0,5",0.25,x\n2.500,"1,5",0.5,z\n'))
    assert table.x[:, 0].tolist() == [1.5, 2.5]


def test_the_target_is_evident_among_decimal_commas(csv_file):
    source = opened(csv_file("a;b;kind\n1,5;2,5;x\n2,5;3,5;y\n3,5;1,5;x\n"), None)
    assert described(source) == [("a", "fractions"), ("b", "fractions"), ("kind", "text")]
    assert evident_target(source, None, ColumnOptions()) == "kind"


def test_a_mark_that_nothing_explains_is_refused(csv_file):
    with pytest.raises(ValueError, match=r"'1,234' in column 'a' may be 1234 or 1\.234; say which .*--decimal"):
        datasets.read_table(csv_file("a;label\n1,234;x\n2,345;y\n"))


@pytest.mark.parametrize(
    "column", [["10-20", "20-30"], ["0", "1", "2", "3+"] * 5, ["<5%", "free"], ["None", "red"], ["1st", "2nd"]]
)
def test_categories_with_digits_are_categories(csv_file, column):
    path = csv_file("a,label\n" + "".join(f"{cell},{'xy'[i % 2]}\n" for i, cell in enumerate(column)))
    table = datasets.read_csv(path)
    assert table.feature_names == [f"a={name}" for name in sorted(set(column))]
    np.testing.assert_array_equal(table.x.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1.5", "inf"], "line 3: target 'y' has 'inf'; expected a finite number"),
        (["2020-01-02", "2020-01-03"], "target 'y' has '2020-01-02', a date or a time"),
        (["1.5", "2.5", "x"], "line 4: target 'y' is 'x' beside numbers such as 1.5"),
        (["1e40", "1.5"], "line 2: column 'y' has '1e40'; expected a finite number within the range of float32"),
    ],
)
def test_amounts_do_not_become_classes(csv_file, cells, message):
    path = csv_file("a,y\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(cells)))
    with pytest.raises(ValueError, match=r"table\.csv") as error:
        datasets.read_csv(path)
    assert message in str(error.value)
    assert datasets.read_csv(path, task="classification").class_names == sorted(cells)


def test_an_amount_may_be_written_as_people_write_it(csv_file):
    table = datasets.read_csv(csv_file('a,y\n0,"$1,200"\n1,"$1,300.5"\n'))
    assert (table.class_names, table.y.tolist()) == (None, [1200, 1300.5])


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("0,1,species\n5.1,3.5,setosa\n4.9,3.0,setosa\n", ["0", "1"], 2),
        ("0,species\n5.1,setosa\n4.9,setosa\n", ["0"], 2),
        (",0,1,species\n0,5.1,3.5,setosa\n1,4.9,3.0,setosa\n", ["0", "1"], 2),
        ("0,1\n0.5,1.5\n0.2,1.7\n", ["0"], 2),
        ("0,1,2,3\n5,3,9,1\n5,3,4,0\n", ["0", "1", "2"], 2),
        ("1,2,0\n1.5,2.5,a\n2.5,3.5,b\n", ["1", "2"], 2),
        ("0,1,2,3\n1,2,3,4\n2,3,4,5\n", ["column_0", "column_1", "column_2"], 3),  # a window that slides
        ("0,1,2,3\n1,,3,4\n1,5,3,4\n", ["column_0", "column_1", "column_2"], 3),
        ("1,2,3,kind\n1,5,3,p\n2,2,4,q\n", ["1", "2", "3"], 2),
        ("1,2,3,p\n4,5,6,q\n7,8,9,q\n", ["column_0", "column_1", "column_2"], 3),
        ("1,2,3,4\n1,5,3,4\n", ["column_0", "column_1", "column_2"], 2),
        ("0,1\n1,2\n5,3\n", ["column_0"], 3),
        ("5,3,setosa\n4.9,3.0,setosa\n", ["column_0", "column_1"], 2),
        ("5,6,x\n4.5,3.5,y\n6.5,3.5,z\n", ["column_0", "column_1"], 3),
        ("place,1990,1995,2000\na,1.5,2,3\nb,2,3,4\na,3,4,5\n", ["place=a", "place=b", "1990", "1995"], 3),
        ("place,2001,2000,1999\na,15,20,30\nb,20,30,40\na,30,40,50\n", ["place=a", "place=b", "2001", "2000"], 3),
        ("place,1990,1991\na,1.5,2.5\nb,2.5,3.5\na,3.5,4.5\n", ["place=a", "place=b", "1990"], 3),
        ("a,1990,1995,2000\nb,1991,1996,2001\na,2,3,4\n", ["column_0=a", "column_0=b", "column_1", "column_2"], 3),
        ("a,1850,1900,2000\nb,1,2,3\na,2,3,4\n", ["column_0=a", "column_0=b", "column_1", "column_2"], 3),
    ],
)
def test_a_header_of_numbers(csv_file, text, names, rows):
    table = datasets.read_csv(csv_file(text))
    assert table.feature_names == names
    assert len(table.x) == rows


@pytest.mark.parametrize(
    ("text", "target", "features"),
    [
        ("1,2,0\n1.5,2.5,a\n2.5,3.5,b\n", "0", ["1", "2"]),
        ("x,y,z\na,2.5,1\nb,3.5,2\n", "0", ["y", "z"]),
        ("x,y,z\na,2.5,1\nb,3.5,2\n", "-1", ["x=a", "x=b", "y"]),
    ],
)
def test_a_number_is_a_name_first_and_then_an_index(csv_file, text, target, features):
    assert datasets.read_csv(csv_file(text), target).feature_names == features


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "is a zip archive or an Excel workbook: call a workbook .xlsx, or save it as CSV"),
        (b"\x1f\x8brest", "is a damaged gzip file"),
        (b"a,b\n1,x\n2,\0y\n", "line 3: a NUL character"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "is not UTF-16 text"),
        (b"a,b\n1,x\n2,\x81\n", r"is not UTF-8 text: .* 81 in line 3; .* \(encoding, --encoding\), such as cp1252"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"sep=;\n", "is empty"),
        (b"sep=;\na;b\n1;2\n1;2;3\n", "line 4: 3 cells; expected 2, as in line 2"),
        (b"what is\nit now\n", "has one column; .* separated by commas, semicolons, tabs, bars or blanks"),
        (b"<!DOCTYPE html>\n<html>", "is a web page"),
        (b'[{"a": 1}]', "is JSON: call it .json"),
        (b"@relation r\n@attribute a numeric\n@data\n{0 1}\n", "is an ARFF file with sparse rows"),
    ],
)
def test_what_is_no_table_is_told(csv_file, content, message):
    with pytest.raises(ValueError, match=message):
        datasets.read_csv(csv_file(content))


def test_labels_keep_their_digits_and_zeros_in_other_files(csv_file):
    schema = datasets.read_csv(csv_file("a,code\n1,007\n2,7\n3,01\n")).schema
    assert schema["target"]["class_names"] == ["007", "01", "7"]
    new = csv_file("a,code\n1,7\n2,007\n", "new.csv")
    assert datasets.read_csv(new, schema=schema).y.tolist() == [2, 0]
    with pytest.raises(ValueError, match="'1', which is none of the classes 007, 01, 7"):
        datasets.read_csv(csv_file("a,code\n1,1\n", "new.csv"), schema=schema)


@pytest.mark.parametrize("cells", ["?\n2,", "\n2,NA"])
def test_an_empty_target_is_none(csv_file, cells):
    schema = datasets.read_csv(csv_file("a,label\n1,x\n2,y\n")).schema
    assert datasets.read_csv(csv_file(f"a,label\n1,{cells}\n", "new.csv"), schema=schema).y is None


def test_every_number_has_a_mean_to_fill_with_in_other_files(csv_file):
    table = datasets.read_csv(csv_file("a,b,c,label\n1,2,red,x\n?,3,,y\n3,4,blue,x\n"))
    fills = [column["fill"] for column in table.fit_fill(slice(None)).schema["columns"]]
    assert fills == [2.0, 3.0, 0.0]


def test_wide_messages_stay_short(csv_file):
    header = ",".join(f"column number {i}" for i in range(2_000))
    path = csv_file(f"{header},y\n" + ("0," * 2_000 + "1\n") * 2)
    table = datasets.read_csv(path)
    assert table.x.shape == (2, 2_000)
    with pytest.raises(ValueError, match="and 1991 more") as error:
        datasets.read_csv(path, "price")
    assert len(str(error.value)) < 500
