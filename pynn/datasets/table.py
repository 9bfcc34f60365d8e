"""Read a CSV file into numbers, with a schema by which later files are read the same way."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .cells import has_leading_zero, is_missing, is_missing_number, parse_number, parse_whole
from .columns import ColumnSchema, Schema, check_schema, learn, present_targets
from .rows import Grid, listed, looks_like_header, read_rows

#: Numbers from here on round to infinity in float32.
FLOAT32_END = 2.0**128 - 2.0**103


@dataclass(eq=False)
class Table:
    """The result of `read_csv`.

    Attributes
    ----------
    x : ndarray of shape (N, features), float64
        Numbers unchanged, NaN for missing ones unless filled; categories one-hot, all 0 for missing ones.
    y : ndarray of shape (N,) or None
        int64 indices into `class_names`, or float64 numbers for regression; None if a file read with a schema has no
        target column or an empty one.
    feature_names : list of str
        One per column of `x`: the column's name, or "name=category".
    class_names : list of str or None
        Names of the classes; None for regression.
    missing : dict of str to int
        Number of missing values of each feature column that has any.
    schema : dict
        Argument for `read_csv(path, schema=...)` to read another file the same way; JSON-serialisable.
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.float64] | None
    feature_names: list[str]
    class_names: list[str] | None
    missing: dict[str, int]
    schema: Schema

    def fit_fill(self, rows: slice | NDArray[Any] | list[int]) -> Table:
        r"""Return a table whose missing numbers are filled with the means over the training rows.

        The means of columns with missing values become part of the new table's schema, and also fill missing values in
        files read with it. A column without missing values gets no fill value.

        Parameters
        ----------
        rows : slice, array of row numbers or boolean mask
            The training rows; only these are used, so that no information leaks from the test data.

        Returns
        -------
        Table
            A new table; this one is unchanged.

        Raises
        ------
        ValueError
            If `rows` selects no row, a column has no number in them, or the table is already filled.

        Examples
        --------
        >>> import numpy as np
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pynn.datasets import read_csv, train_test_split
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "t.csv").write_text("a,label\n1,no\n3,yes\n?,no\n5,yes\n2,no\n")
        ...     table = read_csv(Path(folder, "t.csv"))
        >>> train, test, y_train, y_test = train_test_split(np.arange(len(table.x)), table.y, test_fraction=0.4)
        >>> filled = table.fit_fill(train)
        >>> x_train, x_test = filled.x[train], filled.x[test]
        >>> bool(np.isnan(table.x).any()), bool(np.isnan(filled.x).any())
        (True, False)
        """
        training = self.x[rows]
        if training.ndim != 2 or not len(training):
            raise ValueError("rows selects no rows; expected a slice, row numbers or a mask of the training rows")
        x = self.x.copy()
        columns: list[ColumnSchema] = []
        place = 0
        for column in self.schema["columns"]:
            gaps = column["name"] in self.missing
            if column["fill"] is not None:
                raise ValueError("this table is filled already; call fit_fill on the table that read_csv returned")
            if column["kind"] == "category":
                columns.append({**column, "fill": 0.0 if gaps else None})
                place += len(column["categories"])
                continue
            fill = None
            if gaps:
                present = training[~np.isnan(training[:, place]), place]
                if not len(present):
                    raise ValueError(f"column {column['name']!r} has no number in the training rows to take a mean of")
                fill = float(present.mean())
                x[np.isnan(x[:, place]), place] = fill
            columns.append({**column, "fill": fill})
            place += 1
        return replace(self, x=x, schema={"columns": columns, "target": self.schema["target"]})


