"""Sheets of numbers, text and dates, whose first row may name the columns."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

import polars as pl

from . import delimited, edges
from .header import has_header

#: What polars calls the columns of a sheet that have no name.
_NAMELESS = "__UNNAMED__"


def check_reader(path: str | os.PathLike[str]) -> None:
    """Raise ImportError if spreadsheets cannot be read."""
    if importlib.util.find_spec("fastexcel") is None:
        raise ImportError(f'{path} is a spreadsheet, for which fastexcel is needed: pip install "pynn-kernels[excel]"')


def read_sheet(
    path: str | os.PathLike[str], header: bool | None, name_of_column: str | int | None, expected: Sequence[str]
) -> tuple[pl.DataFrame, bool]:
    """Return the first sheet of a file, and whether its first row names the columns.

    If `header` is None, this is found out as for files of text; columns without a name are column_0, column_1, ...
    """
    named = _is_named(path, name_of_column, expected) if header is None else header
    frame = pl.read_excel(os.fspath(path), has_header=named, infer_schema_length=None, drop_empty_rows=True)
    if not named:
        frame.columns = [f"column_{index}" for index in range(frame.width)]
    return frame, named


def _is_named(path: str | os.PathLike[str], name_of_column: str | int | None, expected: Sequence[str]) -> bool:
    """Return whether the first row of a sheet names the columns, from its cells as a file of text would hold them."""
    as_text = {"dtypes": "string"}  # beside a name, the reader knows no type for some columns
    frame = pl.read_excel(os.fspath(path), has_header=False, drop_empty_rows=True, read_options=as_text)
    cells = pl.DataFrame([delimited.stripped(column.cast(pl.String)) for column in frame])
    return has_header(cells, name_of_column, expected)


def with_names(path: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a sheet with names for columns without one; raise ValueError if its first row is rather a title."""
    names = [f"column_{index}" if name.startswith(_NAMELESS) else name for index, name in enumerate(frame.columns)]
    edges.check_title(path, [None if name.startswith(_NAMELESS) else name for name in frame.columns])
    return frame.rename(dict(zip(frame.columns, names, strict=True)))
