"""Convert the cells of a table to numbers, by its schema."""

from __future__ import annotations

import re
import warnings

import numpy as np
import polars as pl
from numpy.typing import NDArray

from . import dates
from .columns import as_text, format_of, truths_of
from .missing import MISSING, MISSING_NUMBER
from .numbers import FORMATS, PLAIN, gaps, is_number, parsed
from .options import ColumnError
from .schema import ColumnSchema, Schema, TargetSchema, new_column, width
from .source import RawTable, listed
from .target import encoded, target_cells
from .units import is_amount, is_in

#: Numbers from here on round to infinity in float32.
FLOAT32_END = 2.0**128 - 2.0**103


class TableWarning(UserWarning):
    """New data differ from those that the schema was made of.

    Examples
    --------
    >>> import pynn
    >>> issubclass(pynn.datasets.TableWarning, UserWarning)
    True
    """


def places(source: RawTable, schema: Schema) -> tuple[list[int], int | None]:
    """Return the index of each feature column, and of the target if it exists and is not empty."""
    wanted = [column["name"] for column in schema["columns"]]
    target, names = schema["target"], source.frame.columns
    dropped = schema.get("dropped", [])
    place: int | None
    if source.named:
        index = {name: place for place, name in enumerate(names)}
        absent = [name for name in wanted if name not in index]
        if absent:
            source.refuse_unreadable(absent)
            raise ValueError(f"{source.name} lacks column {listed(absent)}; it has {listed(names)}")
        found, place = [index[name] for name in wanted], index.get(target["name"])
    else:
        whole = len(wanted) + len(dropped)
        if len(names) == whole:
            kept, place = list(range(whole)), None
        elif len(names) == whole + 1:
            place = target["index"]
            kept = [index for index in range(whole + 1) if index != place]
        else:
            raise ValueError(
                f"{source.name} has no header and {len(names)} columns; expected {len(wanted)} features "
                f"({listed(wanted)}), with or without the target"
            )
        numbers = {int(name.removeprefix("column_")) for name in dropped if name.startswith("column_")}
        found = [index for index in kept if index not in numbers]
    if place is not None and not target_cells(source.frame[:, place], target).count():
        place = None
    return found, place


def features(
    source: RawTable, schema: Schema, at: list[int], *, whole: bool
) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Return the features, and the number of missing values of each column that has any; `at` is from `places`.

    With `whole`, raise ColumnError for a missing value that the schema does not fill.
    """
    columns = schema["columns"]
    starts = np.cumsum([0, *map(width, columns)])
    x = np.empty((starts[-1], source.frame.height))  # a row for each feature, so that each column is written at once
    gaps_of = _read_plain(source, columns, at, starts, x)
    for index, column in enumerate(columns):
        if index not in gaps_of:
            cells = source.frame[:, at[index]].alias(column["name"])
            read = _one_hot if column["kind"] == "category" else _numbers
            gaps_of[index] = read(source, column, cells, x[starts[index] : starts[index + 1]])
    missing: dict[str, int] = {}
    for index, column in enumerate(columns):
        absent = gaps_of[index]
        if absent is None or not absent.any():
            continue
        missing[column["name"]] = int(absent.sum())
        if column["fill"] is not None and column["kind"] != "category":
            x[starts[index], absent] = column["fill"]
        elif column["fill"] is None and whole:
            row = int(absent.argmax())
            raise ColumnError(
                f"{source.at(row)}: column {column['name']!r} has no value ({source.frame[row, at[index]] or ''!r}), "
                "and the model has no fill value for it; add a value, or remove the row"
            )
    return x.T, missing


def _read_plain(
    source: RawTable, columns: list[ColumnSchema], at: list[int], starts: NDArray[np.int64], x: NDArray[np.float64]
) -> dict[int, NDArray[np.bool_] | None]:
    """Write the columns of plain numbers to `x`; return which of their values are missing, None for none."""
    names = source.frame.columns
    plain = [
        index
        for index, column in enumerate(columns)
        if column["kind"] == "number"
        and "decimal" not in column
        and column.get("unit") != "%"
        and not any(map(is_number, column.get("missing", [])))
        and names[at[index]] in source.plain_names
    ]
    numbers = dict(zip(source.plain.columns, source.plain.get_columns(), strict=True))
    found: dict[int, NDArray[np.bool_] | None] = {}
    for index in plain:
        column, row = numbers[names[at[index]]], x[starts[index]]
        row[:] = column.to_numpy()
        found[index] = np.isnan(row) if column.null_count() else None
        if not np.abs(row).max(initial=0.0) < FLOAT32_END:
            beyond = np.abs(row) >= FLOAT32_END
            if beyond.any():
                raise _unreadable(source, columns[index], int(beyond.argmax()), source.frame[:, at[index]])
    return found


def _unreadable(source: RawTable, column: ColumnSchema, row: int, cells: pl.Series) -> ColumnError:
    expected = _expected_number(column, cells[row])
    unit, cell = column.get("unit", ""), cells[row]
    if isinstance(cell, str) and is_amount(cell) and (unit == "%" or not is_in(cell, "")):
        expected = f"a number in {unit}" if unit else "a number without a unit"
    if column["kind"] == "date":
        expected = f"a date in the format {column.get('date', '')}"
    return ColumnError(f"{source.at(row)}: column {column['name']!r} has {cells[row]!r}; expected {expected}")


def _expected_number(column: ColumnSchema, cell: object) -> str:
    """Return in words what a cell should be that cannot be read, or is no finite number."""
    how = format_of(column)
    cells = pl.Series([cell if isinstance(cell, str) else ""])
    if not isinstance(cell, str) or parsed(cells, how)[0] is not None:
        return "a finite number within the range of float32 (up to 3.4e38)"
    for other in sorted(FORMATS, key=lambda other: other.decimal != how.decimal):
        number = parsed(cells, other)[0]
        if number is None:
            continue
        mark = "a decimal comma" if how.decimal == "," else "a decimal point"
        way = "without thousands separators" if other.decimal == how.decimal else f"with {mark}"
        shown = f"{number:.15g}".replace(".", how.decimal)
        return f"a number written as in the training data, {way}, such as {shown}"
    return "a number, true or false" if column.get("boolean") else "a number, as in the training data"


def _numbers(source: RawTable, column: ColumnSchema, cells: pl.Series, out: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Write a column of numbers, or of dates and their parts, to `out`; return which ones are missing."""
    if cells.dtype == pl.String:
        cells = gaps(cells, MISSING_NUMBER, column.get("missing", []))
    elif cells.dtype.is_numeric():
        markers = [float(marker) for marker in column.get("missing", []) if re.fullmatch(PLAIN, marker)]
        if markers:
            cells = cells.cast(pl.Float64)
            cells = cells.set(cells.is_in(markers).fill_null(value=False), None)
    numbers = _interpreted(column, cells)
    out[0] = numbers.cast(pl.Float64).to_numpy()
    present = cells.is_not_null().to_numpy()
    if cells.dtype.is_float():
        present &= ~np.isnan(out[0])
    bad = present & ~(np.abs(out[0]) < FLOAT32_END)
    if bad.any():
        raise _unreadable(source, column, int(bad.argmax()), cells)
    row = 1
    for part in column.get("parts", []):
        features = dates.part_features(out[0], part)
        out[row : row + len(features)] = features
        row += len(features)
    return ~present


