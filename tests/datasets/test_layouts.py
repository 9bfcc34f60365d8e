"""Text files that are laid out otherwise than a row per line under one row of names: read, or refused with advice."""

import numpy as np
import pytest
from file_formats import write

from pynn import datasets
from pynn.datasets.tables.options import ColumnOptions
from pynn.datasets.tables.source import opened
from pynn.datasets.tables.target import evident_target

ROWS = "".join(f"{i * 3 % 17 + 0.5},{i % 7},{'xy'[i % 2]}\n" for i in range(12))
X = [[i * 3 % 17 + 0.5, i % 7] for i in range(12)]


@pytest.fixture
def text_file(tmp_path):
    return lambda text, name="table.csv": write(tmp_path / name, text)


@pytest.mark.parametrize(
    ("text", "names", "first"),
    [
        (' 18.0   8   307.0  ?  70  1\t"ford pinto"\n 9.5   4   97.00  46.00  70  3\t"vw 1131"\n' * 4, 7, [18, 8, 307]),
        ("-2.3 0.568 4.78 3.99 0.11 \n-2.3 0.6 4.78 3.99 0.27 \n", 5, [-2.3, 0.568, 4.78]),
        ("1\t2.5\t\t3\n4\t5.5\t6\n\t7\t8.5\t9\n", 3, [1, 2.5]),
        ("1,5 2,5 x\n3,5 4,5 y\n", 3, [1.5, 2.5]),
        ('"a" "b" "y"\n"1" 5.5 2 "u"\n"2" 6.5 3 "v"\n', ["a", "b"], [5.5, 2]),
        (
            '"a" "b" "y"\n"Mazda RX4" 5.5 2 "u"\n"Fiat" 6.5 3 "v"\n',
            ["column_0=Fiat", "column_0=Mazda RX4", "a", "b"],
            [0, 1, 5.5, 2],
        ),
        ('"a","b","y"\n"1",5.5,2,"u"\n"2",6.5,3,"v"\n', ["a", "b"], [5.5, 2]),
        ("# a b y\n1.5 2.5 0\n3.5 4.5 1\n", ["a", "b"], [1.5, 2.5]),
        ("a  b   y\r\n1  2.5 p q\r\n".replace(" q", "") + "3  4.5 q\r\n", ["a", "b"], [1, 2.5]),
    ],
)
def test_blanks_separate_cells(text_file, text, names, first):
    table = datasets.read_table(text_file(text, "table.data"))
    if isinstance(names, int):
        names = [f"column_{place}" for place in range(names - 1)]
    assert table.feature_names == names
    np.testing.assert_array_equal(table.x[0, : len(first)], first)
    again = datasets.read_table(text_file(text, "new.data"), schema=table.schema)
    np.testing.assert_array_equal(again.x, table.x)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("new york\t5.1\nlos angeles\t2.2\nnew york\t3.1\n", ["column_0=los angeles", "column_0=new york"]),
        ("a b\tc d\n1 234\t5.5\n2 345\t6.5\n", ["a b"]),
        ("new york,1.5\nlas vegas,2.5\nnew york,0.5\n", ["column_0=las vegas", "column_0=new york"]),
        ("a b;y\n1 234;x\n5 678;y\n", ["a b"]),
        ("w;y\n1,5 kg;2,5 m\n2,5 kg;3,5 m\n", ["w"]),
    ],
)
def test_blanks_within_cells_separate_none(text_file, text, names):
    assert datasets.read_table(text_file(text)).feature_names == names


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        (f"# by me\n# in May, 2024\n\na,b,label\n{ROWS}", "left out 2 lines of comments"),
        (f"% by me\na,b,label\n% and now\n{ROWS}", "left out 2 lines of comments"),
        (f"# by me\n#a,b,label\n{ROWS}", "the comment above the rows names the columns: a, b, label"),
        ("a,b,label,\n" + ROWS.replace("\n", ",\n"), "left out 1 column without a name and values"),
        ("a,b,label\n" + ROWS.replace("\n", ",\n"), "left out 1 column without a name and values"),
        (f"a,b,label,\n{ROWS}", ""),
        (f"a,b,label\n{ROWS}\x1a", ""),
        (",a,b,label\n," + ROWS.replace("\n", "\n,").removesuffix(","), "left out 1 column without a name and values"),
        (f"a,b,label\nkg,cm,\n{ROWS}", "left out line 2, which has no numbers: kg, cm"),
        (f"a,b,label\n{ROWS}Mean,2.583,\n", "left out the last row, line 14: 'Mean'"),
        (f"a|b|label\n---|:--:|---\n{ROWS.replace(',', '|')}", ""),
        (f"a|b|label\n===|===|===\n{ROWS.replace(',', '|')}", ""),
        (f"% about\n@RELATION r\n@attribute a real\n@ATTRIBUTE 'b' real\n@attribute label {{x,y}}\n@DATA\n{ROWS}", ""),
    ],
)
def test_what_is_no_example_is_left_out_and_told(text_file, text, remark):
    table = datasets.read_table(text_file(text))
    assert (table.feature_names, table.class_names) == (["a", "b"], ["x", "y"])
    np.testing.assert_array_equal(table.x, X)
    assert remark in "; ".join(table.remarks)
    assert bool(table.remarks) == bool(remark)


