"""Rows and columns at the edge of a table that hold no examples: units, titles, totals, empty columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from .missing import MISSING_NUMBER
from .numbers import FORMATS, is_number, parsed, plain_numbers

#: What stands beside totals and means at the end of a table, in any case, with a colon or not.
_TOTALS = frozenset(("total", "totals", "grand total", "sum", "average", "mean", "summe", "gesamt", "mittelwert"))
#: What rounding changes of a total or a mean, as a share of it.
_ROUNDING = 0.005


def empty_columns(names: Sequence[str | None], frame: pl.DataFrame) -> list[int]:
    """Return the places of the columns without name and values, as delimiters at the ends of lines make them.

    Where no column has a name, only the last can be one. Two columns are left at least.
    """
    nulls = frame.null_count().row(0)
    empty = [place for place, name in enumerate(names) if not name and nulls[place] == frame.height]
    empty = empty if any(names) else [place for place in empty if place == len(names) - 1]
    return empty if len(names) - len(empty) > 1 else []


def check_title(path: str, names: Sequence[str | None]) -> None:
    """Raise ValueError if most columns lack a name: the first row is rather a title."""
    named = sum(bool(name) for name in names)
    if 2 * named < len(names):
        raise ValueError(
            f"{path}: the first row names {named} of {len(names)} columns; delete the rows above the names, such as a "
            "title"
        )


def is_second_header(frame: pl.DataFrame) -> bool:
    """Return whether the row below the names has text, and no number, above columns of numbers, two at least."""
    if frame.height < 3:
        return False
    second = [cell or "" for cell in frame.row(1)]
    texts = [place for place, cell in enumerate(second) if cell.lower() not in MISSING_NUMBER]
    if len(texts) < 2 or any(is_number(cell) for cell in second):
        return False
    below = frame[2:, texts]
    plain = plain_numbers(below)
    return sum(plain[name].count() > 0 for name in plain.columns) > 1


def refuse_second_names(path: str, names: Sequence[str | None], line: int) -> None:
    """Raise ValueError if a row of text below the names belongs to them: some are absent, or there twice."""
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(
            f"{path}: the names of the columns stand in two rows, the second in line {line}; write them in one"
        )


def total_label(frame: pl.DataFrame) -> str:
    """Return the word in the last row that calls it a total or a mean, if it is that of a column, else ""."""
    if frame.height < 3:
        return ""
    last = frame.row(-1)
    for place, cell in enumerate(last):
        if not isinstance(cell, str) or cell.lower().rstrip(": ") not in _TOTALS:
            continue
        if any(_sums_up(frame[:, other]) for other in range(frame.width) if other != place and last[other] is not None):
            return cell
    return ""


def _sums_up(column: pl.Series) -> bool:
    """Return whether the last number of a column is the sum or the mean of the others."""
    if column.dtype == pl.String:
        column = min((parsed(column, how) for how in FORMATS), key=pl.Series.null_count)
    elif not column.dtype.is_numeric():
        return False
    *values, last = column.cast(pl.Float64).to_numpy()
    known = np.array(values)[~np.isnan(values)]
    if not len(known) or not np.isfinite(last):
        return False
    return bool(any(abs(last - found) <= _ROUNDING * abs(found) for found in (known.sum(), known.mean())))