def _interpreted(column: ColumnSchema, cells: pl.Series) -> pl.Series:
    """Return the numbers of a column, float64; null where they are missing or cannot be read."""
    if cells.dtype.is_temporal():
        return dates.numbers_of(cells)
    if cells.dtype != pl.String:
        numbers = cells.cast(pl.Float64)
        return numbers.set(numbers.is_nan(), None)
    if column["kind"] == "date":
        return dates.parsed(cells, column.get("date", ""))
    if column.get("boolean"):
        cells = cells.str.to_lowercase().replace({"true": "1", "false": "0"})
    return parsed(cells, format_of(column))


def _one_hot(source: RawTable, column: ColumnSchema, cells: pl.Series, out: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Write a one-hot column for each category to `out`; return which cells are missing."""
    cells = gaps(as_text(cells), MISSING, column.get("missing", []))
    truths = truths_of(column["categories"])
    if truths:  # libraries spell booleans differently
        written = cells.str.to_lowercase().replace_strict(truths, default=None, return_dtype=pl.String)
        cells = cells.zip_with(written.is_null(), written)
    places = {category: place for place, category in enumerate(column["categories"])}
    found = cells.replace_strict(places, default=-1, return_dtype=pl.Int64).to_numpy()
    absent = cells.is_null().to_numpy()
    unknown = np.flatnonzero((found < 0) & ~absent)
    out[:] = 0.0
    if column.get("other"):
        out[len(places), unknown] = 1.0
    elif len(unknown):
        shown = dict.fromkeys(repr(cells[int(row)]) for row in unknown)
        warnings.warn(
            f"{source.at(int(unknown[0]))}: column {column['name']!r} has {listed(shown)}, none of the known "
            f"categories {listed(column['categories'])}; read as missing",
            TableWarning,
            stacklevel=2,
        )
    known = np.flatnonzero((found >= 0) & ~absent)
    out[found[known].astype(int), known] = 1.0
    return absent


def targets(
    source: RawTable, target: TargetSchema, column: pl.Series
) -> tuple[NDArray[np.int64] | NDArray[np.float64], NDArray[np.bool_]]:
    """Return the targets of the rows that have one, and which rows have one."""
    column = column.alias(target["name"])
    if target["class_names"] is not None:
        y = encoded(source, target_cells(column, target), target["class_names"])
        return y[y >= 0], y >= 0
    out = np.empty((1, len(column)))
    number = new_column(target["name"], "number")
    written = {key: target[key] for key in ("decimal", "thousands", "unit", "scaled", "missing") if key in target}
    number.update(written)  # type: ignore[typeddict-item]
    present = ~_numbers(source, number, column, out)
    return out[0, present], present
