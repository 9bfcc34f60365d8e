"""Where a table comes from: a file of any format that polars reads, or a data frame."""

from __future__ import annotations

import contextlib
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...utils.validation import flag, shortened
from . import delimited, edges
from .header import has_header, is_above_numbers
from .json_rows import read_json
from .names import OTHERS
from .numbers import plain_numbers
from .sheets import check_reader, read_sheet, with_names
from .units import formats_of

#: Maximum number of names listed in a message.
_MOST_NAMES = 10
#: Objects of a data frame that are neither numbers nor text nor dates, though all have a text.
_NO_CELLS = (bytes, bytearray, complex, list, tuple, dict, set, np.ndarray)
#: Nested types of polars, in words.
_WORDS = {pl.List: "lists", pl.Array: "arrays", pl.Struct: "records", pl.Binary: "bytes", pl.Object: "objects"}


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
    unreadable : dict of str to str
        What the columns hold that are neither numbers nor text nor dates; they are not part of the frame.
    remarks : list of str
        What of the file was left out or guessed.
    encoding : str or None
        That of a file of text, if the user or a schema names it.
    categories : frozenset of str
        The columns whose type is that of categories, which may be numbers; the frame has their text.
    """

    name: str
    frame: pl.DataFrame
    named: bool
    place: Callable[[int], str]
    comma_separated: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    encoding: str | None = None
    categories: frozenset[str] = frozenset()

    def at(self, row: int) -> str:
        """Return the file and the place of a row, for messages."""
        return f"{self.name}, {self.place(row)}"

    def refuse_unreadable(self, names: Iterable[str], advice: str = "") -> None:
        """Raise ValueError if any of the columns holds what is no cell."""
        odd = [f"{name!r} holds {self.unreadable[name]}" for name in names if name in self.unreadable]
        if odd:
            raise ValueError(f"{self.name}: column {', '.join(odd)}; expected numbers, text or dates{advice}")

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
    def least(self) -> dict[str, float]:
        """The least number of each column of `plain`."""
        return self.plain.min().row(0, named=True)

    @functools.cached_property
    def has_decimal_commas(self) -> bool:
        """Whether a column can only be read with decimal commas, and where commas separate cells, none with points."""
        texts = self.frame.select(pl.col(pl.String))
        if not any(_needs(",", column) for column in texts if column.name not in self.plain_names):
            return False
        return not (self.comma_separated and any(_needs(".", column) for column in texts))

    def without_last(self, remark: str) -> RawTable:
        """Return the source without its last row, and with a remark about it."""
        return replace(self, frame=self.frame[:-1], remarks=[*self.remarks, remark])

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
    source: Any,
    header: bool | None,
    name_of_column: str | int | None = None,
    expected: Sequence[str] = (),
    encoding: str | None = None,
    otherwise: str | None = None,
) -> RawTable:
    """Return the cells of a file, or of a data frame of polars, pandas or another library with Arrow's interface.

    `name_of_column`, the target as the user gave it, and `expected`, the columns that a schema reads, tell whether the
    first row of a file of text or a sheet names the columns if `header` is None. `encoding` is that of a file of text,
    `otherwise` that of one that is not UTF-8.
    """
    suffix = Path(source).suffix.lower() if isinstance(source, str | os.PathLike) else None
    if suffix is not None and suffix not in OTHERS:
        return _of_text(source, header, name_of_column, expected, encoding, otherwise)
    if encoding is not None:
        raise ValueError(f"encoding is for files of text; {source if suffix else 'a data frame'} is none")
    if suffix is not None and OTHERS[suffix] == "read_excel":
        return _of_sheet(source, header, name_of_column, expected)
    if header is not None and not flag(header, "header"):
        raise ValueError(
            "header=False (--no-header) is for files of text and spreadsheets; the columns of "
            f"{source if suffix else 'a data frame'} always have names"
        )
    return _of_frame(source) if suffix is None else _of_typed_file(source, OTHERS[suffix])


def _of_text(
    path: str | os.PathLike[str],
    header: bool | None,
    name_of_column: str | int | None,
    expected: Sequence[str],
    encoding: str | None,
    otherwise: str | None,
) -> RawTable:
    frame, lines, delimiter, above, comments, remarks = delimited.read(path, encoding, otherwise)
    header, names = _heading(frame, header, above, name_of_column, expected)
    named = header or names is above
    if comments and names is above:
        comments -= 1
        remarks.append(f"the comment above the rows names the columns: {listed(above)}")
    if comments:
        remarks.append(f"left out {comments} line{'s' * (comments > 1)} of comments")
    rows = [*range(int(header), frame.height)]
    if header and edges.is_second_header(frame):
        edges.check_title(str(path), names)
        edges.refuse_second_names(str(path), names, lines(1))
        remarks.append(f"left out line {lines(1)}, which has no numbers: {listed(filter(None, frame.row(1)))}")
        del rows[0]
    if not rows:
        raise ValueError(f"{path} has a header but no rows of data")
    frame = frame[rows[0] :]
    empty = edges.empty_columns(names, frame) if named or frame.width > len(expected) else []
    if empty:
        remarks.append(f"left out {len(empty)} column{'s' * (len(empty) > 1)} without a name and values")
    kept = [place for place in range(frame.width) if place not in empty]
    if header:
        edges.check_title(str(path), [names[place] for place in kept])
    called = [names[place] or f"column_{place}" for place in kept]
    _check_names(str(path), called)
    frame = frame[:, kept].rename(dict(zip(frame[:, kept].columns, called, strict=True)))
    chosen = encoding or otherwise
    return RawTable(
        str(path), frame, named, lambda row: f"line {lines(rows[row])}", delimiter == ",", {}, remarks, chosen
    )


def _heading(
    frame: pl.DataFrame,
    header: bool | None,
    above: list[str],
    name_of_column: str | int | None,
    expected: Sequence[str],
) -> tuple[bool, Sequence[str | None]]:
    """Return whether the first row names the columns, and the names; those `above` the rows are `above` itself."""
    if header is not None:
        header = flag(header, "header")
    elif above and name_of_column not in frame.row(0) and not is_above_numbers(frame):
        return False, above
    else:
        header = has_header(frame, name_of_column, expected)
    return header, frame.row(0) if header else [None] * frame.width


def _check_names(path: str, names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        shown = listed([repr(name) for name in twice])
        raise ValueError(f"{path} has more than one column named {shown}; give each column a name of its own")


def _of_typed_file(path: str | os.PathLike[str], reader: str) -> RawTable:
    with _reading(path):
        frame = read_json(path, reader) if "json" in reader else getattr(pl, reader)(path)
    return _checked(str(path), frame)


def _of_sheet(
    path: str | os.PathLike[str], header: bool | None, name_of_column: str | int | None, expected: Sequence[str]
) -> RawTable:
    check_reader(path)
    chosen = None if header is None else flag(header, "header")
    with _reading(path):
        frame, named = read_sheet(path, chosen, name_of_column, expected)
    if not named:
        return replace(_checked(str(path), frame), named=False)
    return _checked(str(path), with_names(str(path), frame))


@contextlib.contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in the errors of polars and its readers, which are of many classes."""
    with open(path, "rb") as file:  # OSError as for other files: polars has errors of its own
        file.read(1)
    try:
        yield
    except (Exception, pl.exceptions.PanicException) as error:
        raise ValueError(f"cannot read {path}: {str(error).strip() or type(error).__name__}") from error


