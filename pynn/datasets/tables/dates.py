"""Dates and times of day, as numbers: days since 1970-01-01, or the part of the day."""

from __future__ import annotations

import polars as pl

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
_CLOCK = r"^[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?$"
_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%:z")
FORMATS = (
    *_DAYS,
    *_MONTHS,
    *(f"{day}{between}{clock}" for day in _DAYS for between in (" ", "T") for clock in _CLOCKS),
    *(f"{form}Z" for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")),
    *_ZONED,
    *_CLOCKS,
)
_SECONDS = 86400.0


def date_formats(cells: pl.Series) -> list[str]:
    """Return the formats that all cells, none of them missing, follow: several if day and month may be exchanged."""
    if not len(cells) or not cells.str.contains(_HINT).all():
        return []
    long_years = bool(cells.str.contains("[0-9]{4}").all())  # polars takes 20 for the year 20 of %Y
    short_years = bool(cells.str.contains(r"[-/.][0-9]{2}(?:[ T]|$)").all())  # and 3 for that of %y
    formats = [form for form in FORMATS if (long_years or "%Y" not in form) and (short_years or "%y" not in form)]
    sample = cells.head(20)
    fitting = [form for form in formats if not parsed(sample, form).null_count()]
    fitting = [form for form in fitting if not parsed(cells, form).null_count()]
    different: list[str] = []
    for form in set(_MONTHS).intersection(fitting) or fitting:  # polars also takes Jan 2020 for the 20th
        if not any(parsed(cells, form).equals(parsed(cells, other)) for other in different):
            different.append(form)
    return different


def look_like_dates(cells: pl.Series) -> bool:
    """Return whether people would read all cells as dates or times, although no format fits all of them."""
    return len(cells) > 0 and bool((cells.str.contains(_DATE) | cells.str.contains(_CLOCK)).all())


def parsed(cells: pl.Series, form: str) -> pl.Series:
    """Return the days since 1970-01-01 of dates, or the part of the day of times; null where a cell does not fit."""
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
