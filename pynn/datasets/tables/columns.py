"""How the columns of a table are read: their kind, inferred from their cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from . import dates
from .errors import FEW_CATEGORIES, refuse_errors, strays
from .missing import MISSING, MISSING_NUMBER
from .numbers import LEADING_ZERO, PLAIN_FORMAT, NumberFormat, all_follow, gaps, parsed
from .options import ColumnError, ColumnOptions
from .schema import ColumnSchema, TargetSchema, new_column
from .source import RawTable, listed
from .units import formats_of, in_unit, units_of

#: Of more than `FEW_CATEGORIES`, those are encoded with this minimum number of rows, and this share.
#: Without a share, 206 names of storms cost 0.1 of accuracy; at most 20 of the 46 cities of txhousing, 0.05 of R2.
FEWEST_ROWS, SMALLEST_SHARE = 3, 0.01
#: The largest number of numbers that encode a column of more than `FEW_CATEGORIES`.
MOST_NUMBERS = 4_000_000
#: Text with more different values than this share of its rows, such as names, tells nothing about other rows.
NEARLY_ALL = 0.5
#: Numbers that often stand for a missing value.
GAP_NUMBERS = (-99.0, -999.0, -9999.0, -99999.0)
#: With this number of rows, it is no coincidence if all whole numbers differ.
MANY_ROWS = 20
#: Columns that number the rows have one of these names, an ending as in customer_id or PassengerId, or no name.
_INDEX_NAMES = re.compile(
    r"(?:unnamed: 0(?:\.\d+)*|__index_level_\d+__|level_0|\.\.\.1|index|idx|uid|obs|row(?:[._ ]?names?)?|"
    r"s[rl]?[. ]*no)\.?",
    re.IGNORECASE,
)
#: They may also have one of these, if they do no more than count them.
_COUNTER_NAMES = re.compile(r"(?:no|nr|num|x|x1|instant|#)\.?", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(?:^|[\W_])[iI][dD]$|[a-z]I[dD]$|^(?i:serial|record|row)[ _]?(?i:no\.?|number)$")


def learn_column(source: RawTable, column: pl.Series, options: ColumnOptions) -> tuple[ColumnSchema | None, str]:
    """Return how a feature column is read, or None if it is dropped; and a note about it, or ""."""
    name = column.name
    if name in options.drop:
        return None, ""
    named = name in options.named()
    if not named and is_index(source, column):
        return None, "row numbers"
    if not named and name in source.categories:
        cells = gaps(column, MISSING, options.missing)
        return _category(cells, options, named=False) if cells.count() else (None, "no values")
    if not named and column.dtype == pl.String and dates.are_compact(column):
        return _date(source, column, "%Y%m%d", options)
    if not named and options.has_usual_cells and name in source.plain_names and source.plain[name].count():
        written = _plain_format(source, column)
        note = _gap_note(source, name) if written.is_plain else format_note(column, written)
        return _typed_number(column, _number(name, written, options), options), note
    if column.dtype != pl.String:
        cells = column if column.dtype.is_temporal() else gaps(as_text(column), MISSING, options.missing)
        if not named and not cells.count():
            return None, "no values"
        if name in options.categorical:
            return _category(as_text(column), options, named=True)
        if column.dtype.is_temporal():
            return _with_parts(new_column(name, "date"), column, "dates")
        return _typed_number(column, new_column(name, "number"), options), ""
    cells = gaps(column, MISSING, options.missing)
    if name in options.categorical:
        return _category(cells, options, named=True)
    if not named and not cells.count():
        return None, "no values"
    if name in options.dates:
        return _date(source, gaps(cells, MISSING_NUMBER), options.dates[name], options)
    how = number_format_of(source, cells, options)
    if how is not None:
        return _number(name, how, options), format_note(cells, how)
    if name in options.numeric:
        if not gaps(cells, MISSING_NUMBER).count():
            raise ColumnError(
                f"{source.name}: column {name!r} has no values; expected numbers, or leave it out (drop, --drop {name})"
            )
        row, cell = strays(cells, options)[0]
        raise ColumnError(f"{source.at(row)}: column {name!r} has {cell!r}; expected a number")
    days = gaps(cells, MISSING_NUMBER)
    if not named and (dates.date_formats(days.drop_nulls()) or dates.look_like_dates(days.drop_nulls())):
        return _date(source, days, "", options)
    odd = refuse_errors(source, cells, options)
    learned, note = _category(cells, options, named=False)
    told = f"categories, for {odd!r} among numbers; if it marks gaps, say so (missing, --missing)"
    return learned, note or told * odd.isalpha()


def is_index(source: RawTable, column: pl.Series) -> bool:
    """Return whether a column only counts the rows, of this table or of one that it is a part of.

    It has the name of an index or none, and whole numbers that rise by 1 from 0 or 1, or, in many rows, all differ.
    """
    nameless = source.named and column.name in ("", "column_0")
    name = column.name.strip()
    called_so = nameless or _INDEX_NAMES.fullmatch(name) or _IDENTIFIER.search(name)
    if not (called_so or _COUNTER_NAMES.fullmatch(name)) or len(column) < 2:
        return False
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() or (numbers != numbers.floor()).any():
        return False
    counts = numbers[0] in (0, 1) and bool((numbers.diff().drop_nulls() == 1).all())
    return counts or (bool(called_so) and len(column) >= MANY_ROWS and column.n_unique() == len(column))


def as_text(column: pl.Series) -> pl.Series:
    """Return a column as text; whole numbers without a decimal point."""
    if column.dtype.is_float() and column.drop_nulls().is_finite().all():
        whole = column.cast(pl.Int64, strict=False)
        if (whole == column).fill_null(value=True).all():
            column = whole
    return column if column.dtype == pl.String else column.cast(pl.String)


def truths_of(names: Sequence[str]) -> dict[str, str]:
    """Return how the names spell true and false, by their lower case; without one that they spell in several ways."""
    found: dict[str, list[str]] = {}
    for name in names:
        if name.lower() in ("true", "false"):
            found.setdefault(name.lower(), []).append(name)
    return {word: spelt[0] for word, spelt in found.items() if len(spelt) == 1}


def number_format_of(source: RawTable, cells: pl.Series, options: ColumnOptions) -> NumberFormat | None:
    """Return the format that all cells follow, or None if there is none; raise ColumnError if it is ambiguous."""
    present = gaps(cells, MISSING_NUMBER, options.missing).drop_nulls()
    if not len(present):
        return None
    if cells.name not in options.numeric and present.str.contains(LEADING_ZERO).any():
        return None  # codes
    formats = in_unit(options.formats(), units_of(present))
    fitting = [how for how in formats if all_follow(present, how)]
    if not fitting:
        return None
    if options.decimal is not None:
        return fitting[0]
    if fitting[0].decimal == ",":
        return _comma(source, cells, fitting)
    return _beside_commas(source, fitting[0], fitting)


def _comma(source: RawTable, cells: pl.Series, fitting: list[NumberFormat]) -> NumberFormat:
    """Return what a comma means in a column: a decimal mark, or a thousands separator."""
    grouped = [how for how in fitting if how.decimal == "."]
    if not grouped or source.has_decimal_commas:
        return fitting[0]
    if source.comma_separated:
        return grouped[0]  # commas separate cells: a decimal comma is unlikely, and a quoted one groups digits
    row = cells.str.contains(",", literal=True).fill_null(value=False).arg_true()[0]
    cell = cells[row]
    raise ColumnError(
        f"{source.at(row)}: {cell!r} in column {cells.name!r} may be {cell.replace(',', '')} or "
        f"{cell.replace(',', '.')}; say which by the decimal mark (decimal, --decimal) or the thousands separator "
        "(thousands, --thousands)"
    )


def _beside_commas(source: RawTable, plainest: NumberFormat, fitting: Sequence[NumberFormat]) -> NumberFormat:
    """Return the format of numbers that may have points: beside decimal commas, a point in 1.234 groups digits.

    So it does where no number has one yet, but those of another file may.
    """
    grouped = [how for how in fitting if how.decimal == "," and "." in how.thousands]
    return grouped[0] if grouped and source.has_decimal_commas else plainest


def _plain_format(source: RawTable, column: pl.Series) -> NumberFormat:
    """Return the format of plain numbers."""
    if column.dtype != pl.String or not source.has_decimal_commas:
        return PLAIN_FORMAT
    return _beside_commas(source, PLAIN_FORMAT, formats_of(column))


def _number(name: str, how: NumberFormat, options: ColumnOptions) -> ColumnSchema:
    column = new_column(name, "number")
    write_format(column, how)
    return _with_missing(column, options)


def _typed_number(column: pl.Series, learned: ColumnSchema, options: ColumnOptions) -> ColumnSchema:
    """Return the schema of numbers that have a type, with a note if it is that of booleans."""
    if column.dtype == pl.Boolean:
        learned["boolean"] = True
    return _with_missing(learned, options)


def write_format(column: ColumnSchema | TargetSchema, how: NumberFormat) -> None:
    """Note in the schema of a column how its numbers are written."""
    if not how.is_plain:
        column["decimal"], column["thousands"] = how.decimal, how.thousands
    column["unit"] = how.unit or ""
    if how.scaled:
        column["scaled"] = True


def format_of(column: ColumnSchema | TargetSchema) -> NumberFormat:
    """Return how the schema of a column says that its numbers are written."""
    marks = column.get("decimal", "."), column.get("thousands", "")
    return NumberFormat(*marks, column.get("unit"), column.get("scaled", False))


def _with_missing(column: ColumnSchema, options: ColumnOptions) -> ColumnSchema:
    if options.missing:
        column["missing"] = list(options.missing)
    return column


def format_note(cells: pl.Series, how: NumberFormat) -> str:
    """Return what is told of numbers that are not written plainly, or ""."""
    if how.is_plain and not cells.str.contains(r"[^0-9.eE+\-]").any():
        return ""
    strange = cells.drop_nulls()
    strange = strange.filter(strange.str.contains(r"[^0-9.eE+\-]"))
    strange = strange.filter(parsed(strange, how).is_not_null())
    telling = strange.filter(parsed(strange, how) != 0)
    strange = telling if len(telling) else strange
    if not len(strange):
        return ""
    if how.word:
        bare = cells.str.contains(r"[0-9]$").sum()
        return f"numbers in {how.unit}" + (f", {bare} of them without it" if bare else "")
    return f"{strange[0]} is {parsed(strange.head(1), how)[0]:g}"


def _gap_note(source: RawTable, name: str) -> str:
    """Return what is told of a number that may mark gaps, since it recurs below others that are not negative."""
    least = source.least[name]
    if least not in GAP_NUMBERS:
        return ""
    values = source.plain[name].drop_nulls().to_numpy()
    others = values[values != least]
    count = len(values) - len(others)
    if count < 2 or not len(others) or others.min() < 0:
        return ""
    return f"{least:g} in {count} cells; if it marks gaps, say so (missing, --missing {least:g})"


def _date(source: RawTable, cells: pl.Series, form: str, options: ColumnOptions) -> tuple[ColumnSchema, str]:
    present = cells.drop_nulls()
    formats = [form] if form else dates.date_formats(present)
    shown = [dates.as_strptime(how, present) for how in formats]
    if len(formats) > 1 and len(present):
        raise ColumnError(
            f"{source.name}: the dates in column {cells.name!r}, such as {present[0]!r}, may be "
            f"{' or '.join(shown)}; say which (dates, --date {cells.name}={shown[0]})"
        )
    bad = dates.parsed(present, formats[0]).is_null().arg_true() if formats else range(len(present))
    if len(bad):
        row = cells.is_not_null().arg_true()[bad[0]]
        raise ColumnError(
            f"{source.at(row)}: column {cells.name!r} has {cells[row]!r}; expected "
            + (f"the format {shown[0]}" if formats else "existing dates or times, all in one format")
            + "; else say that the column holds categories (categorical, --categorical), or leave it out (drop, --drop)"
        )
    column = new_column(cells.name, "date")
    column["date"] = formats[0]
    return _with_parts(_with_missing(column, options), dates.parsed(present, formats[0]), f"dates, {shown[0]}")


def _with_parts(column: ColumnSchema, moments: pl.Series, note: str) -> tuple[ColumnSchema, str]:
    """Return a column of dates with the parts that recur in them, and a note about it."""
    if moments.dtype == pl.Duration:
        return column, ""
    days = dates.numbers_of(moments) if moments.dtype.is_temporal() else moments
    parts = dates.parts_of(days.cast(pl.Float64).to_numpy())
    if parts:
        column["parts"] = parts
    return column, f"{note}: {', '.join(['days', *(f'part of the {part}' for part in parts)])}"


def _category(cells: pl.Series, options: ColumnOptions, *, named: bool) -> tuple[ColumnSchema | None, str]:
    """Return the encoding of a text column: a column for each frequent category, and one for all others."""
    present = cells.drop_nulls()
    counts = present.value_counts(sort=True)
    names, rows = counts[:, 0].to_list(), counts[:, 1].to_list()
    other, note = False, ""
    if len(names) > FEW_CATEGORIES:
        enough, most = max(FEWEST_ROWS, SMALLEST_SHARE * len(present)), max(FEW_CATEGORIES, MOST_NUMBERS // len(cells))
        if named and rows[0] < enough:  # many equally rare ones, such as 200 shops
            enough = FEWEST_ROWS
        kept = [name for name, count in zip(names, rows, strict=True) if count >= enough][:most]
        other = len(kept) < len(names)
        if not named and (not kept or (len(names) > NEARLY_ALL * len(present) and sum(rows[: len(kept)]) < len(names))):
            return None, f"{len(names)} different texts in {len(present)} rows, such as {names[0]!r}"
        note = f"{len(kept)} of {len(names)} categories; the rare ones together" if other else ""
        names = kept
    column = new_column(cells.name, "category", sorted(names))
    if other:
        column["other"] = True
    return _with_missing(column, options), note


def check_names(source: RawTable, options: ColumnOptions) -> None:
    """Raise ValueError if an option names no column of the source, or if no option drops what cannot be read."""
    odd = [name for name in source.unreadable if name not in options.drop]
    source.refuse_unreadable(odd, f", or to be left out (drop, --drop {','.join(odd)})")
    for name, option in options.named().items():
        if name not in source.frame.columns and name not in source.unreadable:
            raise ValueError(f"{option} names {name!r}, but {source.name} has {listed(source.frame.columns)}")


def refuse_target(target: str, options: ColumnOptions) -> None:
    """Raise ValueError if an option for features names the target: it would have no effect."""
    if option := options.named().get(target):
        raise ValueError(f"{option} names {target!r}, which is the target; only the task says how a target is read")
