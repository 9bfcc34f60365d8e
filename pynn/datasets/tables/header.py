"""Whether the first row of a file names its columns."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .dates import date_formats
from .missing import MISSING_NUMBER
from .numbers import gaps, is_number, plain_numbers
from .units import formats_of

#: Columns that are looked at first: mostly one of them tells, and all of a wide table would take a second.
_FEW = 8


def has_header(frame: pl.DataFrame, target: str | int | None, expected: Sequence[str]) -> bool:
    """Return whether the first row names the columns.

    It does if `target` can only be a name; if columns are `expected`, if one is in it, in capitals or not, or text is
    above numbers; otherwise see `_looks_like_header`.
    """
    first = [cell or "" for cell in frame.row(0)]
    if isinstance(target, str):
        whole = target.removeprefix("-").isdecimal()
        if not whole or (target in first and int(target) >= len(first)):
            return True
    if expected:
        names = {name.lower() for name in expected if not is_number(name)}
        known = set(expected) <= set(first) or any(cell.lower() in names for cell in first)
        nameless = all(name.startswith("column_") for name in expected)  # the table that was learnt from had no header
        return known or (not nameless and is_above_numbers(frame))
    return _looks_like_header(frame, first)


def _looks_like_header(frame: pl.DataFrame, first: list[str]) -> bool:
    """Return whether the first row is a header rather than data.

    It is if a column has text there and only numbers below. Otherwise it is if none of its text recurs in its column
    and it has no number, or a whole number above only text, or numbers that enumerate the columns.
    """
    if is_above_numbers(frame):
        return True
    if _is_like_below(frame, first):
        return False
    rest, texts = frame.slice(1), _texts(first)
    numbers = [index for index, cell in enumerate(first) if is_number(cell)]
    if any((rest[:, index] == first[index]).any() for index in texts):
        return False
    if not numbers:
        return True
    if not all(first[index].isdecimal() for index in numbers):
        return False
    return any(_is_text(rest[:, index]) for index in numbers) or _count_columns(first, rest, numbers)


def _texts(first: list[str]) -> list[int]:
    """Return the places of the cells that are neither numbers nor missing."""
    return [index for index, cell in enumerate(first) if not is_number(cell) and cell.lower() not in MISSING_NUMBER]


def is_above_numbers(frame: pl.DataFrame) -> bool:
    """Return whether a column has text in the first row, and only numbers below."""
    rest = frame.slice(1)[:, _texts([cell or "" for cell in frame.row(0)])]
    for some in (rest[:, :_FEW], rest[:, _FEW:]):
        plain = plain_numbers(some)
        if any(plain[name].count() for name in plain.columns):
            return True
    return any(
        len(below) and formats_of(below) and not formats_of(frame[below.name])
        for below in (column.drop_nulls() for column in rest)
    )


def _is_like_below(frame: pl.DataFrame, first: list[str]) -> bool:
    """Return whether text in the first row is a number with a unit, or a date, as all cells below are."""
    columns = (gaps(frame[:, place], MISSING_NUMBER).drop_nulls() for place in _texts(first))
    return any(len(cells) > 1 and (formats_of(cells) or date_formats(cells)) for cells in columns)


def _is_text(column: pl.Series) -> bool:
    """Return whether a column has at least two cells and no number."""
    cells = column.drop_nulls()
    return len(cells) > 1 and not any(map(is_number, cells.unique()))


def _count_columns(first: list[str], rest: pl.DataFrame, numbers: list[int]) -> bool:
    """Return whether the whole numbers of the first row are names such as 0, 1, 2 or 1990, 1995 rather than values.

    Names count up from 0 in steps of 1, or from 1 if there are three or more beside text, or are years in equal steps,
    as no other row is. Fewer than three are names only if all numbers below have a decimal point.
    """
    names = np.array([[float(first[index]) for index in numbers]])
    named = _count_up(names, 0) | _are_years(names)
    if 2 < len(numbers) < len(first):
        named |= _count_up(names, 1)
    if not rest.height or not named.any():
        return False
    below = rest[:, numbers]
    if all(below.select((pl.all().str.contains(".", literal=True) | pl.all().is_null()).all()).row(0)):
        return True
    values = below.select(pl.all().cast(pl.Float64, strict=False)).to_numpy()
    alike = _are_years if _are_years(names).any() else _rise
    return len(numbers) > 2 and not bool(alike(values).any())


def _count_up(rows: NDArray[np.float64], first: int) -> NDArray[np.bool_]:
    """Return which rows are `first`, `first` + 1, ..."""
    return np.asarray((rows == np.arange(first, first + rows.shape[1])).all(axis=1))


def _rise(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows rise in steps of 1 from any number, where they have values."""
    steps = rows - np.arange(rows.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row without values does not rise
        return np.asarray(np.nanmax(steps, axis=1) == np.nanmin(steps, axis=1))


def _are_years(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows are years from 1800 to 2100 in equal steps, not of 0."""
    steps = np.diff(rows, axis=1)
    equal = (steps == steps[:, :1]).all(axis=1) & (steps != 0).all(axis=1)
    return np.asarray(equal & ((rows >= 1800) & (rows <= 2100)).all(axis=1))
