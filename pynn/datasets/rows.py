"""The rows of a CSV file as text: encoding, separator, decimal mark and header detection."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .cells import has_decimal_comma, is_missing, is_missing_number, may_be_thousands, parse_number

_DELIMITERS = ",;\t|"
#: Rows examined to detect the separator.
_SAMPLE = 20
# UTF-32 first: its byte order mark starts with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARY = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip file",
    b"PAR1": "a Parquet file",
}
#: The first line that Excel writes and reads: it names the separator and is not a row.
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
#: Maximum number of names listed in a message.
_MOST_NAMES = 10


@dataclass
class Grid:
    """The cells of a file: column names (None without a header), rows of cells, and the line of each row."""

    path: str
    names: list[str] | None
    rows: list[list[str]]
    lines: list[int]

    def column(self, index: int) -> list[tuple[int, str]]:
        """Return (line, cell) for each row."""
        return [(line, row[index]) for line, row in zip(self.lines, self.rows, strict=True)]


def listed(names: Sequence[str]) -> str:
    """Return the names for a message; if there are many, the first ones and the number of the others."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def read_rows(path: str | os.PathLike[str]) -> tuple[list[list[str]], list[int]]:
    """Return the rows of stripped cells and the line on which each starts, without blank lines.

    Decimal commas are converted to points.
    """
    text = _read_text(path)
    line, delimiter = 1, None
    if found := _SEPARATOR_LINE.match(text):
        text, line, delimiter = text[found.end() :], 2, found[1]
    if delimiter is None:
        delimiter = _delimiter(text)
    rows, lines = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    first = line
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):
                rows.append(cells)
                lines.append(line)
            line = reader.line_num + first
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
    if not rows:
        raise ValueError(f"{path} is empty; expected rows of data")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(f"{path}, line {line}: {len(row)} cells; expected {len(rows[0])}, as in line {lines[0]}")
    _replace_decimal_commas(path, rows, lines)
    return rows, lines


def _read_text(path: str | os.PathLike[str]) -> str:
    raw = Path(path).read_bytes()
    for start, what in _BINARY.items():
        if raw.startswith(start):
            raise ValueError(f"{path} is {what}; expected text: save it as CSV")
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
    """Return the separator that splits the first rows into the same number of cells, at least two.

    If several do, prefer the one that leaves the fewest other separators within cells, then the one with most cells.
    """

    def merit(delimiter: str) -> tuple[bool, float, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        try:
            rows = [row for row in itertools.islice(reader, _SAMPLE) if any(map(str.strip, row))]
        except csv.Error:
            return False, 0.0, 0
        width = len(rows[0]) if rows else 0
        if width < 2 or any(len(row) != width for row in rows):
            return False, 0.0, width
        cells = [cell.strip() for row in rows for cell in row]
        whole = sum(has_decimal_comma(cell) or not any(other in cell for other in _DELIMITERS) for cell in cells)
        return True, whole / len(cells), width

    return max(_DELIMITERS, key=merit)


def _replace_decimal_commas(path: str | os.PathLike[str], rows: list[list[str]], lines: list[int]) -> None:
    """Convert 1,5 to 1.5 in columns of numbers; raise ValueError if a comma is ambiguous."""
    body, first = (rows[1:], 1) if len(rows) > 1 else (rows, 0)
    with_commas = {place for row in body for place, cell in enumerate(row) if "," in cell and has_decimal_comma(cell)}
    places = [place for place in sorted(with_commas) if _is_numeric(body, place)]
    if not places:
        return
    commas = [
        (line, row[place])
        for line, row in zip(lines[first:], body, strict=True)
        for place in places
        if "," in row[place]
    ]
    if all(may_be_thousands(cell) for _, cell in commas):
        line, cell = commas[0]
        raise ValueError(
            f"{path}, line {line}: {cell!r} may be {cell.replace(',', '')} or {cell.replace(',', '.')}; write numbers "
            "without thousands separators and with a decimal point"
        )
    for place in range(len(rows[0])):
        points = [at for at, row in enumerate(body) if "." in row[place] and parse_number(row[place]) is not None]
        if points and _is_numeric(body, place):
            line, cell = commas[0]
            raise ValueError(
                f"{path}: {body[points[0]][place]!r} in line {lines[first + points[0]]} has a decimal point, {cell!r} "
                f"in line {line} a decimal comma; write all numbers the same way"
            )
    for row in rows:
        for place in places:
            if has_decimal_comma(row[place]):
                row[place] = row[place].replace(",", ".")


def _is_numeric(rows: list[list[str]], place: int) -> bool:
    """Return whether a column has only numbers, with decimal commas or points."""
    return all(
        has_decimal_comma(row[place]) or parse_number(row[place]) is not None or is_missing_number(row[place])
        for row in rows
    )


def looks_like_header(rows: list[list[str]]) -> bool:
    """Return whether the first row is a header rather than data.

    It is if a column has text there and only numbers below. Otherwise it is if none of its text recurs in its column
    and it has no number, or a whole number above only text, or numbers that enumerate the columns.
    """
    first, rest = rows[0], rows[1:]
    numbers = [index for index, cell in enumerate(first) if parse_number(cell) is not None]
    counted = set(numbers)
    for index, cell in enumerate(first):
        if index not in counted and not is_missing_number(cell):
            below = [row[index] for row in rest if not is_missing_number(row[index])]
            if below and all(parse_number(cell) is not None for cell in below):
                return True
    if any(cell == row[index] for index, cell in enumerate(first) if index not in counted for row in rest):
        return False
    if not numbers:
        return True
    if not all(first[index].isdecimal() for index in numbers):
        return False
    return any(_is_text(rest, index) for index in numbers) or _count_columns(first, rest, numbers)


def _is_text(rows: list[list[str]], index: int) -> bool:
    """Return whether a column has at least two cells and no number."""
    cells = [row[index] for row in rows if not is_missing(row[index])]
    return len(cells) > 1 and all(parse_number(cell) is None for cell in cells)


def _count_columns(first: list[str], rest: list[list[str]], numbers: list[int]) -> bool:
    """Return whether the whole numbers of the first row are names such as 0, 1, 2 rather than values.

    Names count up from 0 in steps of 1, as no other row does. Fewer than three count as names only if all numbers below
    have a decimal point.
    """

    def rises(row: list[str]) -> bool:
        steps = [(parse_number(row[index]), place) for place, index in enumerate(numbers)]
        return len({value - place for value, place in steps if value is not None}) == 1

    if not rest or int(first[numbers[0]]) != 0 or not rises(first):
        return False
    if all("." in row[index] or is_missing_number(row[index]) for row in rest for index in numbers):
        return True
    return len(numbers) > 2 and not any(map(rises, rest))