def read_csv(
    path: str | os.PathLike[str],
    target: str | int | None = None,
    *,
    task: Literal["classification", "regression"] | None = None,
    header: bool | None = None,
    schema: Schema | None = None,
) -> Table:
    r"""Read a CSV file with one example per row.

    The file is UTF-8, or UTF-16 or UTF-32 with a byte order mark, separated by commas, semicolons, tabs or bars
    (detected, or named by a first line such as ``sep=;``), with "quoted" fields where needed. Numbers have a decimal
    point or, unless it may be a thousands separator, a decimal comma, and must be within the range of float32. Cells
    that are empty or NA, N/A, NaN, null or ? (case-insensitive) are missing, and among numbers also None and a dash.
    Feature columns of numbers are unchanged, with NaN for missing ones: split the rows, then call `Table.fit_fill` with
    the training rows. Feature columns with text become one-hot if they have at most 20 different values. Dates, amounts
    such as 1,234 or 5%, and stray text among numbers raise an error instead of becoming categories.

    Parameters
    ----------
    path : str or path
        The file.
    target : str or int, optional
        Name of the target column (the file then needs a header) or its index, which may be negative; by default the
        last column. Text that is a whole number, such as "0", is a name if a column has that name, else an index.
    task : {"classification", "regression"}, optional
        By default, text and whole numbers are classes and other numbers mean regression; a target of whole numbers that
        are amounts, not classes, needs task="regression".
    header : bool, optional
        Whether the first row is a header. By default it is if a column has text there and only numbers below.
        Otherwise it is if none of its text recurs in its column and it has no number, or a whole number above only
        text, or numbers that enumerate the columns: 0, 1, 2.
    schema : dict, optional
        `Table.schema` of an earlier table: read this file the same way. The target column may be missing. With a
        header, columns may have another order, and unknown columns are ignored. Cannot be combined with `target` or
        `task`.

    Returns
    -------
    Table
        Classes are sorted: whole numbers by value, text by code point. Codes with leading zeros, such as 007, are text.

    Raises
    ------
    OSError
        If the file cannot be opened.
    TypeError
        If `target` is neither str nor int.
    ValueError
        If the file is empty, is not text, or has a row with too many or too few cells; if the target does not exist,
        has missing values, or does not fit `task`; if a text column has too many values, or a column has none; if a
        number is infinite, too large for float32 or ambiguous; if a column of `schema` is missing, or a value does not
        fit the schema. Messages name lines and columns.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pynn.datasets import read_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "t.csv").write_text("size,colour,label\n1.5,red,no\n,blue,yes\n")
    ...     table = read_csv(Path(folder, "t.csv"), target="label")
    ...     _ = Path(folder, "new.csv").write_text("colour,size\nblue,7\n")
    ...     new = read_csv(Path(folder, "new.csv"), schema=table.schema)
    >>> table.feature_names, table.class_names, table.missing
    (['size', 'colour=blue', 'colour=red'], ['no', 'yes'], {'size': 1})
    >>> table.x
    array([[1.5, 0. , 1. ],
           [nan, 1. , 0. ]])
    >>> table.y, new.x, new.y
    (array([0, 1]), array([[7., 1., 0.]]), None)
    """
    if target is not None and (isinstance(target, bool) or not isinstance(target, str | int)):
        raise TypeError(f"target is {target!r}; expected the name of a column or its index")
    if task not in (None, "classification", "regression"):
        raise ValueError(f"task is {task!r}; expected 'classification', 'regression' or None")
    if schema is not None:
        if target is not None or task is not None:
            raise ValueError("target and task are part of the schema; pass either them or the schema")
        check_schema(schema)
        return _apply(_read_grid(path, header, schema), schema)
    grid = _read_grid(path, header, target=target)
    return _apply(grid, learn(grid, target, task))


def read_features(path: str | os.PathLike[str], schema: Schema) -> NDArray[np.float64]:
    """Return the features of a file without missing values; a target column is ignored.

    Raises
    ------
    ValueError
        As in `read_csv`, and if a value is missing for which `schema` has no fill value.
    """
    check_schema(schema)
    grid = _read_grid(path, None, schema)
    places, _ = _places(grid, schema)
    parts = [_feature(grid, column, at, whole=True) for column, at in zip(schema["columns"], places, strict=True)]
    return np.concatenate(parts, axis=1)


def _is_name(target: str | int | None, first: list[str]) -> bool:
    """Return whether a target can only be a column name, so that the first row must be a header."""
    if not isinstance(target, str):
        return False
    return not target.removeprefix("-").isdecimal() or (target in first and int(target) >= len(first))


def _read_grid(
    path: str | os.PathLike[str],
    header: bool | None,
    schema: Schema | None = None,
    target: str | int | None = None,
) -> Grid:
    """Return the cells of a file, with column names if it has a header."""
    rows, lines = read_rows(path)
    if header is None:
        header = _is_name(target, rows[0]) or (
            looks_like_header(rows) if schema is None else _repeats_names(rows[0], schema)
        )
    names = None
    if header:
        names = [name or f"column_{index}" for index, name in enumerate(rows[0])]
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise ValueError(f"{path} has more than one column named {listed([repr(name) for name in twice])}")
        rows, lines = rows[1:], lines[1:]
    if not rows:
        raise ValueError(f"{path} has a header but no rows of data")
    return Grid(str(path), names, rows, lines)


def _repeats_names(first: list[str], schema: Schema) -> bool:
    features = {column["name"] for column in schema["columns"]}
    names = features | {schema["target"]["name"]}
    return features <= set(first) or any(cell in names and parse_number(cell) is None for cell in first)


