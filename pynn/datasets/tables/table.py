"""Read a table into numbers, with a schema by which later files are read the same way."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .columns import check_names, learn_column, refuse_target
from .convert import features, places, targets
from .edges import total_label
from .options import ColumnOptions
from .schema import ColumnSchema, Schema, check_schema, feature_names, width
from .source import RawTable, opened
from .target import learn_target, target_note, target_place


@dataclass(eq=False)
class Table:
    r"""The result of `read_table`.

    Attributes
    ----------
    x : ndarray of shape (N, features), float64
        Numbers unchanged, NaN for missing ones unless filled; categories one-hot, all 0 for missing ones; dates as days
        since 1970-01-01, followed by their parts that recur.
    y : ndarray of shape (N,) or None
        int64 indices into `class_names`, or float64 numbers for regression; None if a file read with a schema has no
        target column or an empty one.
    feature_names : list of str
        One per column of `x`: the column's name, "name=category", or for dates "name=Monday".
    class_names : list of str or None
        Names of the classes; None for regression.
    missing : dict of str to int
        Number of missing values of each feature column that has any.
    schema : dict
        Argument for `read_table(path, schema=...)` to read another file the same way; JSON-serialisable.
    without_target : int
        Number of rows that were left out because they have no target.
    notes : dict of str to str
        What was decided about a column, if it is not evident: "dropped: row numbers", "numbers in kg".
    remarks : tuple of str
        What of the file was left out or guessed: "left out 2 lines of comments", "text in cp1252".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pynn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "t.csv").write_text("size,colour,label\n1.5,red,no\n2,blue,yes\n3,red,no\n")
    ...     table = pynn.datasets.read_table(Path(folder, "t.csv"))
    >>> table.feature_names, table.class_names
    (['size', 'colour=blue', 'colour=red'], ['no', 'yes'])
    >>> table.x.shape, table.y
    ((3, 3), array([0, 1, 0]))
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64] | NDArray[np.float64] | None
    feature_names: list[str]
    class_names: list[str] | None
    missing: dict[str, int]
    schema: Schema
    without_target: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def _task(self) -> str:
        return "regression" if self.class_names is None else f"{len(self.class_names)} classes"

    def __repr__(self) -> str:
        target = self.schema["target"]["name"]
        return f"Table({len(self.x)} rows, {self.x.shape[1]} features, target {target!r}: {self._task})"

    def _repr_html_(self) -> str:
        from .notebook import table_html

        return table_html(self.x, self._task, self.schema, self.missing, self.notes, self.without_target)

    def fit_fill(self, rows: slice | NDArray[Any] | list[int]) -> Table:
        r"""Return a table whose missing numbers are filled with the means over the training rows.

        The means become part of the new table's schema, and also fill missing values in files read with it.

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
        >>> from pynn.datasets import read_table, train_test_split
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "t.csv").write_text("a,label\n1,no\n3,yes\n?,no\n5,yes\n2,no\n")
        ...     table = read_table(Path(folder, "t.csv"))
        >>> train, test, y_train, y_test = train_test_split(np.arange(len(table.x)), table.y, test_fraction=0.4)
        >>> filled = table.fit_fill(train)
        >>> x_train, x_test = filled.x[train], filled.x[test]
        >>> bool(np.isnan(table.x).any()), bool(np.isnan(filled.x).any())
        (True, False)
        """
        training = self.x[rows]
        if training.ndim != 2 or not len(training):
            raise ValueError("rows selects no rows; expected a slice, row numbers or a mask of the training rows")
        x = self.x.copy(order="K")
        columns: list[ColumnSchema] = []
        place = 0
        for column in self.schema["columns"]:
            if column["fill"] is not None:
                raise ValueError("this table is filled already; call fit_fill on the table that read_table returned")
            fill = 0.0
            if column["kind"] != "category":
                numbers = training[:, place]
                present = numbers[~np.isnan(numbers)]
                if not len(present):
                    others = int((~np.isnan(self.x[:, place])).sum())
                    raise ValueError(
                        f"column {column['name']!r} has no number in the training rows to take a mean of, and {others} "
                        f"in the other rows; leave it out (drop, --drop {column['name']})"
                    )
                fill = float(present.mean())
                if column["name"] in self.missing:
                    x[np.isnan(x[:, place]), place] = fill
            columns.append({**column, "fill": fill})
            place += width(column)
        return replace(self, x=x, schema={**self.schema, "columns": columns})


