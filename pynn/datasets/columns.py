"""The schema of a table's columns: inferred from one file and used to read others."""

from __future__ import annotations

import math
from typing import Literal, TypedDict

from .cells import has_leading_zero, is_missing, is_missing_number, meant_as, parse_number, parse_whole
from .rows import Grid, listed

MAX_CATEGORIES = 20
#: Whole numbers mixed with text, such as 0, 1, 2, 3+, count as codes if at least this fraction of cells is text.
MIN_TEXT = 0.02


class ColumnSchema(TypedDict):
    """How to read one feature column; `categories` is empty for numbers.

    `fill` replaces a missing value: a number, 0.0 for categories (all one-hot columns are then 0), or None if the
    column had no missing values.
    """

    name: str
    kind: Literal["number", "category"]
    categories: list[str]
    fill: float | None


class TargetSchema(TypedDict):
    """How to read the target column; `class_names` is None for regression."""

    name: str
    index: int
    class_names: list[str] | None


class Schema(TypedDict):
    """How to read a file: the feature columns in order, and the target. JSON-serialisable."""

    columns: list[ColumnSchema]
    target: TargetSchema


def learn(grid: Grid, target: str | int | None, task: str | None) -> Schema:
    """Infer the schema of the columns."""
    width = len(grid.rows[0])
    names = grid.names or [f"column_{index}" for index in range(width)]
    if width < 2:
        raise ValueError(
            f"{grid.path} has one column; expected at least one feature and the target, separated by commas, "
            "semicolons, tabs or bars"
        )
    place = _target_place(grid.path, names, target)
    columns = [_learn_column(grid, i, name) for i, name in enumerate(names) if i != place]
    classes = _learn_target(grid, place, names[place], task)
    return {"columns": columns, "target": {"name": names[place], "index": place, "class_names": classes}}


def _target_place(path: str, names: list[str], target: str | int | None) -> int:
    width = len(names)
    if target is None:
        return width - 1
    if target in names:
        return names.index(str(target))
    if isinstance(target, str):
        if not target.removeprefix("-").isdecimal():
            raise ValueError(f"{path} has no column {target!r}; it has {listed(names)}")
        target = int(target)
    if not -width <= target < width:
        raise ValueError(f"{path} has no column {target}; it has {width}: {listed(names)}")
    return target % width


def _learn_column(grid: Grid, index: int, name: str) -> ColumnSchema:
    present = [(line, cell) for line, cell in grid.column(index) if not is_missing(cell)]
    if not present:
        raise ValueError(f"{grid.path}: column {name!r} has no values")
    numbers = [cell for _, cell in present if parse_number(cell) is not None]
    texts = [(line, cell) for line, cell in present if parse_number(cell) is None]
    strange = [(line, cell) for line, cell in texts if not is_missing_number(cell)]
    if numbers and not strange:
        return {"name": name, "kind": "number", "categories": [], "fill": None}
    if all(meant_as(cell) for _, cell in strange):
        _refuse_meant(grid, f"column {name!r}", strange)
    categories = sorted({cell for _, cell in present})
    if len(categories) > MAX_CATEGORIES:
        raise ValueError(
            f"{grid.path}: column {name!r} holds text ({texts[0][1]!r} in line {texts[0][0]}) and {len(categories)} "
            f"different values; at most {MAX_CATEGORIES} can be one-hot encoded"
        )
    if numbers and not _are_codes(numbers, len(strange)):
        line, cell = strange[0]
        raise ValueError(
            f"{grid.path}, line {line}: column {name!r} has {cell!r} among numbers; write a number, or leave the cell "
            "empty if it is unknown (if the column holds categories, give all of them names that are not numbers)"
        )
    return {"name": name, "kind": "category", "categories": categories, "fill": None}


def _are_codes(numbers: list[str], texts: int) -> bool:
    """Return whether numbers mixed with text are codes: whole, repeated, and with too much text for typing errors."""
    whole = all(parse_whole(cell) is not None for cell in numbers)
    return whole and len(numbers) >= 2 * len(set(numbers)) and texts >= MIN_TEXT * len(numbers)


def _refuse_meant(grid: Grid, what: str, cells: list[tuple[int, str]], advice: str = "") -> None:
    """Raise ValueError if there are `cells`, the non-numbers of a column that people would read as numbers."""
    if cells:
        line, cell = cells[0]
        raise ValueError(
            f"{grid.path}, line {line}: {what} has {cell!r}, {meant_as(cell)}; write plain numbers such as 1234.5"
            f"{advice}"
        )


def _learn_target(grid: Grid, index: int, name: str, task: str | None) -> list[str] | None:
    """Return the names of the classes, or None for regression."""
    cells = present_targets(grid, index, name)
    texts = [(line, cell) for line, cell in cells if parse_number(cell) is None]
    if task != "classification" and all(meant_as(cell) for _, cell in texts):
        _refuse_meant(grid, f"target {name!r}", texts, ", or set the task to classification")
    if task == "regression":
        if texts:
            raise ValueError(
                f"{grid.path}, line {texts[0][0]}: target {name!r} is {texts[0][1]!r}; regression needs numbers"
            )
        return None
    labels = {cell for _, cell in cells}
    wholes = {cell: parse_whole(cell) for cell in labels}
    if None not in wholes.values() and not any(map(has_leading_zero, labels)):
        return [str(whole) for whole in sorted({whole for whole in wholes.values() if whole is not None})]
    broken = [cell for cell in labels if wholes[cell] is None and parse_number(cell) is not None]
    if task is None and texts and broken:
        raise ValueError(
            f"{grid.path}, line {texts[0][0]}: target {name!r} is {texts[0][1]!r} beside numbers such as "
            f"{min(broken)}; correct it, or set the task to classification"
        )
    return sorted(labels) if texts or not broken or task == "classification" else None


def present_targets(grid: Grid, index: int, name: str) -> list[tuple[int, str]]:
    """Return (line, cell) of the target for each row, or raise ValueError naming the lines where it is missing."""
    cells = grid.column(index)
    numbers = [cell for _, cell in cells if parse_number(cell) is not None]
    among_numbers = numbers and all(is_missing_number(cell) or parse_number(cell) is not None for _, cell in cells)
    absent = is_missing_number if among_numbers else is_missing
    without = [str(line) for line, cell in cells if absent(cell)]
    if without:
        raise ValueError(f"{grid.path}: target {name!r} is missing in line {listed(without)}")
    return cells


def check_schema(schema: Schema) -> None:
    """Raise ValueError unless `schema` has the form that `read_csv` produces."""
    try:
        columns, target = schema["columns"], schema["target"]
        good = bool(columns) and isinstance(columns, list) and all(_is_column(column) for column in columns)
        good = good and type(target["index"]) is int and 0 <= target["index"] <= len(columns)
        good = good and isinstance(target["name"], str)
        good = good and (target["class_names"] is None or _are_names(target["class_names"]))
    except (TypeError, LookupError, OverflowError, AttributeError) as error:
        raise ValueError(f"schema was not made by read_csv: {error!r}") from error
    if not good:
        raise ValueError("schema was not made by read_csv: expected columns and target as in Table.schema")


def _is_column(column: ColumnSchema) -> bool:
    fill = column["fill"]
    known = isinstance(column["name"], str) and column["kind"] in ("number", "category")
    filled = fill is None or (isinstance(fill, int | float) and not isinstance(fill, bool) and math.isfinite(fill))
    return known and filled and _are_names(column["categories"])


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value) and len(set(value)) == len(value)
