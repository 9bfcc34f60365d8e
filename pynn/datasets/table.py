"""Read a table from a CSV file into numbers, and remember how, so that later files are read the same way."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from .cells import Grid, is_missing, looks_like_header, parse_number, parse_whole, read_rows

MOST_CATEGORIES = 20


class ColumnSchema(TypedDict):
    """How one feature column is read; `categories` is empty for a number, `fill` is None for a category."""

    name: str
    kind: Literal["number", "category"]
    categories: list[str]
    fill: float | None


class TargetSchema(TypedDict):
    """How the target column is read; `class_names` is None for regression."""

    name: str
    index: int
    class_names: list[str] | None


class Schema(TypedDict):
    """How a file is read: the feature columns in order, and the target. JSON can hold it."""

    columns: list[ColumnSchema]
    target: TargetSchema


@dataclass(eq=False)
class Table:
    """What `read_csv` returns.

    Attributes
    ----------
    x : ndarray of shape (N, features), float64
        Numbers as they are, NaN where one is missing and not filled; categories one-hot, all 0 where one is missing.
    y : ndarray of shape (N,) or None
        int64 indices into `class_names`, or float32 numbers for regression; None if a file read with a schema has no
        target column.
    feature_names : list of str
        One per column of `x`: the column's name, or "name=category".
    class_names : list of str or None
        Names of the classes; None for regression.
    missing : dict of str to int
        Number of missing values of each feature column that has any.
    schema : dict
        What `read_csv(path, schema=...)` needs to read another file the same way; JSON can hold it.
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.float32] | None
    feature_names: list[str]
    class_names: list[str] | None
    missing: dict[str, int]
    schema: Schema

    def fit_fill(self, rows: slice | NDArray[Any] | list[int]) -> Table:
        r"""Return a table whose missing numbers are filled with the means over the training rows.

        The means go into the new table's schema, and so fill what is missing in files read with it.

        Parameters
        ----------
        rows : slice, array of row numbers or boolean mask
            The training rows; only these count, so that nothing is learnt from test data.

        Returns
        -------
        Table
            A new table; this one stays as it is.

        Raises
        ------
        ValueError
            If `rows` selects no row, a column has no number in them, or the table is filled already.

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
            if column["kind"] == "category":
                columns.append(column)
                place += len(column["categories"])
                continue
            if column["fill"] is not None:
                raise ValueError("this table is filled already; call fit_fill on the table that read_csv returned")
            present = training[~np.isnan(training[:, place]), place]
            if not len(present):
                raise ValueError(f"column {column['name']!r} has no number in the training rows to take a mean of")
            mean = float(present.mean())
            columns.append({**column, "fill": mean})
            x[np.isnan(x[:, place]), place] = mean
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

    The file is UTF-8, separated by commas, semicolons or tabs (found out), with "quoted" fields where needed. Cells
    that are empty or NA, NaN, null or ? (in any case of letters) count as missing. Feature columns of numbers are
    taken as they are, with NaN for missing ones: split the rows, then call `Table.fit_fill` with the training rows.
    Feature columns with any text become one-hot, if they have at most 20 different values.

    Parameters
    ----------
    path : str or path
        The file.
    target : str or int, optional
        Name of the target column (the file then needs a header) or its index, which may be negative; the last column
        if not given.
    task : {"classification", "regression"}, optional
        What the target is. If not given, text and whole numbers are classes, other numbers are regression; so a target
        of whole numbers that are amounts, not classes, needs task="regression".
    header : bool, optional
        Whether the first row holds the names. If not given, it does if there is a column that has text there and only
        numbers below; failing that, if it has no number and none of its cells comes again in its column.
    schema : dict, optional
        `Table.schema` of a table read before: read this file the same way. The target column may be missing, and if
        there is a header, columns may come in another order, and others may come in between, which are ignored. Not
        together with `target` or `task`.

    Returns
    -------
    Table
        Classes are sorted, whole numbers by value, text by code point.

    Raises
    ------
    OSError
        If the file cannot be opened.
    TypeError
        If `target` is neither str nor int.
    ValueError
        If the file is empty, not UTF-8, or has a row with too many or too few cells; if there is no such target, it
        has missing values, or it cannot be what `task` says; if a text column has too many values, or a column none;
        if a column is missing that `schema` names, or a value does not fit it. Messages name lines and columns.

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
    rows, lines = read_rows(path)
    if schema is None:
        if header is None:
            header = isinstance(target, str) or looks_like_header(rows)
    else:
        if target is not None or task is not None:
            raise ValueError("target and task are part of the schema; give either them or the schema")
        check_schema(schema)
        if header is None:
            header = _repeats_names(rows[0], schema)
    names = None
    if header:
        names = [name or f"column_{index}" for index, name in enumerate(rows[0])]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{path} has more than one column named {', '.join(map(repr, twice))}")
        rows, lines = rows[1:], lines[1:]
    if not rows:
        raise ValueError(f"{path} has a header but no rows of data")
    grid = Grid(str(path), names, rows, lines)
    return _apply(grid, _learn(grid, target, task) if schema is None else schema)


def _repeats_names(first: list[str], schema: Schema) -> bool:
    features = {column["name"] for column in schema["columns"]}
    names = features | {schema["target"]["name"]}
    return features <= set(first) or any(cell in names and parse_number(cell) is None for cell in first)


def _learn(grid: Grid, target: str | int | None, task: str | None) -> Schema:
    """Find out what each column holds."""
    width = len(grid.rows[0])
    names = grid.names or [f"column_{index}" for index in range(width)]
    if width < 2:
        raise ValueError(f"{grid.path} has one column; expected at least one feature and the target")
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"{grid.path} has no column {target!r}; it has {', '.join(names)}")
        place = names.index(target)
    else:
        place = width - 1 if target is None else target
        if not -width <= place < width:
            raise ValueError(f"{grid.path} has no column {place}; it has {width}: {', '.join(names)}")
        place %= width
    columns = [_learn_column(grid, i, name) for i, name in enumerate(names) if i != place]
    classes = _learn_target(grid, place, names[place], task)
    return {"columns": columns, "target": {"name": names[place], "index": place, "class_names": classes}}


def _learn_column(grid: Grid, index: int, name: str) -> ColumnSchema:
    present = [(line, cell) for line, cell in grid.column(index) if not is_missing(cell)]
    if not present:
        raise ValueError(f"{grid.path}: column {name!r} has no values")
    texts = [(line, cell) for line, cell in present if parse_number(cell) is None]
    if not texts:
        return {"name": name, "kind": "number", "categories": [], "fill": None}
    categories = sorted({cell for _, cell in present})
    if len(categories) > MOST_CATEGORIES:
        raise ValueError(
            f"{grid.path}: column {name!r} holds text ({texts[0][1]!r} in line {texts[0][0]}) and {len(categories)} "
            f"different values; at most {MOST_CATEGORIES} can be one-hot encoded"
        )
    return {"name": name, "kind": "category", "categories": categories, "fill": None}


def _learn_target(grid: Grid, index: int, name: str, task: str | None) -> list[str] | None:
    """Return the names of the classes, or None for regression."""
    cells = _present_targets(grid, index, name)
    texts = [(line, cell) for line, cell in cells if parse_number(cell) is None]
    wholes = [parse_whole(cell) for _, cell in cells]
    if task == "regression":
        if texts:
            raise ValueError(
                f"{grid.path}, line {texts[0][0]}: target {name!r} is {texts[0][1]!r}; regression needs numbers"
            )
        return None
    known = {whole for whole in wholes if whole is not None}
    if None not in wholes:
        return [str(whole) for whole in sorted(known)]
    return sorted({cell for _, cell in cells}) if texts or task == "classification" else None


def _present_targets(grid: Grid, index: int, name: str) -> list[tuple[int, str]]:
    cells = grid.column(index)
    without = [str(line) for line, cell in cells if is_missing(cell)]
    if without:
        more = f" and {len(without) - 10} more" if len(without) > 10 else ""
        raise ValueError(f"{grid.path}: target {name!r} is missing in line {', '.join(without[:10])}{more}")
    return cells


def _apply(grid: Grid, schema: Schema) -> Table:
    """Turn cells into numbers as the schema says."""
    places, target_place = _places(grid, schema)
    parts: list[NDArray[np.float64]] = []
    feature_names: list[str] = []
    missing: dict[str, int] = {}
    for column, place in zip(schema["columns"], places, strict=True):
        cells = grid.column(place)
        name = column["name"]
        if column["kind"] == "number":
            numbers = np.array([math.nan if is_missing(at[1]) else _finite(grid, name, *at) for at in cells])
            if column["fill"] is not None:
                numbers[np.isnan(numbers)] = column["fill"]
            parts.append(numbers[:, None])
            feature_names.append(name)
        else:
            parts.append(_one_hot(grid, column, cells))
            feature_names += [f"{name}={category}" for category in column["categories"]]
        absent = sum(is_missing(cell) for _, cell in cells)
        if absent:
            missing[name] = absent
    classes = schema["target"]["class_names"]
    y = None if target_place is None else _targets(grid, schema["target"]["name"], classes, target_place)
    return Table(np.concatenate(parts, axis=1), y, feature_names, classes, missing, schema)


def _places(grid: Grid, schema: Schema) -> tuple[list[int], int | None]:
    """Return the index in the file of each feature column, and of the target if it is there."""
    wanted = [column["name"] for column in schema["columns"]]
    target = schema["target"]
    if grid.names is not None:
        absent = [name for name in wanted if name not in grid.names]
        if absent:
            raise ValueError(f"{grid.path} lacks column {', '.join(absent)}; it has {', '.join(grid.names)}")
        there = target["name"] in grid.names
        return [grid.names.index(name) for name in wanted], grid.names.index(target["name"]) if there else None
    width = len(grid.rows[0])
    if width == len(wanted):
        return list(range(width)), None
    if width == len(wanted) + 1:
        return [index for index in range(width) if index != target["index"]], target["index"]
    raise ValueError(
        f"{grid.path} has no header and {width} columns; expected {len(wanted)} features ({', '.join(wanted)}), or "
        "these with the target"
    )


def _finite(grid: Grid, name: str, line: int, cell: str) -> float:
    number = parse_number(cell)
    if number is None or not math.isfinite(number):
        raise ValueError(f"{grid.path}, line {line}: column {name!r} has {cell!r}; expected a finite number")
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


def _targets(grid: Grid, name: str, classes: list[str] | None, place: int) -> NDArray[np.int64] | NDArray[np.float32]:
    cells = _present_targets(grid, place, name)
    if classes is None:
        return np.array([_finite(grid, name, line, cell) for line, cell in cells], np.float32)
    index = {label: i for i, label in enumerate(classes)}
    y = np.empty(len(cells), np.int64)
    for row, (line, cell) in enumerate(cells):
        whole = None if cell in index else parse_whole(cell)
        label = cell if whole is None else str(whole)  # 2.0 and +2 are class 2
        if label not in index:
            raise ValueError(
                f"{grid.path}, line {line}: target {name!r} is {cell!r}, which is none of the classes "
                f"{', '.join(classes)}"
            )
        y[row] = index[label]
    return y


def check_schema(schema: Schema) -> None:
    """Raise ValueError unless `schema` has the form `read_csv` gives it."""

    def names(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)

    try:
        target = schema["target"]
        good = isinstance(target["name"], str) and 0 <= target["index"] <= len(schema["columns"])
        good = good and (target["class_names"] is None or names(target["class_names"])) and bool(schema["columns"])
        for column in schema["columns"]:
            good = good and isinstance(column["name"], str) and column["kind"] in ("number", "category")
            good = good and names(column["categories"]) and (column["fill"] is None or math.isfinite(column["fill"]))
    except (TypeError, KeyError) as error:
        raise ValueError(f"schema is not one that read_csv made: {error!r}") from error
    if not good:
        raise ValueError("schema is not one that read_csv made: expected columns and target as in Table.schema")
