"""Where a table comes from: a file of any format that polars reads, or a data frame."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...utils.validation import flag, shortened
from . import delimited
from .names import OTHERS
from .numbers import formats_of, plain_numbers

#: Maximum number of names listed in a message.
_MOST_NAMES = 10
#: Objects of a data frame that are neither numbers nor text nor dates, though all have a text.
_NO_CELLS = (bytes, bytearray, complex, list, tuple, dict, set, np.ndarray)


@dataclass
class RawTable:
    """The cells of a table, not yet interpreted.

    Attributes
    ----------
    name : str
        The file, for messages.
    frame : polars.DataFrame
        Text columns hold stripped cells, and null for empty ones. Columns of numbers, booleans and dates occur if the
        file's format has types.
    named : bool
        Whether the file names its columns; otherwise they are called column_0, column_1, ...
    place : callable
        Describes where a row is: "line 7".
    comma_separated : bool
        Whether cells are separated by commas, so that a comma within a number is no decimal mark.
    """

    name: str
    frame: pl.DataFrame
    named: bool
    place: Callable[[int], str]
    comma_separated: bool = False

    def at(self, row: int) -> str:
        """Return the file and the place of a row, for messages."""
        return f"{self.name}, {self.place(row)}"

    @functools.cached_property
    def plain(self) -> pl.DataFrame:
        """The columns that are plain numbers, as most of most tables are, float64 with null for missing ones.

        All are found and converted at once: a call of polars takes as long as converting 10,000 cells.
        """
        return plain_numbers(self.frame)

    @functools.cached_property
    def plain_names(self) -> frozenset[str]:
        """The names of the columns of `plain`."""
        return frozenset(self.plain.columns)

    @functools.cached_property
    def has_decimal_commas(self) -> bool:
        """Whether a column can only be read with decimal commas, and where commas separate cells, none with points."""
        texts = self.frame.select(pl.col(pl.String))
        if not any(_needs(",", column) for column in texts if column.name not in self.plain_names):
            return False
        return not (self.comma_separated and any(_needs(".", column) for column in texts))

    def rows(self, kept: NDArray[np.bool_]) -> RawTable:
        """Return the source with the rows that a mask selects."""
        numbers = np.flatnonzero(kept)
        place = self.place
        return replace(self, frame=self.frame.filter(pl.Series(kept)), place=lambda row: place(int(numbers[row])))


def _needs(mark: str, column: pl.Series) -> bool:
    """Return whether the numbers of a column can only be read with this decimal mark."""
    if not column.str.contains(mark, literal=True).any():
        return False
    return {how.decimal for how in formats_of(column)} == {mark}


def listed(names: Iterable[str]) -> str:
    """Return the names for a message; if there are many, the first ones and the number of the others."""
    names = list(names)
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def opened(
    source: Any, header: bool | None, name_of_column: str | int | None = None, expected: Sequence[str] = ()
) -> RawTable:
    """Return the cells of a file, or of a data frame of polars, pandas or another library with Arrow's interface.

    `name_of_column`, the target as the user gave it, and `expected`, the columns that a schema reads, tell whether the
    first row of a delimited file names the columns if `header` is None.
    """
    if not isinstance(source, str | os.PathLike):
        return _of_frame(source)
    suffix = Path(source).suffix.lower()
    if suffix in OTHERS:
        return _of_typed_file(source, OTHERS[suffix])
    frame, lines, delimiter = delimited.read(source)
    header = delimited.has_header(frame, name_of_column, expected) if header is None else flag(header, "header")
    names = [f"column_{index}" for index in range(frame.width)]
    if header:
        names = [cell or name for cell, name in zip(frame.row(0), names, strict=True)]
        _check_names(str(source), names)
        frame = frame.slice(1)
    if not frame.height:
        raise ValueError(f"{source} has a header but no rows of data")
    frame.columns = names
    first = int(header)
    return RawTable(str(source), frame, header, lambda row: f"line {lines(row + first)}", delimiter == ",")


def _check_names(path: str, names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{path} has more than one column named {listed([repr(name) for name in twice])}")


def _of_typed_file(path: str | os.PathLike[str], reader: str) -> RawTable:
    options: dict[str, Any] = {}
    if reader == "read_excel":
        if importlib.util.find_spec("fastexcel") is None:
            raise ImportError(
                f'{path} is a spreadsheet, for which fastexcel is needed: pip install "pynn-kernels[excel]"'
            )
        options = {"infer_schema_length": None, "drop_empty_rows": True}
    with open(path, "rb") as file:  # OSError as for other files: polars has errors of its own
        file.read(1)
    try:
        frame = getattr(pl, reader)(path, **options)
    except (Exception, pl.exceptions.PanicException) as error:  # polars and its readers raise errors of many classes
        raise ValueError(f"cannot read {path}: {str(error).strip() or type(error).__name__}") from error
    return _checked(str(path), frame)


def _of_frame(given: Any) -> RawTable:
    if isinstance(given, pl.DataFrame):
        return _checked("the table", given)
    if type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "columns"):
        names = [str(name) for name in given.columns]
        _check_names("the table", names)
        columns = [_of_pandas(name, given.iloc[:, place]) for place, name in enumerate(names)]
        return _checked("the table", pl.DataFrame(columns))
    raise TypeError(f"the table is a {type(given).__name__}; expected a file, or a data frame of polars or pandas")


def _of_pandas(name: str, values: Any) -> pl.Series:
    """Return a column of pandas; polars' own conversion needs pyarrow for most types."""
    kind, missing = values.dtype.kind, values.isna().to_numpy()
    if kind in "iub" and not missing.any():
        return pl.Series(name, values.to_numpy(dtype="bool" if kind == "b" else "int64" if kind == "i" else "uint64"))
    if kind in "iufb":
        return pl.Series(name, values.to_numpy(dtype="float64", na_value=np.nan))
    if kind == "M":
        return pl.Series(name, values.to_numpy().astype("datetime64[us]"))
    if kind == "m":
        return pl.Series(name, values.to_numpy().astype("timedelta64[us]"))
    odd = next((value for value in values if isinstance(value, _NO_CELLS)), None)
    if odd is not None:
        raise ValueError(
            f"the table: column {name!r} holds a {type(odd).__name__}, {shortened(repr(odd))}; expected numbers, text "
            "or dates"
        )
    cells = [None if absent else str(value) for value, absent in zip(values, missing, strict=True)]
    return pl.Series(name, cells, pl.String)


def _checked(name: str, frame: pl.DataFrame) -> RawTable:
    """Return a typed frame as a source: text stripped, other types that are text to us cast to it."""
    if not frame.width or not frame.height:
        raise ValueError(f"{name} is empty; expected rows of data")
    columns = []
    for column in frame:
        dtype = column.dtype
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            raise ValueError(f"{name}: column {column.name!r} holds {dtype}; expected numbers, text or dates")
        if dtype in (pl.Categorical, pl.Enum, pl.Null):
            column = column.cast(pl.String)
        if column.dtype == pl.String:
            column = delimited.stripped(column)
        columns.append(column)
    return RawTable(name, pl.DataFrame(columns), True, lambda row: f"row {row}")
