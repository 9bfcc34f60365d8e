"""Files of text in other encodings than UTF-8: read where that is evident, and told; else refused with the option."""

import json

import numpy as np
import pytest
from file_formats import write

from pynn import datasets

TEXT = "größe,città,label\n1.5,Zürich,ja\n2.5,Genève,“nein”\n3.5,L\u2019Aquila \u2013 5 °C,ja\n"
RUSSIAN = "размер,город,метка\n1.5,Москва,да\n2.5,Казань,нет\n"


@pytest.fixture
def file_in(tmp_path):
    return lambda text, encoding, name="table.csv": write(tmp_path / name, text.encode(encoding))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be"])
def test_an_evident_encoding_is_told(file_in, encoding):
    table = datasets.read_table(file_in(TEXT, encoding))
    expected = datasets.read_table(file_in(TEXT, "utf-8"))
    assert (table.feature_names, table.class_names) == (expected.feature_names, expected.class_names)
    np.testing.assert_array_equal(table.x, expected.x)
    assert (table.remarks, expected.remarks) == ((f"text in {encoding}",), ())
    new = datasets.read_table(file_in(TEXT, encoding, "new.csv"), schema=expected.schema)
    np.testing.assert_array_equal(new.x, expected.x)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        ("μέγεθος,label\n1.5,x\n", "cp1253"),
        ("サイズ,label\n1.5,x\n", "shift-jis"),
        ("尺寸,label\n1.5,x\n", "gbk"),
        ("a,město,label\n1.5,złoty,x\n", "cp1250"),
        ("a,b,label\n1.5,München,x\n", "mac_roman"),
        ("a,b,label\n1.5,Köln,x\n", "cp850"),
    ],
)
def test_what_other_encodings_look_like_is_refused_and_can_be_given(file_in, text, encoding):
    path = file_in(text, encoding)
    with pytest.raises(ValueError, match=r"table\.csv is not UTF-8 text: .* in line 1|line 2; .*--encoding"):
        datasets.read_table(path)
    table = datasets.read_table(path, encoding=encoding, header=True)
    assert table.feature_names[0] == text.partition(",")[0]
    assert table.remarks == ()


def test_a_given_encoding_reads_other_files_too(file_in):
    schema = json.loads(json.dumps(datasets.read_table(file_in(RUSSIAN, "cp1251"), encoding="cp1251").schema))
    for encoding in ("cp1251", "utf-8"):
        new = datasets.read_table(
            file_in("\n".join(("город,размер", RUSSIAN[-11:-5] + ",3")), encoding, "new.csv"), schema=schema
        )
        assert new.x.tolist() == [[3, 1, 0]]


def test_utf_8_that_is_damaged_is_no_other_encoding(tmp_path):
    content = ("a,label\n" + "Köln,x\nZürich,y\n" * 3).encode() + b"Gen\xe8ve,x\n"
    with pytest.raises(ValueError, match=r"is not UTF-8 text: .* e8 in line 8"):
        datasets.read_table(write(tmp_path / "t.csv", content))


@pytest.mark.parametrize("encoding", ["no-such", "rot13", "a\0b"])
def test_an_unknown_encoding_is_named(file_in, encoding):
    with pytest.raises(ValueError, match="which is not one that Python knows"):
        datasets.read_table(file_in(TEXT, "cp1252"), encoding=encoding)


def test_an_encoding_is_for_text(tmp_path):
    frame = datasets.read_table(write(tmp_path / "t.csv", "a,y\n1,x\n2,y\n")).x
    with pytest.raises(ValueError, match="encoding is for files of text; a data frame is none"):
        datasets.read_table(frame, encoding="cp1252")