def test_lines_keep_their_numbers(text_file):
    text = f"# by me\n\na,b,label\n# more\n{ROWS}1.5,7,x\noops,3,y\n"
    with pytest.raises(ValueError, match="line 18: column 'a' has 'oops' among numbers"):
        datasets.read_table(text_file(text))


def test_a_row_called_total_is_a_row_unless_it_sums_up(text_file):
    for last, rows in (("Total,36", 8), ("total:,36.0", 8), ("Average,4.5", 8), ("Total,7", 9), ("Shop 8,36", 9)):
        text = "shop,sold,y\n" + "".join(f"Shop {i % 2},{i + 1},{i % 3}.5\n" for i in range(8)) + f"{last},\n"
        assert len(datasets.read_table(text_file(text), "sold", header=True).x) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"Sales of 2024\n\na,b,label\n{ROWS}", "line 1: 1 cells; expected 3, as in most lines: delete what is above"),
        (f"Sales of 2024,,\na,b,label\n{ROWS}", "the first row names 1 of 3 columns; delete the rows above the names"),
        (f"Size,,Kind\nlength,width,\n{ROWS}", "stand in two rows, the second in line 2; write them in one"),
        (f"Size,Size,Kind\nlength,width,\n{ROWS}", "stand in two rows, the second in line 2; write them in one"),
        (f"a,a,label\n{ROWS}", "more than one column named 'a'; give each column a name of its own"),
        (f"a,b,label\nkg,,\n{ROWS}", "line 2: column 'a' has 'kg' among numbers"),
        (f"a,b\n{ROWS}", "line 1: 2 cells; expected 3, as in most lines: .*, or give each column a name"),
        (
            "a,b,label\n" + "".join(f'"{row}"\n' for row in ROWS.split()),
            "lines quoted as a whole are one cell",
        ),
        ("1  2  3\n4     6\n7  8  9\n5  7  9\n", "line 2: 2 cells; .* between blanks, a gap needs a mark, such as NA"),
        ("a,b,label\n1,big red,x\n2,small blue\n", "line 3: 2 cells; expected 3, as in line 1"),
        (f"a,b,label\n{ROWS}* estimated\n", "line 14: 1 cells; expected 3, as in line 1; delete it if it is a note"),
        ("a,y\n1,Yes\n2,no\n3,yes\n", "line 4: target 'y' is 'yes', elsewhere 'Yes'; write them alike"),
    ],
)
def test_what_may_mean_several_things_is_refused_with_advice(text_file, text, message):
    with pytest.raises(ValueError, match=message):
        datasets.read_table(text_file(text))


def test_colours_are_no_comments(text_file):
    table = datasets.read_table(text_file("".join(f"#{i % 3}0ff00,{i},{'xy'[i % 2]}\n" for i in range(9))))
    assert table.feature_names == ["column_0=#00ff00", "column_0=#10ff00", "column_0=#20ff00", "column_1"]


def test_dates_without_marks_are_dates(text_file):
    days = "".join(f"2020{1 + i % 12:02}{2 + i:02},{20200000 + i * 7},{'xy'[i % 2]}\n" for i in range(12))
    rows = f",20200001,x\n{days}"
    table = datasets.read_table(text_file("day,code,label\n" + rows))
    assert table.x[1, 0] == 18263  # 2020-01-02
    assert table.notes["day"].startswith("dates, %Y%m%d: days")
    assert table.x[1, table.feature_names.index("code")] == 20200000


@pytest.mark.parametrize("days", [("2020-01-02", "2020-01-03"), ("2.1.2020", "3.1.2020")])
def test_rows_of_dates_have_no_header(text_file, days):
    table = datasets.read_table(text_file("".join(f"{day},{name}\n" for day, name in zip(days, "ab", strict=True))))
    assert table.x[:, 0].tolist() == [18263, 18264]


@pytest.mark.parametrize(("names", "evident"), [(range(40), None), ([i % 3 for i in range(40)], "name")])
def test_names_that_do_not_recur_are_no_evident_target(text_file, names, evident):
    text = "mpg,weight,name\n" + "".join(f"{i * 3 % 17}.5,{i * 7 % 11}.5,car {name}\n" for i, name in enumerate(names))
    assert evident_target(opened(text_file(text), None), None, ColumnOptions()) == evident


def test_a_word_among_codes_is_told(text_file):
    rows = "".join(f"{i % 3 or 'unknown'},{i},{i % 2}\n" for i in range(12))
    table = datasets.read_table(text_file(f"a,b,y\n{rows}"))
    assert table.feature_names[:3] == ["a=1", "a=2", "a=unknown"]
    note = "categories, for 'unknown' among numbers; if it marks gaps, say so (missing, --missing)"
    assert table.notes == {"a": note}
