"""Text files whose cells a delimiter separates: encoding, delimiter, structure and header."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import os
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .missing import MISSING_NUMBER
from .numbers import formats_of, is_number, plain_numbers

_DELIMITERS = ",;\t|"
#: Maximum rows and characters of a file in which the delimiter is detected.
_SAMPLE, _SAMPLE_LENGTH = 20, 1 << 20
# UTF-32 first: its byte order mark starts with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARY = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: call a workbook .xlsx, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: call it .xls, or save it as CSV",
    b"PAR1": "a Parquet file: call it .parquet",
}
#: The first line that Excel writes and reads: it names the separator and is not a row.
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)

#: Returns the line on which a row starts.
Lines = Callable[[int], int]


def read(path: str | os.PathLike[str]) -> tuple[pl.DataFrame, Lines, str]:
    """Return the stripped cells of a file without its blank lines, as text, the lines of the rows, and the delimiter.

    An empty cell is null. Raises ValueError if the file is not text, or its rows differ in length.
    """
    text = _text(path)
    first, delimiter = 1, None
    if found := _SEPARATOR_LINE.match(text):
        text, first, delimiter = text[found.end() :], 2, found[1]
    delimiter = delimiter or _delimiter(text)
    frame, lines = (_quoted if '"' in text else _plain)(path, text, delimiter, first)
    return frame, lines, delimiter


def stripped(column: pl.Series) -> pl.Series:
    """Return text without the blanks around it; null if nothing is left."""
    column = column.str.strip_chars()
    return column.set(column == "", None) if column.dtype == pl.String else column


def _text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file."""
    raw = Path(path).read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file: {error}") from error
    for start, what in _BINARY.items():
        if raw.startswith(start):
            raise ValueError(f"{path} is {what}")
    encoding = next((encoding for mark, encoding in _MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not {encoding.upper()} text: {error.reason} {raw[error.start : error.end].hex(' ')} in line "
            f"{line}; save it as UTF-8 (it may be Latin-1 or Windows-1252 now)"
        ) from error
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise ValueError(f"{path}, line {line}: a NUL character; expected text: save it as UTF-8")
    return text


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first rows into the same number of cells, at least two.

    If several do, prefer the one that leaves the fewest others within cells that are not numbers, then the one with
    most cells.
    """
    sample = text[:_SAMPLE_LENGTH]
    if len(sample) < len(text):
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample

    def merit(delimiter: str) -> tuple[bool, float, int]:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
        try:
            rows = [row for row in itertools.islice(reader, _SAMPLE) if any(map(str.strip, row))]
        except csv.Error:
            return False, 0.0, 0
        width = len(rows[0]) if rows else 0
        if width < 2 or any(len(row) != width for row in rows):
            return False, 0.0, width
        cells = [cell.strip() for row in rows for cell in row]
        whole = sum(is_number(cell) or not any(other in cell for other in _DELIMITERS) for cell in cells)
        return True, whole / len(cells), width

    return max(_DELIMITERS, key=merit)


def _plain(path: str | os.PathLike[str], text: str, delimiter: str, first: int) -> tuple[pl.DataFrame, Lines]:
    """Read a file without quotes: a row is a line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    rows = text.split("\n")
    kept = [number for number, row in enumerate(rows) if row and not row.isspace()]
    counts = [rows[number].count(delimiter) for number in kept]
    _check_widths(path, [count + 1 for count in counts], lambda row: kept[row] + first)
    if len(kept) < len(rows):
        text = "\n".join([rows[number] for number in kept])
    try:
        frame = pl.read_csv(text.encode(), separator=delimiter, has_header=False, infer_schema=False, quote_char=None)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if " " in text or not text.isascii():
        frame = frame.select(pl.all().str.strip_chars())
        frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
    return frame, lambda row: kept[row] + first


def _quoted(path: str | os.PathLike[str], text: str, delimiter: str, first: int) -> tuple[pl.DataFrame, Lines]:
    """Read a file with quotes, which polars would not check as strictly as the csv module."""
    rows, lines, line = [], [], first
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for row in reader:
            cells = [cell.strip() or None for cell in row]
            if cells not in ([], [None]):
                rows.append(cells)
                lines.append(line)
            line = reader.line_num + first
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
    _check_widths(path, list(map(len, rows)), lines.__getitem__)
    columns = [pl.Series(f"column_{i}", cells, pl.String) for i, cells in enumerate(zip(*rows, strict=True))]
    return pl.DataFrame(columns), lines.__getitem__


def _check_widths(path: str | os.PathLike[str], widths: list[int], lines: Lines) -> None:
    """Raise ValueError if a row has another number of cells than the first one, or there is none."""
    if not widths:
        raise ValueError(f"{path} is empty; expected rows of data")
    bad = next((row for row, width in enumerate(widths) if width != widths[0]), None)
    if bad is not None:
        raise ValueError(f"{path}, line {lines(bad)}: {widths[bad]} cells; expected {widths[0]}, as in line {lines(0)}")


def has_header(frame: pl.DataFrame, target: str | int | None, expected: Sequence[str]) -> bool:
    """Return whether the first row names the columns.

    It does if `target` can only be a name; if columns are `expected`, if one is in it, in capitals or not, or text is
    above numbers; otherwise see `_looks_like_header`.
    """
    first = [cell or "" for cell in frame.row(0)]
    if isinstance(target, str):
        whole = target.removeprefix("-").isdecimal()
        if not whole or (target in first and int(target) >= len(first)):
            return True
    if expected:
        names = {name.lower() for name in expected if not is_number(name)}
        known = set(expected) <= set(first) or any(cell.lower() in names for cell in first)
        nameless = all(name.startswith("column_") for name in expected)  # the table that was learnt from had no header
        return known or (not nameless and _is_above_numbers(frame, first))
    return _looks_like_header(frame, first)


def _looks_like_header(frame: pl.DataFrame, first: list[str]) -> bool:
    """Return whether the first row is a header rather than data.

    It is if a column has text there and only numbers below. Otherwise it is if none of its text recurs in its column
    and it has no number, or a whole number above only text, or numbers that enumerate the columns.
    """
    if _is_above_numbers(frame, first):
        return True
    rest, texts = frame.slice(1), _texts(first)
    numbers = [index for index, cell in enumerate(first) if is_number(cell)]
    if any((rest[:, index] == first[index]).any() for index in texts):
        return False
    if not numbers:
        return True
    if not all(first[index].isdecimal() for index in numbers):
        return False
    return any(_is_text(rest[:, index]) for index in numbers) or _count_columns(first, rest, numbers)


def _texts(first: list[str]) -> list[int]:
    """Return the places of the cells that are neither numbers nor missing."""
    return [index for index, cell in enumerate(first) if not is_number(cell) and cell.lower() not in MISSING_NUMBER]


def _is_above_numbers(frame: pl.DataFrame, first: list[str]) -> bool:
    """Return whether a column has text in the first row, and only numbers below."""
    rest = frame.slice(1)[:, _texts(first)]
    plain = plain_numbers(rest)
    if any(plain[name].count() for name in plain.columns):
        return True
    return any(len(below) and formats_of(below) for below in (column.drop_nulls() for column in rest))


def _is_text(column: pl.Series) -> bool:
    """Return whether a column has at least two cells and no number."""
    cells = column.drop_nulls()
    return len(cells) > 1 and not any(map(is_number, cells.unique()))


def _count_columns(first: list[str], rest: pl.DataFrame, numbers: list[int]) -> bool:
    """Return whether the whole numbers of the first row are names such as 0, 1, 2 or 1990, 1995 rather than values.

    Names count up from 0 in steps of 1, or from 1 if there are three or more beside text, or are years in equal steps,
    as no other row is. Fewer than three are names only if all numbers below have a decimal point.
    """
    names = np.array([[float(first[index]) for index in numbers]])
    named = _count_up(names, 0) | _are_years(names)
    if 2 < len(numbers) < len(first):
        named |= _count_up(names, 1)
    if not rest.height or not named.any():
        return False
    below = rest[:, numbers]
    if all(below.select((pl.all().str.contains(".", literal=True) | pl.all().is_null()).all()).row(0)):
        return True
    values = below.select(pl.all().cast(pl.Float64, strict=False)).to_numpy()
    alike = _are_years if _are_years(names).any() else _rise
    return len(numbers) > 2 and not bool(alike(values).any())


def _count_up(rows: NDArray[np.float64], first: int) -> NDArray[np.bool_]:
    """Return which rows are `first`, `first` + 1, ..."""
    return np.asarray((rows == np.arange(first, first + rows.shape[1])).all(axis=1))


def _rise(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows rise in steps of 1 from any number, where they have values."""
    steps = rows - np.arange(rows.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row without values does not rise
        return np.asarray(np.nanmax(steps, axis=1) == np.nanmin(steps, axis=1))


def _are_years(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows are years from 1800 to 2100 in equal steps, not of 0."""
    steps = np.diff(rows, axis=1)
    equal = (steps == steps[:, :1]).all(axis=1) & (steps != 0).all(axis=1)
    return np.asarray(equal & ((rows >= 1800) & (rows <= 2100)).all(axis=1))