def _of_frame(given: Any) -> RawTable:
    if isinstance(given, pl.DataFrame):
        return _checked("the table", given)
    if type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "columns"):
        names = [str(name) for name in given.columns]
        _check_names("the table", names)
        pairs = [(name, given.iloc[:, place]) for place, name in enumerate(names)]
        odd = {name: what for name, values in pairs if (what := _oddity(values))}
        columns = [_of_pandas(name, values) for name, values in pairs if name not in odd]
        categories = [name for name, values in pairs if values.dtype.name == "category"]
        return _checked("the table", pl.DataFrame(columns), odd, categories)
    raise TypeError(f"the table is a {type(given).__name__}; expected a file, or a data frame of polars or pandas")


def _of_pandas(name: str, values: Any) -> pl.Series:
    """Return a column of pandas; polars' own conversion needs pyarrow for most types."""
    kind, missing = values.dtype.kind, values.isna().to_numpy()
    if kind in "iub" and not missing.any():
        return pl.Series(name, values.to_numpy(dtype="bool" if kind == "b" else "int64" if kind == "i" else "uint64"))
    if kind in "iuf":
        return pl.Series(name, values.to_numpy(dtype="float64", na_value=np.nan))
    if kind == "b":
        return pl.Series(name, values.to_numpy(dtype="object", na_value=None).tolist(), pl.Boolean)
    if kind == "M":
        return pl.Series(name, values.to_numpy().astype("datetime64[us]"))
    if kind == "m":
        return pl.Series(name, values.to_numpy().astype("timedelta64[us]"))
    cells = [None if absent else str(value) for value, absent in zip(values, missing, strict=True)]
    return pl.Series(name, cells, pl.String)


def _oddity(values: Any) -> str:
    """Return what a column of pandas holds beside cells, or ""."""
    if values.dtype.kind in "iufbmM":
        return ""
    odd = next((value for value in values if isinstance(value, _NO_CELLS)), None)
    return "" if odd is None else f"a {type(odd).__name__}, {shortened(repr(odd))}"


def _checked(
    name: str, frame: pl.DataFrame, odd: dict[str, str] | None = None, categories: Iterable[str] = ()
) -> RawTable:
    """Return a typed frame as a source: text stripped, other types that are text to us cast to it.

    `odd` says what further columns hold that cannot be read; `categories` are columns of text that had their type.
    """
    unreadable = dict(odd or {})
    if not frame.height and not unreadable:
        raise ValueError(f"{name} is empty; expected rows of data")
    typed = {*categories, *(column.name for column in frame if column.dtype in (pl.Categorical, pl.Enum))}
    columns = []
    for column in frame:
        dtype = column.dtype
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            unreadable[column.name] = _WORDS.get(dtype.base_type(), str(dtype))
            continue
        if dtype in (pl.Categorical, pl.Enum, pl.Null):
            column = column.cast(pl.String)
        if column.dtype == pl.String:
            column = delimited.stripped(column)
        columns.append(column)
    return RawTable(
        name,
        pl.DataFrame(columns),
        True,
        lambda row: f"row {row}",
        unreadable=unreadable,
        categories=frozenset(typed.difference(unreadable)),
    )
