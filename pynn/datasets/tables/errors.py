"""Cells that are rather errors than categories: text among numbers, and numbers in several units."""

from __future__ import annotations

import polars as pl

from .missing import MISSING_NUMBER
from .numbers import CURRENCIES, LEADING_ZERO, gaps, is_infinite, parsed
from .options import ColumnError, ColumnOptions
from .source import RawTable
from .units import in_unit, is_amount, is_in, units_of

#: Up to this number of categories, each is encoded.
FEW_CATEGORIES = 20
#: Texts among numbers are errors up to this number of different ones, or this share of the cells; more make the column
#: text, unless its numbers are measured.
MAX_ERRORS, ERROR_SHARE = 3, 0.05
#: Whole numbers mixed with text, such as 0, 1, 2, 3+, are codes if at least this share of the cells is text.
MIN_TEXT = 0.02
#: More than `FEW_CATEGORIES` numbers in up to this number of units are measured, no categories.
MOST_UNITS = 3


def strays(cells: pl.Series, options: ColumnOptions) -> list[tuple[int, str]]:
    """Return row and text of the cells that are neither missing nor numbers of any format."""
    present = gaps(cells, MISSING_NUMBER, options.missing)
    for how in in_unit(options.formats(), units_of(present)):
        present = present.set(parsed(present, how).is_not_null(), None)
    rows = present.is_not_null().arg_true().to_list()
    return [(row, present[row]) for row in rows]


def refuse_mixed(source: RawTable, cells: pl.Series, options: ColumnOptions) -> None:
    """Raise ColumnError if a column holds amounts in several units, rather than categories."""
    present = gaps(cells, MISSING_NUMBER, options.missing).drop_nulls()
    units = units_of(present)
    if units.amounts < len(present) or not 1 < len(units.counts) <= MOST_UNITS:
        return
    money = [mark for mark in units.counts if mark == "%" or mark in CURRENCIES]
    words = [mark for mark in units.counts if len(mark) > 1]
    if not money and not (words and ("" in units.counts or present.n_unique() > FEW_CATEGORIES)):
        return
    usual = max(units.counts, key=units.counts.__getitem__)
    row, cell = next(
        (row, cell) for row, cell in enumerate(cells) if cell and is_amount(cell) and not is_in(cell, usual)
    )
    beside = f"numbers in {usual}" if usual else "numbers without a unit"
    raise ColumnError(
        f"{source.at(row)}: column {cells.name!r} has {cell!r} among {beside}; write all of them in one unit, say that "
        "the column holds categories (categorical, --categorical), or leave it out (drop, --drop)"
    )


def refuse_errors(source: RawTable, cells: pl.Series, options: ColumnOptions) -> str:
    """Raise ColumnError if text among numbers is rather an error than a category; return one among codes, else ""."""
    refuse_mixed(source, cells, options)
    strange = strays(cells, options)
    present = gaps(cells, MISSING_NUMBER, options.missing).drop_nulls()
    numbers = len(present) - len(strange)
    if not numbers or present.str.contains(LEADING_ZERO).any():
        return ""
    formats = in_unit(options.formats(), units_of(present))
    if not strange:
        first = next(how for how in formats if parsed(present, how).count())
        usual = present.filter(parsed(present, first).is_not_null())[0]
        other = present.filter(parsed(present, first).is_null())[0]
        row = int((cells == other).arg_true()[0])
        raise ColumnError(
            f"{source.at(row)}: column {cells.name!r} has {other!r} beside numbers such as {usual!r}; write all of "
            "them the same way"
        )
    texts = {cell for _, cell in strange}
    values = present.filter(~present.is_in(list(texts)))
    read = min((parsed(values.unique(), how) for how in formats), key=pl.Series.null_count).drop_nulls()
    whole = (read.is_finite() & (read == read.floor())).to_list()
    # Mostly fractions, too many to be encoded one by one, are measured: text such as 1.5* or <0.5 does not change that.
    measured = 2 * numbers > len(present) and 2 * sum(whole) < len(whole) and present.n_unique() > FEW_CATEGORIES
    if len(texts) > MAX_ERRORS and len(strange) > ERROR_SHARE * len(present) and not measured:
        return ""
    if all(whole):
        repeated = len(values) >= 2 * values.n_unique()
        if repeated and len(strange) >= MIN_TEXT * len(values):
            return strange[0][1]
    row, cell = strange[0]
    if is_infinite(cell):
        raise ColumnError(f"{source.at(row)}: column {cells.name!r} has {cell!r}; expected a finite number")
    raise ColumnError(
        f"{source.at(row)}: column {cells.name!r} has {cell!r} among numbers; write a number, leave the cell empty if "
        f"it is unknown (or missing=[{cell!r}], --missing), say that the column holds categories (categorical, "
        "--categorical), or leave it out (drop, --drop)"
    )