def read_table(
    source: str | os.PathLike[str] | Any,
    target: str | int | None = None,
    *,
    task: Literal["classification", "regression"] | None = None,
    header: bool | None = None,
    schema: Schema | None = None,
    drop: str | Iterable[str] = (),
    numeric: str | Iterable[str] = (),
    categorical: str | Iterable[str] = (),
    dates: Mapping[str, str] | None = None,
    missing: str | Iterable[str] = (),
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
) -> Table:
    r"""Read a table with one example per row: a file, or a data frame.

    Files of text (.csv, .tsv, .txt, .data, .arff, also .gz) are separated by commas, semicolons, tabs, bars or blanks
    (detected, or named by a first line such as ``sep=;``), with "quoted" fields where needed. They are UTF-8, or what a
    byte order mark says; else UTF-16 or Windows-1252, if that is evident. What holds no examples is left out: comments
    above the rows, which begin with # or %, a row of units below the names, a last row of totals, and columns without
    name and values. Parquet, Arrow, JSON (an array of records, or a record per line) and spreadsheets (with fastexcel)
    are read by polars.

    The kind of a column follows from its cells, and the arguments overrule it:

    * Numbers may have a decimal comma, thousands separators, a scale (1.2M), and a unit: a currency, a percent sign
      (12% is 0.12) or one word, such as kg. The unit must be the same in the whole column, and in other files read with
      the schema. Numbers must be finite and within the range of float32. Codes with leading zeros, such as 007, are
      text.
    * Dates and times of day are days, as floats. If dates of several months, weekdays or times of day occur, the place
      in the year and in the day follow as sine and cosine, and each weekday as a column of zeros and ones.
    * Text becomes one-hot. If it has more than 20 different values, rare ones share a column; text that is
      different in nearly every row is dropped.
    * The category types of data frames are categories, also of numbers.
    * A column that only counts the rows is dropped.

    Cells that are empty or NA, N/A, NaN, null or ? (case-insensitive) are missing, and among numbers also None and a
    dash. Feature columns have NaN for them: split the rows, then call `Table.fit_fill` with the training rows. Rows
    without a target are left out.

    Parameters
    ----------
    source : str, path or data frame
        The file, or a data frame of polars or pandas.
    target : str or int, optional
        Name of the target column or its index, which may be negative; by default the last column. Text that is a whole
        number, such as "0", is a name if a column has that name, else an index.
    task : {"classification", "regression"}, optional
        By default, fractions and many different whole numbers mean regression; text, booleans, few whole numbers and
        the category types of data frames are classes.
    header : bool, optional
        Whether the first row of a file of text or a spreadsheet is a header. By default it is if a column has text
        there and only numbers below. Otherwise it is if none of its text recurs in its column and it has no number, or
        a whole number above only text, or numbers that enumerate the columns: 0, 1, 2.
    schema : dict, optional
        `Table.schema` of an earlier table: read this one the same way. The target column may be missing, columns may
        have another order, and unknown columns are ignored. Of the other arguments, only `header` and `encoding` may
        be given too.
    drop : str or iterable of str, optional
        Columns to ignore.
    numeric, categorical : str or iterable of str, optional
        Columns of numbers, and of categories, whatever their cells look like.
    dates : dict of str to str, optional
        Columns of dates with their formats, in the notation of `datetime.strptime`; "" to detect the format.
    missing : str or iterable of str, optional
        Further markers of missing values, such as "unknown".
    decimal, thousands : str, optional
        How numbers are written: "." or ",", and one mark, for example "'", or "" if nothing groups digits.
    encoding : str, optional
        That of a file of text, as Python calls it: "cp1251".

    Returns
    -------
    Table
        Classes are sorted: whole numbers by value, text by code point.

    Raises
    ------
    OSError
        If the file cannot be opened.
    TypeError
        If `target` is neither str nor int, or `source` neither a path nor a data frame.
    ImportError
        If the file is a spreadsheet and fastexcel is not installed.
    ValueError
        If the table is empty or damaged, or has a row with too many or too few cells; if the target does not exist, has
        no values, or does not suit `task`; if a number is infinite, too large for float32, ambiguous or in another unit
        than others, or a text is among numbers; if a column that an argument or `schema` names is missing, or a value
        does not fit the schema. Messages name lines and columns.

    Warns
    -----
    TableWarning
        If a table read with a schema has categories that the schema lacks; they are read as other or missing ones.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pynn.datasets import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "t.csv").write_text("size,colour,label\n1.5,red,no\n,blue,yes\n")
    ...     table = read_table(Path(folder, "t.csv"), target="label")
    ...     _ = Path(folder, "new.csv").write_text("colour,size\nblue,7\n")
    ...     new = read_table(Path(folder, "new.csv"), schema=table.schema)
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
    if dates is not None and not isinstance(dates, Mapping):
        raise TypeError(f'dates is {dates!r}; expected a dict of columns to formats, such as {{"day": "%d.%m.%Y"}}')
    ignored, numbers, categories = (frozenset(_names(columns)) for columns in (drop, numeric, categorical))
    options = ColumnOptions(ignored, numbers, categories, dict(dates or {}), _names(missing), decimal, thousands)
    if schema is None:
        cells = opened(source, header, target, encoding=encoding)
        return table_of(cells, -1 if target is None else target, task, options)
    if target is not None or task is not None or options != ColumnOptions():
        raise ValueError("target, task and how columns are read are part of the schema; pass either them or the schema")
    return _applied(opened_by(source, schema, header, encoding), schema)


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def table_of(source: RawTable, target: str | int, task: str | None, options: ColumnOptions) -> Table:
    """Return the table of cells: learn the schema, and read them by it."""
    check_names(source, options)
    if label := total_label(source.frame):
        source = source.without_last(f"left out the last row, {source.place(source.frame.height - 1)}: {label!r}")
    if source.frame.width < 2:
        raise ValueError(
            f"{source.name} has one column; expected at least one feature and the target, separated by commas, "
            "semicolons, tabs, bars or blanks"
        )
    place = target_place(source, target)
    refuse_target(source.frame.columns[place], options)
    columns: list[ColumnSchema] = []
    dropped: list[str] = []
    notes: dict[str, str] = {}
    for index, column in enumerate(source.frame):
        if index == place:
            continue
        learned, note = learn_column(source, column, options)
        if learned is None:
            dropped.append(column.name)
            note = f"dropped: {note}" if note else ""
        else:
            columns.append(learned)
        if note:
            notes[column.name] = note
    if not columns:
        reasons = "; ".join(f"{name!r}: {notes.get(name, 'dropped')}" for name in dropped)
        raise ValueError(f"{source.name} has no feature beside its target that can be learnt from: {reasons}")
    learned_target = learn_target(source, place, task, options)
    if note := target_note(source.frame[:, place], learned_target):
        notes[learned_target["name"]] = note
    schema: Schema = {"columns": columns, "target": learned_target, "dropped": dropped}
    if source.encoding is not None:
        schema["encoding"] = source.encoding
    return replace(_applied(source, schema), notes=notes)


def features_of(source: RawTable, schema: Schema) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Return the features of cells, filled, and the number of missing values of each column that has any.

    A target column is ignored.

    Raises
    ------
    ValueError
        As in `read_table`, and if a value is missing for which `schema` has no fill value.

    Warns
    -----
    TableWarning
        As in `read_table`.
    """
    return features(source, schema, places(source, schema)[0], whole=True)


def opened_by(source: Any, schema: Schema, header: bool | None = None, encoding: str | None = None) -> RawTable:
    """Return the cells of a source that a schema reads; raise ValueError if it is no schema."""
    check_schema(schema)
    columns = (column["name"] for column in schema["columns"])
    expected = [*columns, schema["target"]["name"], *schema.get("dropped", [])]
    return opened(source, header, None, expected, encoding, schema.get("encoding"))


def _applied(source: RawTable, schema: Schema) -> Table:
    """Convert cells to numbers according to the schema."""
    feature_places, target_at = places(source, schema)
    y, without = None, 0
    if target_at is not None:
        y, present = targets(source, schema["target"], source.frame[:, target_at])
        without = int((~present).sum())
        if without:  # before anything is counted
            source = source.rows(present)
    x, missing = features(source, schema, feature_places, whole=False)
    names = [name for column in schema["columns"] for name in feature_names(column)]
    classes = schema["target"]["class_names"]
    return Table(x, y, names, classes, missing, schema, without, {}, tuple(source.remarks))


#: The name of `read_table` from when it read nothing else.
read_csv = read_table
