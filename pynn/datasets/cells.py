"""The cells of a CSV file: rows of text with their line numbers, and what text counts as a number."""

from __future__ import annotations

import csv
import io
import itertools
import os
from dataclasses import dataclass

_MISSING = {"", "na", "nan", "null", "?"}


@dataclass
class Grid:
    """The cells of a file: names of the columns (None: it has no header), rows of cells, the line of each row."""

    path: str
    names: list[str] | None
    rows: list[list[str]]
    lines: list[int]

    def column(self, index: int) -> list[tuple[int, str]]:
        """Return (line, cell) for each row."""
        return [(line, row[index]) for line, row in zip(self.lines, self.rows, strict=True)]


def read_rows(path: str | os.PathLike[str]) -> tuple[list[list[str]], list[int]]:
    """Return the rows of stripped cells and the line each starts on, leaving out blank lines."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    rows, lines = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):
                rows.append(cells)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
    if not rows:
        raise ValueError(f"{path} is empty; expected rows of data")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(f"{path}, line {line}: {len(row)} cells; expected {len(rows[0])}, as in line {lines[0]}")
    return rows, lines


def _delimiter(text: str) -> str:
    """Return the separator that cuts the first rows into equally many cells, at least two; if several do, into most."""

    def merit(delimiter: str) -> tuple[bool, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            widths = [len(row) for row in itertools.islice(reader, 20) if any(map(str.strip, row))]
        except csv.Error:
            return False, 0
        width = widths[0] if widths else 0
        return width > 1 and len(set(widths)) == 1, width

    return max(",;\t", key=merit)


def is_missing(cell: str) -> bool:
    """Return whether a cell stands for a missing value: empty, NA, NaN, null or ?, in any case of letters."""
    return cell.lower() in _MISSING


def parse_number(cell: str) -> float | None:
    """Return the number a cell holds, or None."""
    try:
        # Python's own 1_000 is no number in a table.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def parse_whole(cell: str) -> int | None:
    """Return the whole number a cell holds (3, -1, 2.0), or None."""
    number = parse_number(cell)
    if number is None or not number.is_integer():
        return None
    try:
        return int(cell)
    except ValueError:
        return int(number)


def looks_like_header(rows: list[list[str]]) -> bool:
    """Return whether the first row holds names rather than data.

    It does if a column has text there and only numbers below; failing that, if it has no number and none of its cells
    comes again in its column.
    """
    first, rest = rows[0], rows[1:]
    is_text = [parse_number(cell) is None and not is_missing(cell) for cell in first]
    for index, text in enumerate(is_text):
        below = [row[index] for row in rest if not is_missing(row[index])]
        if text and below and all(parse_number(cell) is not None for cell in below):
            return True
    if any(parse_number(cell) is not None for cell in first):
        return False
    return not any(cell == row[index] for row in rest for index, cell in enumerate(first))
