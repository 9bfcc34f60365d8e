"""Tables of JSON: types from all records, byte order marks, and NaN as other programs write it."""

import json

import numpy as np
import pytest

from pynn import datasets

FORMS = {
    ".jsonl": lambda rows: "\n".join(map(json.dumps, rows)) + "\n",
    ".json": json.dumps,
}


def written(path, rows, form, encoding="utf-8"):
    path.write_text(FORMS[form](rows), encoding=encoding)
    return path


def records(count=300):
    """Return records of which a column appears, becomes fractional, or gets its first value after many."""
    rows = [{"whole": i, "gap": None, "kind": "ab"[i % 2]} for i in range(count)]
    for i in range(150, count):
        rows[i] |= {"whole": i + 0.5, "gap": i / 4, "late": 2.0 * i}
    return rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("form", FORMS)
def test_all_records_decide_on_columns_and_types(tmp_path, form, encoding):
    table = datasets.read_table(written(tmp_path / f"t{form}", records(), form, encoding), target="kind")
    filled = table.fit_fill(slice(None))
    assert sorted(filled.feature_names) == ["gap", "late", "whole"]
    x = dict(zip(filled.feature_names, np.asarray(filled.x).T, strict=True))
    np.testing.assert_array_equal(x["whole"][[0, 149, 150, 299]], [0, 149, 150.5, 299.5])
    np.testing.assert_array_equal(x["gap"][[150, 299]], [37.5, 74.75])
    np.testing.assert_array_equal(x["late"][[150, 299]], [300, 598])


@pytest.mark.parametrize("form", FORMS)
def test_nan_is_a_missing_value(tmp_path, form):
    rows = [{"a": float("nan") if i == 3 else i / 2, "kind": "ab"[i % 2]} for i in range(30)]
    table = datasets.read_table(written(tmp_path / f"t{form}", rows, form), target="kind")
    assert np.flatnonzero(np.isnan(np.asarray(table.x)[:, 0])).tolist() == [3]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ['{"a": 1, "b"', "NaN NaN", '{"a": NaN', "[1, 2", "NaN"])
def test_what_is_no_json_is_refused(tmp_path, form, text):
    path = tmp_path / f"t{form}"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"cannot read .*t{form}: "):
        datasets.read_table(path)
