"""Dates in users' data, which NumPy would turn into nanoseconds."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from .columns import is_frame

_MOMENTS = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def refuse_dates(data: Any, name: str) -> None:
    """Raise ValueError if an argument holds dates, times, durations or periods; the message names the column."""
    titles = data.columns if is_frame(data) else [None]
    for title in titles:
        column, place = (data, "") if title is None else (data[title], f" in column {title!r}")
        held = _held(column)
        if held:
            raise ValueError(
                f"{name} holds {held}{place}; expected numbers, such as the days since a certain date; "
                "pynn.datasets.read_table makes features of dates"
            )


def _held(column: Any) -> str:
    """Return the type of a column of dates, or the class of the first one among objects; "" if there are none."""
    dtype = str(getattr(column, "dtype", "")).lower()
    if dtype.startswith(("date", "time", "duration", "period", "<m8", ">m8")):
        return dtype
    cells = column if isinstance(column, list | tuple) else np.ravel(column) if dtype == "object" else ()
    moments = (cell for cell in cells if isinstance(cell, _MOMENTS) or type(cell).__name__ == "Period")
    return next((type(cell).__name__ for cell in moments), "")