def _apply(grid: Grid, schema: Schema) -> Table:
    """Convert cells to numbers according to the schema."""
    places, target_place = _places(grid, schema)
    parts: list[NDArray[np.float64]] = []
    feature_names: list[str] = []
    missing: dict[str, int] = {}
    for column, place in zip(schema["columns"], places, strict=True):
        name = column["name"]
        parts.append(_feature(grid, column, place))
        is_number = column["kind"] == "number"
        feature_names += [name] if is_number else [f"{name}={category}" for category in column["categories"]]
        absent = sum(map(is_missing_number if is_number else is_missing, (row[place] for row in grid.rows)))
        if absent:
            missing[name] = absent
    classes = schema["target"]["class_names"]
    y = None if target_place is None else _targets(grid, schema["target"]["name"], classes, target_place)
    return Table(np.concatenate(parts, axis=1), y, feature_names, classes, missing, schema)


def _places(grid: Grid, schema: Schema) -> tuple[list[int], int | None]:
    """Return the index in the file of each feature column, and of the target if it exists and is not empty."""
    wanted = [column["name"] for column in schema["columns"]]
    target = schema["target"]
    width = len(grid.rows[0])
    place: int | None
    if grid.names is not None:
        index = {name: place for place, name in enumerate(grid.names)}
        absent = [name for name in wanted if name not in index]
        if absent:
            raise ValueError(f"{grid.path} lacks column {listed(absent)}; it has {listed(grid.names)}")
        places, place = [index[name] for name in wanted], index.get(target["name"])
    elif width == len(wanted):
        return list(range(width)), None
    elif width == len(wanted) + 1:
        place = target["index"]
        places = [index for index in range(width) if index != place]
    else:
        raise ValueError(
            f"{grid.path} has no header and {width} columns; expected {len(wanted)} features ({listed(wanted)}), with "
            "or without the target"
        )
    if place is not None and all(is_missing(row[place]) for row in grid.rows):
        place = None
    return places, place


def _feature(grid: Grid, column: ColumnSchema, place: int, *, whole: bool = False) -> NDArray[np.float64]:
    """Return a column as numbers or one-hot categories; with `whole`, raise for missing values without a fill value."""
    cells = grid.column(place)
    is_number = column["kind"] == "number"
    if whole and column["fill"] is None:
        absent = is_missing_number if is_number else is_missing
        for line, cell in cells:
            if absent(cell):
                raise ValueError(
                    f"{grid.path}, line {line}: column {column['name']!r} has no value ({cell!r}), and the "
                    "model has no fill value for it; add a value, or remove the row"
                )
    if not is_number:
        return _one_hot(grid, column, cells)
    fill = math.nan if column["fill"] is None else column["fill"]
    numbers = [fill if is_missing_number(cell) else _finite(grid, column["name"], line, cell) for line, cell in cells]
    return np.array(numbers)[:, None]


def _finite(grid: Grid, name: str, line: int, cell: str) -> float:
    number = parse_number(cell)
    if number is None or not abs(number) < FLOAT32_END:
        raise ValueError(
            f"{grid.path}, line {line}: column {name!r} has {cell!r}; expected a finite number within the range of "
            "float32 (up to 3.4e38)"
        )
    return number


def _one_hot(grid: Grid, column: ColumnSchema, cells: list[tuple[int, str]]) -> NDArray[np.float64]:
    place = {category: index for index, category in enumerate(column["categories"])}
    encoded = np.zeros((len(cells), len(place)))
    for row, (line, cell) in enumerate(cells):
        if cell in place:
            encoded[row, place[cell]] = 1.0
        elif not is_missing(cell):
            raise ValueError(
                f"{grid.path}, line {line}: column {column['name']!r} has {cell!r}, which is none of the known "
                f"categories {', '.join(place)}"
            )
    return encoded


def _targets(grid: Grid, name: str, classes: list[str] | None, place: int) -> NDArray[np.int64] | NDArray[np.float64]:
    cells = present_targets(grid, place, name)
    if classes is None:
        return np.array([_finite(grid, name, line, cell) for line, cell in cells])
    index = {label: i for i, label in enumerate(classes)}
    codes = any(map(has_leading_zero, classes))
    y = np.empty(len(cells), np.int64)
    for row, (line, cell) in enumerate(cells):
        whole = None if cell in index or codes else parse_whole(cell)
        label = cell if whole is None else str(whole)  # 2.0 and +2 are class 2
        if label not in index:
            raise ValueError(
                f"{grid.path}, line {line}: target {name!r} is {cell!r}, which is none of the classes {listed(classes)}"
            )
        y[row] = index[label]
    return y
