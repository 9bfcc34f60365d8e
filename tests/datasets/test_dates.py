"""Dates as features: their parts, beside Python's datetime, and what a network learns from them."""

import calendar
import datetime
import json

import numpy as np
import polars as pl
import pytest

from pynn import datasets

YEAR = ("sine of the year", "cosine of the year")
DAY = ("sine of the day", "cosine of the day")


def read(tmp_path, cells, schema=None, name="t.csv"):
    path = tmp_path / name
    path.write_text("when,y\n" + "".join(f"{cell},{'uv'[i % 2]}\n" for i, cell in enumerate(cells)))
    return datasets.read_table(path, schema=schema)


def circle(share):
    return np.stack([np.sin(2 * np.pi * np.array(share)), np.cos(2 * np.pi * np.array(share))], axis=1)


def test_parts_are_those_of_the_calendar(tmp_path):
    start = datetime.datetime(1967, 12, 25, 3, 30)  # before 1970, and over leap years
    moments = [start + datetime.timedelta(days=37 * i, hours=5 * i) for i in range(60)]
    table = read(tmp_path, [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in moments])
    assert table.feature_names == ["when", *(f"when={part}" for part in (*YEAR, *calendar.day_name, *DAY))]
    days_in = [365 + calendar.isleap(moment.year) for moment in moments]
    of_day = [(moment.hour + moment.minute / 60) / 24 for moment in moments]
    of_year = [(m.timetuple().tm_yday - 1 + t) / n for m, t, n in zip(moments, of_day, days_in, strict=True)]
    np.testing.assert_allclose(table.x[:, 1:3], circle(of_year), atol=1e-9)
    np.testing.assert_array_equal(table.x[:, 3:10].argmax(axis=1), [moment.weekday() for moment in moments])
    np.testing.assert_array_equal(table.x[:, 3:10].sum(axis=1), 1)
    np.testing.assert_allclose(table.x[:, 10:], circle(of_day), atol=1e-9)
    assert table.notes["when"].endswith("days, part of the year, part of the week, part of the day")


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        (["2020-03-02", "2020-03-03", "2020-03-04"], ["week"]),
        (["2020-03-02", "2020-03-09", "2020-03-16"], []),  # Mondays of a month
        (["2018-03-05", "2019-03-04"], []),  # Mondays in March
        (["2020-01-01", "2020-02-01", "2020-03-01"], ["year"]),  # months
        (["2020-01", "2020-02", "2021-01"], ["year"]),
        (["2020-03-02 10:00", "2020-03-02 11:00"], ["day"]),
        (["10:30", "23:59"], ["day"]),
        (["2020-03-02"] * 3, []),
    ],
)
def test_only_parts_that_differ_are_features(tmp_path, cells, parts):
    table = read(tmp_path, cells)
    assert table.schema["columns"][0].get("parts", []) == parts
    assert table.x.shape[1] == len(table.feature_names)


def test_new_dates_get_the_parts_of_the_schema(tmp_path):
    table = read(tmp_path, ["2020-03-02", "2020-05-03", "NA", "2021-03-04"])
    np.testing.assert_array_equal(table.x[2, 1:], 0)
    filled = table.fit_fill(slice(None))
    assert not np.isnan(filled.x).any()
    np.testing.assert_array_equal(filled.x[:, 1:], table.x[:, 1:])
    schema = json.loads(json.dumps(filled.schema))
    new = read(tmp_path, ["2024-02-29", ""], schema, "new.csv")
    np.testing.assert_allclose(new.x[0, 1:3], circle([59 / 366])[0], atol=1e-12)
    assert new.x[0, 3:].argmax() == datetime.date(2024, 2, 29).weekday()
    np.testing.assert_array_equal(new.x[1], filled.x[2])


def test_old_schemas_have_days_only(tmp_path):
    cells = ["2020-03-02", "2020-05-03", "2021-03-04"]
    schema = read(tmp_path, cells).schema
    del schema["columns"][0]["parts"]
    np.testing.assert_array_equal(read(tmp_path, cells, schema).x, read(tmp_path, cells).x[:, :1])
    for wrong in (["moon"], ["week", "week"], "week", [1]):
        schema["columns"][0]["parts"] = wrong
        with pytest.raises(ValueError, match="schema was not made by read_table"):
            read(tmp_path, cells, schema)


def test_dates_with_types_have_parts_too():
    day = datetime.date(2020, 3, 2)
    dates = [day + datetime.timedelta(days=i) for i in range(5)]
    spans = [datetime.timedelta(days=i) for i in range(5)]
    frame = pl.DataFrame({"when": dates, "span": spans, "y": list("uvuvu")})
    table = datasets.read_table(frame)
    assert table.feature_names == ["when", *(f"when={name}" for name in calendar.day_name), "span"]
    np.testing.assert_array_equal(table.x[:, 1:8].argmax(axis=1), [date.weekday() for date in dates])
    again = datasets.read_table(frame, schema=table.schema)
    np.testing.assert_array_equal(again.x, table.x)


@pytest.mark.parametrize(
    ("learnt", "other"),
    [
        ("%d.%m.%Y", "%d.%m.%y"),
        ("%Y-%m-%d", "%y-%m-%d"),
        ("%m/%d/%Y", "%m/%d/%y"),
        ("%Y-%m-%d %H:%M", "%y-%m-%d %H:%M"),
    ],
)
def test_years_of_two_digits_are_no_years_of_the_first_century(tmp_path, learnt, other):
    days = [datetime.datetime(2024, 1, 3) + datetime.timedelta(days=7 * week) for week in range(40)]

    def written(name, form):
        rows = (f"{day:{form}},{i / 3:.2f},{'uv'[i % 2]}\n" for i, day in enumerate(days))
        (tmp_path / name).write_text("when,a,y\n" + "".join(rows))
        return tmp_path / name

    schema = datasets.read_table(written("learnt.csv", learnt), target="y").schema
    with pytest.raises(ValueError, match=r"line 2: column 'when' has .*; expected a date in the format"):
        datasets.read_table(written("new.csv", other), schema=schema)
