"""Dates and times of day, as numbers: days since 1970-01-01, or the part of the day; and their parts, as features."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .schema import PARTS

_DAYS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%y"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d-%b-%Y", "%d-%b-%y"),
)
#: Dates by months, each of which begins on its first day.
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%B-%Y")
#: What of a format names a day.
_DAY = ("%d", "%e", "%j", "%F", "%D", "%x", "%v")
_CLOCKS = ("%H:%M:%S%.f", "%H:%M:%S", "%H:%M", "%I:%M %p", "%I:%M:%S %p")
#: What may be a date: cheap to search for before a hundred formats are tried.
_HINT = r"^[A-Za-z]{0,9}\.? ?[0-9]{1,4}[-/. :,][0-9A-Za-z ]{1,9}|^[A-Za-z]{3,9}[- ][0-9]{4}$"
#: What people read as a date or a time, whether it is one or not.
_DATE = r"^([0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.]([0-9]{4}|[0-9]{2}))([T ]+[0-9].*)?$"
_COMPACT = r"^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$"
_CLOCK = r"^[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?$"
_ZONED = (
    *("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%:z"),
    *("%d %b %Y %H:%M:%S %:z", "%d %b %Y %H:%M:%S GMT"),
)
FORMATS = (
    *_DAYS,
    *_MONTHS,
    *(f"{day}{between}{clock}" for day in _DAYS for between in (" ", "T") for clock in _CLOCKS),
    *(f"{form}Z" for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")),
    *_ZONED,
    *_CLOCKS,
)
_WEEKDAY = r"^(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? [0-9A-Za-z]"
_WITH_WEEKDAYS = (
    *(f"{name}{form}" for name in ("%a, ", "%A, ", "%a ", "%A ") for form in FORMATS if "%d" in form),
    "%a %b %e %H:%M:%S %Y",  # of C's asctime
)
_SECONDS = 86400.0


def date_formats(cells: pl.Series) -> list[str]:
    """Return the formats that all cells, none of them missing, follow: several if day and month may be exchanged."""
    candidates: tuple[str, ...] = ()
    if len(cells):
        by_hint = {_WEEKDAY: _WITH_WEEKDAYS, _HINT: FORMATS}
        candidates = next((formats for hint, formats in by_hint.items() if cells.str.contains(hint).all()), ())
    short_years = bool(cells.str.contains(r"[-/.][0-9]{2}(?:[ T]|$)").all())  # polars takes 3 for that of %y
    formats = [form for form in candidates if short_years or "%y" not in form]
    sample = cells.head(20)
    fitting = [form for form in formats if not parsed(sample, form).null_count()]
    fitting = [form for form in fitting if not parsed(cells, form).null_count()]
    different: list[str] = []
    for form in set(_MONTHS).intersection(fitting) or fitting:  # polars also takes Jan 2020 for the 20th
        if not any(parsed(cells, form).equals(parsed(cells, other)) for other in different):
            different.append(form)
    return different


def are_compact(cells: pl.Series) -> bool:
    """Return whether all cells that are not null are days such as 20240131, of which there are several."""
    if len(cells) and cells[0] is not None and not re.fullmatch(_COMPACT, cells[0]):
        return False  # most columns end here: a call of polars takes longer
    cells = cells.drop_nulls()
    alike = len(cells) > 1 and bool(cells.str.contains(_COMPACT).all()) and cells.n_unique() > 1
    return alike and not parsed(cells, "%Y%m%d").null_count()


def as_strptime(form: str, cells: pl.Series) -> str:
    """Return the format without polars' sign for a fraction of a second, if no cell has one."""
    plain = form.replace("%.f", "")
    return form if parsed(cells, plain).null_count() else plain


def look_like_dates(cells: pl.Series) -> bool:
    """Return whether people would read all cells as dates or times, although no format fits all of them."""
    return len(cells) > 0 and bool((cells.str.contains(_DATE) | cells.str.contains(_CLOCK)).all())


def parsed(cells: pl.Series, form: str) -> pl.Series:
    """Return the days since 1970-01-01 of dates, or the part of the day of times; null where a cell does not fit."""
    found = _parsed(cells, form)
    if "%Y" in form:  # polars takes 24 for the year 24
        found = found.set(~cells.str.contains("[0-9]{4}").fill_null(value=True), None)
    return found


def _parsed(cells: pl.Series, form: str) -> pl.Series:
    if form.startswith(("%H", "%I")):
        return numbers_of(cells.str.to_time(form, strict=False))
    if "%H" in form or "%I" in form:
        moments = cells.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC" if "%:z" in form else None)
        return numbers_of(moments)
    if not any(day in form for day in _DAY):
        cells, form = cells + " 1", form + " %d"
    return numbers_of(cells.str.to_date(form, strict=False).cast(pl.Date))


def numbers_of(column: pl.Series) -> pl.Series:
    """Return a column of dates, moments, times of day or durations as float64 numbers of days."""
    if column.dtype == pl.Date:
        return column.to_physical().cast(pl.Float64)
    if column.dtype == pl.Time:
        return column.to_physical().cast(pl.Float64) / (_SECONDS * 1e9)
    microseconds = column.dt.cast_time_unit("us").to_physical().cast(pl.Float64)
    return microseconds / (_SECONDS * 1e6)


def parts_of(days: NDArray[np.float64]) -> list[str]:
    """Return the parts that differ among dates.

    The weekdays of dates that all begin a month do not count: they come from the calendar alone.
    """
    days = days[~np.isnan(days)]
    if not len(days):
        return []
    whole = np.floor(days).astype("datetime64[D]")
    has_days = (whole != np.datetime64(0, "D")).any()  # times of day are parts of the first day
    in_month = whole - whole.astype("datetime64[M]")
    found = []
    if has_days and len(np.unique(whole.astype("datetime64[M]").astype(int) % 12)) > 1:
        found.append("year")
    if has_days and (in_month != in_month[0]).any() and len(np.unique(_weekday(days))) > 1:
        found.append("week")
    if len(np.unique(days - np.floor(days))) > 1:
        found.append("day")
    return found


def part_features(days: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """Return the features of a part of dates, (features, n); 0 where the date is NaN."""
    out = np.zeros((len(PARTS[part]), len(days)))
    known = np.flatnonzero(~np.isnan(days))
    present = days[known]
    if part == "week":
        out[_weekday(present), known] = 1.0
        return out
    share = present - np.floor(present)
    if part == "year":
        year = np.floor(present).astype("datetime64[D]").astype("datetime64[Y]")
        first, end = (edge.astype("datetime64[D]").astype(float) for edge in (year, year + np.timedelta64(1, "Y")))
        share = (present - first) / (end - first)
    out[:, known] = np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)
    return out


def _weekday(days: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the weekdays of dates, 0 for Monday; 1970-01-01 was a Thursday."""
    return (np.floor(days).astype(np.int64) + 3) % 7
