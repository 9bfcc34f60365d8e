"""What a table shows of itself in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ...report.page import facts, fragment, table
from ...report.text import amount
from .schema import width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .schema import ColumnSchema, Schema

#: Maximum numbers of categories that are named, and of columns that are listed.
MAX_CATEGORIES, MAX_COLUMNS = 6, 200


def table_html(
    x: NDArray[np.float64],
    task: str,
    schema: Schema,
    missing: dict[str, int],
    notes: dict[str, str],
    without_target: int,
) -> str:
    """Return rows, features and target as tiles, and the columns with their kinds, values and gaps."""
    pairs = [
        ("rows", f"{len(x):,}"),
        ("features", f"{x.shape[1]:,}"),
        ("target", schema["target"]["name"]),
        ("task", task),
    ]
    if without_target:
        pairs.append(("left out, without a target", f"{without_target:,} rows"))
    rows, place = [], 0
    for column in schema["columns"]:
        name, features = column["name"], x[:, place : place + width(column)]
        gaps = f"{missing[name]:,}" if name in missing else ""
        rows.append([name, column["kind"], escape(_values(column, features)), gaps, escape(notes.get(name, ""))])
        place += width(column)
    reasons = {name: notes.get(name, "").removeprefix("dropped: ") for name in schema.get("dropped", [])}
    rows += [[name, "dropped", "", "", escape(reason)] for name, reason in reasons.items()]
    caption = "Columns" + (f" ({MAX_COLUMNS} of {len(rows)})" if len(rows) > MAX_COLUMNS else "")
    heads = ["column", "kind", "values", "missing", "note"]
    return fragment(facts(pairs) + table(caption, heads, rows[:MAX_COLUMNS], ("kind", "values", "note")))


def _values(column: ColumnSchema, features: NDArray[np.float64]) -> str:
    """Return the range of a number or date, or the names of categories."""
    if column["kind"] == "category":
        names = column["categories"]
        more = len(names) - MAX_CATEGORIES
        return ", ".join(names[:MAX_CATEGORIES]) + (f" and {more} more" if more > 0 else "")
    present = features[~np.isnan(features[:, 0]), 0]  # the others are parts of dates
    if not len(present):
        return ""
    low, high = present.min(), present.max()
    if column["kind"] == "date":
        return " to ".join(str(np.datetime64("1970-01-01") + np.timedelta64(int(day), "D")) for day in (low, high))
    return f"{amount(low, 6)} to {amount(high, 6)}"
