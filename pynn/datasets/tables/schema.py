"""The schema of a table: how each column is read, the same way in every file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NotRequired, TypedDict, get_args

Kind = Literal["number", "category", "date"]

#: What recurs in dates, with the features that each part becomes: a place on a circle, or a column for each weekday.
PARTS = {
    "year": ("sine of the year", "cosine of the year"),
    "week": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "day": ("sine of the day", "cosine of the day"),
}


class ColumnSchema(TypedDict):
    """How to read one feature column.

    Attributes
    ----------
    name : str
    kind : {"number", "category", "date"}
    categories : list of str
        Empty unless the kind is "category".
    fill : float or None
        Replaces a missing value: the mean over the training rows; 0.0 for categories, whose columns are then all 0.
    decimal, thousands : str
        How numbers are written; by default with a decimal point.
    unit : str
        What numbers are in: a currency or a word, which may be absent in cells; "%"; or "" for none. Files of earlier
        versions do not say; any currency or percent sign may then occur.
    scaled : bool
        Whether scales such as M may follow the numbers.
    boolean : bool
        Whether the numbers were booleans, so that text may spell them: true, False.
    date : str
        How dates are written, in the notation of `datetime.strptime`.
    parts : list of str
        What recurs in dates and has features besides the number of days: "year", "week", "day".
    other : bool
        Whether the last of the categories' columns stands for all values that are not listed.
    missing : list of str
        What marks a missing value, besides an empty cell and NA.
    """

    name: str
    kind: Kind
    categories: list[str]
    fill: float | None
    decimal: NotRequired[str]
    thousands: NotRequired[str]
    unit: NotRequired[str]
    scaled: NotRequired[bool]
    boolean: NotRequired[bool]
    date: NotRequired[str]
    parts: NotRequired[list[str]]
    other: NotRequired[bool]
    missing: NotRequired[list[str]]


class TargetSchema(TypedDict):
    """How to read the target column; `class_names` is None for regression.

    `loss` is by which the target is predicted, if that is not the usual one: a name of `training.named.make_loss`.
    """

    name: str
    index: int
    class_names: list[str] | None
    loss: NotRequired[str]
    decimal: NotRequired[str]
    thousands: NotRequired[str]
    unit: NotRequired[str]
    scaled: NotRequired[bool]
    missing: NotRequired[list[str]]


class Schema(TypedDict):
    r"""How to read a table: the feature columns in order, and the target. JSON-serialisable.

    `index` of the target counts the columns of the file, those that are dropped included: `dropped` names them.
    `encoding` is that of files of text that are not UTF-8, if it was given.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pynn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "t.csv").write_text("size,colour,label\n1.5,red,no\n2,blue,yes\n3,red,no\n")
    ...     table = pynn.datasets.read_table(Path(folder, "t.csv"))
    >>> sorted(table.schema)
    ['columns', 'dropped', 'target']
    >>> table.schema["target"]["name"]
    'label'
    """

    columns: list[ColumnSchema]
    target: TargetSchema
    dropped: NotRequired[list[str]]
    encoding: NotRequired[str]


def new_column(name: str, kind: Kind, categories: Iterable[str] = ()) -> ColumnSchema:
    """Return the schema of a column that is written in the usual way, and whose gaps nothing fills yet."""
    return {"name": name, "kind": kind, "categories": list(categories), "fill": None}


def width(column: ColumnSchema) -> int:
    """Return the number of features that a column becomes."""
    if column["kind"] == "category":
        return len(column["categories"]) + column.get("other", False)
    return 1 + sum(len(PARTS[part]) for part in column.get("parts", []))


def feature_names(column: ColumnSchema) -> list[str]:
    """Return a name for each feature that a column becomes."""
    if column["kind"] != "category":
        parts = (feature for part in column.get("parts", []) for feature in PARTS[part])
        return [column["name"], *(f"{column['name']}={feature}" for feature in parts)]
    return [f"{column['name']}={category}" for category in [*column["categories"], "(other)"][: width(column)]]


def plain_schema(names: list[str], features: int) -> Schema:
    """Return the schema of a table of plain numbers, whose target, if any, follows its features."""
    columns = [new_column(name, "number") for name in names[:features]]
    target = names[features] if len(names) > features else ""
    return {"columns": columns, "target": {"name": target, "index": features, "class_names": None}}


def check_schema(schema: Any) -> None:
    """Raise ValueError unless `schema` has the form that `read_table` produces."""
    try:
        columns, target, dropped = schema["columns"], schema["target"], schema.get("dropped", [])
        good = bool(columns) and isinstance(columns, list) and all(_is_column(column) for column in columns)
        good = good and _are_names([column["name"] for column in columns]) and _are_names(dropped)
        good = good and type(target["index"]) is int and 0 <= target["index"] <= len(columns) + len(dropped)
        good = good and isinstance(target["name"], str) and isinstance(target.get("loss", ""), str)
        good = good and _is_written(target) and isinstance(schema.get("encoding", ""), str)
        good = good and (target["class_names"] is None or _are_names(target["class_names"]))
    except (TypeError, LookupError, OverflowError, AttributeError) as error:
        raise ValueError(f"schema was not made by read_table: {error!r}") from error
    if not good:
        raise ValueError("schema was not made by read_table: expected columns and target as in Table.schema")


def _is_column(column: Any) -> bool:
    fill = column["fill"]
    known = isinstance(column["name"], str) and column["kind"] in get_args(Kind) and _is_written(column)
    filled = fill is None or (isinstance(fill, int | float) and not isinstance(fill, bool) and math.isfinite(fill))
    dated = isinstance(column.get("date", ""), str)
    flags = all(isinstance(column.get(name, False), bool) for name in ("other", "boolean"))
    parts = column.get("parts", [])
    dated = dated and _are_names(parts) and (not parts or (column["kind"] == "date" and set(parts) <= set(PARTS)))
    return known and filled and dated and flags and _are_names(column["categories"])


def _is_written(column: Any) -> bool:
    """Return whether the optional parts that say how numbers are written are valid."""
    marks = isinstance(column.get("thousands", ""), str) and column.get("decimal", ".") in (".", ",")
    marks = marks and isinstance(column.get("unit", ""), str) and isinstance(column.get("scaled", False), bool)
    return marks and _are_names(column.get("missing", []))


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value) and len(set(value)) == len(value)
