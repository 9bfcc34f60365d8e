"""The target of a table: which column it is, and whether it holds classes or amounts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from . import dates
from .columns import (
    NEARLY_ALL,
    as_text,
    format_note,
    format_of,
    is_index,
    number_format_of,
    truths_of,
    write_format,
)
from .errors import FEW_CATEGORIES, refuse_mixed, strays
from .missing import MISSING, MISSING_NUMBER
from .numbers import FORMATS, gaps, parse_whole, parsed
from .options import ColumnError, ColumnOptions
from .schema import TargetSchema
from .source import RawTable, listed
from .units import formats_of, in_unit, units_of

#: Names that only a target has.
_TARGET_NAMES = frozenset(
    ("target", "targets", "label", "labels", "class", "classes", "y", "outcome", "response", "output")
)
#: Up to this number of different whole numbers are classes, whatever they are.
FEW = 3
#: From `MANY` different whole numbers on, classes have `MEAN_EACH` rows each on average, and frequencies unlike those
#: of amounts.
MANY, MEAN_EACH = 6, 5
#: Of more than `MAX_CLASSES` classes, each has at least `FEWEST_EACH` rows.
MAX_CLASSES, FEWEST_EACH = 20, 10
#: Frequencies are those of amounts if the commonest number has `RARE` times the rows of the rarest; `PEAK` times
#: suffice if they rise to one peak and fall again.
PEAK, RARE = 4.0, 50.0


def target_place(source: RawTable, target: str | int) -> int:
    """Return the index of the column that is called `target`, or has this index, which may be negative."""
    names = source.frame.columns
    if target in names:
        return names.index(str(target))
    if isinstance(target, str):
        if not target.removeprefix("-").isdecimal():
            raise ValueError(f"{source.name} has no column {target!r}; it has {listed(names)}")
        target = int(target)
    if not -len(names) <= target < len(names):
        raise ValueError(f"{source.name} has no column {target}; it has {len(names)}: {listed(names)}")
    return target % len(names)


def evident_target(source: RawTable, task: str | None, options: ColumnOptions) -> str | None:
    """Return the column that is evidently the target, or None.

    It is the only one with a name such as "target" or "y". Otherwise it is the last column, if it is the only one with
    text, which recurs; or if all others hold fractions, and it holds few whole numbers; or if `task` is given and
    suits it, and it suits no column but those that are read alike.
    """
    columns = [column for column in source.frame if column.name not in options.drop and not is_index(source, column)]
    called = [column.name for column in columns if column.name.lower() in _TARGET_NAMES]
    if len(called) == 1:
        return called[0]
    if called or len(columns) < 2:
        return None
    kinds = [_kind(source, column) for column in columns]
    *others, last = kinds
    suits = task is None or (task == "regression") == (last in ("fractions", "whole numbers"))
    alone = last not in others
    few = last == "few whole numbers" or (last == "text" and _recurs(columns[-1]))
    if suits and (task is not None or (alone and few and "text" not in others)):
        return str(columns[-1].name)
    return None


def _recurs(text: pl.Series) -> bool:
    """Return whether text holds classes rather than names, of which most are there once."""
    different = text.n_unique()
    return different < len(text) and different <= max(FEW_CATEGORIES, NEARLY_ALL * len(text))


def _kind(source: RawTable, column: pl.Series) -> str:
    """Return "text", "few whole numbers", "whole numbers", "fractions" or "dates"."""
    if column.name in source.categories:
        return "text"
    if column.dtype.is_temporal():
        return "dates"
    if column.name in source.plain_names:
        numbers = source.plain[column.name]
    else:
        cells = gaps(column, MISSING_NUMBER) if column.dtype == pl.String else column
        text = cells if cells.dtype == pl.String else as_text(cells)
        formats = in_unit(FORMATS, units_of(text))
        numbers = min((parsed(text, how) for how in formats), key=pl.Series.null_count)
        if numbers.null_count() > column.null_count() + len(numbers) // 2:
            return "text"
    values = numbers.drop_nulls().to_numpy()
    if (values != np.floor(values)).any():
        return "fractions"
    return "few whole numbers" if hold_classes(values) else "whole numbers"


def described(source: RawTable) -> list[tuple[str, str]]:
    """Return name and kind of each column, for the user to choose the target from."""
    return [(column.name, _kind(source, column)) for column in source.frame]


def learn_target(source: RawTable, place: int, task: str | None, options: ColumnOptions) -> TargetSchema:
    """Return how the target is read; raise ValueError if it does not suit the task."""
    column = source.frame[:, place]
    name = column.name
    if task is None and name in source.categories:
        task = "classification"
    schema: TargetSchema = {"name": name, "index": place, "class_names": None}
    if options.missing:
        schema["missing"] = list(options.missing)
    cells = target_cells(column, schema)
    if not cells.count():
        raise ValueError(f"{source.name}: target {name!r} has no values")
    how = number_format_of(source, cells, options)
    if how is None and task != "classification":
        _refuse(source, cells, task, options)
    if how is None:
        schema["class_names"] = names = _names(cells)
        if task is None:
            _refuse_spellings(source, cells, names)
        return schema
    numbers = parsed(cells, how).drop_nulls()
    if not numbers.is_finite().all() and task != "classification":
        row = parsed(cells, how).is_infinite().arg_true()[0]
        raise ColumnError(f"{source.at(row)}: target {name!r} has {cells[row]!r}; expected a finite number")
    whole = bool((numbers == numbers.floor()).all())
    if task == "classification" or (task is None and whole and hold_classes(numbers.to_numpy())):
        schema["class_names"] = _names(cells)
        return schema
    write_format(schema, how)
    return schema


def _refuse_spellings(source: RawTable, cells: pl.Series, names: list[str]) -> None:
    """Raise ColumnError if classes differ by nothing but capitals."""
    first: dict[str, str] = {}
    for name in names:
        if (other := first.setdefault(name.casefold(), name)) != name:
            row = int((cells == name).arg_true()[0])
            raise ColumnError(
                f"{source.at(row)}: target {cells.name!r} is {name!r}, elsewhere {other!r}; write them alike, or set "
                "the task to classification if they are different classes"
            )


def target_note(column: pl.Series, target: TargetSchema) -> str:
    """Return what is told of amounts that are not written plainly, or ""."""
    if target["class_names"] is not None or column.dtype != pl.String:
        return ""
    return format_note(target_cells(column, target), format_of(target))


def target_cells(column: pl.Series, target: TargetSchema) -> pl.Series:
    """Return a target as text, with null for missing values; among numbers, a dash is one."""
    if column.dtype.is_float():
        column = column.set(column.is_nan(), None)
    cells = as_text(column)
    if column.dtype != pl.String:
        return cells
    cells = gaps(cells, MISSING, target.get("missing", []))
    numbers = gaps(cells, MISSING_NUMBER)
    return numbers if numbers.count() and formats_of(numbers) else cells


def hold_classes(values: NDArray[np.float64]) -> bool:
    """Return whether whole numbers are the numbers of classes rather than amounts.

    Few different ones are classes. More are classes if they count from 0 or 1 without a gap, each in several rows, and
    are about equally frequent or in no order; the frequencies of amounts, such as counts or grades, rise to one peak
    and fall again.
    """
    different, counts = np.unique(values, return_counts=True)
    count = len(different)
    if count <= FEW:
        return True
    without_gap = different[-1] - different[0] == count - 1 and different[0] in (0, 1)
    if not without_gap or (count > MAX_CLASSES and counts.min() < FEWEST_EACH):
        return False
    if count < MANY:
        return True
    scattered = len(values) < MEAN_EACH * count
    return not (scattered or counts.max() >= RARE * counts.min() or _has_one_peak(counts))


def _has_one_peak(counts: NDArray[np.int64]) -> bool:
    """Return whether frequencies rise to a peak and fall again, up to chance, and by more than chance."""
    if counts.max() < PEAK * counts.min():
        return False
    peak = int(counts.argmax())
    falls = [*zip(counts[peak:], counts[peak + 1 :], strict=False)]
    rises = [*zip(counts[peak::-1], counts[peak - 1 :: -1] if peak else [], strict=False)]
    return all(later <= before + 3 * np.sqrt(before + later) for before, later in (*falls, *rises))


def _names(cells: pl.Series) -> list[str]:
    """Return the names of the classes: whole numbers by value, else text by code point."""
    labels = cells.drop_nulls().unique().to_list()
    if not any(re.match(r"[+-]?0[0-9]", label) for label in labels):
        wholes = [parse_whole(label) for label in labels]
        if None not in wholes:
            return [str(whole) for whole in sorted({whole for whole in wholes if whole is not None})]
    return sorted(labels)


def _refuse(source: RawTable, cells: pl.Series, task: str | None, options: ColumnOptions) -> None:
    """Raise ValueError if text is no target for the task, or is rather an error than a class."""
    name = cells.name
    present = cells.drop_nulls()
    if dates.date_formats(present):
        row = cells.is_not_null().arg_true()[0]
        raise ColumnError(
            f"{source.at(row)}: target {name!r} has {cells[row]!r}, a date or a time; write numbers such as the days "
            "since a certain one, or set the task to classification"
        )
    refuse_mixed(source, cells, options)
    strange = strays(cells, options)
    if task == "regression" and strange:
        row, cell = strange[0]
        raise ColumnError(f"{source.at(row)}: target {name!r} is {cell!r}; regression needs numbers")
    texts = {cell for _, cell in strange}
    numbers = gaps(present.unique(), MISSING_NUMBER).drop_nulls()
    broken = [cell for cell in numbers if cell not in texts and parse_whole(cell) is None]
    if strange and broken:
        row, cell = strange[0]
        raise ColumnError(
            f"{source.at(row)}: target {name!r} is {cell!r} beside numbers such as {min(broken)}; correct it, leave "
            "the cell empty if it is unknown, or set the task to classification"
        )


def encoded(source: RawTable, cells: pl.Series, classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the index of each label, -1 where it is missing; raise ValueError for one that is none of the classes."""
    index = {label: place for place, label in enumerate(classes)}
    codes = any(re.match(r"[+-]?0[0-9]", label) for label in classes)
    truths = truths_of(classes)
    found: dict[str, int] = {}
    for cell in cells.drop_nulls().unique():
        whole = None if cell in index or codes else parse_whole(cell)
        label = cell if whole is None else str(whole)  # 2.0 and +2 are class 2
        label = label if label in index else truths.get(label.lower(), label)
        if label not in index:
            row = (cells == cell).arg_true()[0]
            raise ColumnError(
                f"{source.at(row)}: target {cells.name!r} is {cell!r}, which is none of the classes {listed(classes)}"
            )
        found[cell] = index[label]
    return cells.replace_strict(found, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
