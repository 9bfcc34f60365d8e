"""Text files whose cells a delimiter separates: comments, delimiter and structure."""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from .encoding import text_of
from .missing import is_missing
from .numbers import is_number
from .preamble import LINE_ENDS, cells_of, without_preamble
from .units import is_amount

_DELIMITERS = ",;\t|"
#: Stands for any number of blanks and tabs.
BLANKS = " "
#: Maximum rows and characters of a file in which the delimiter is detected.
_SAMPLE, _SAMPLE_LENGTH = 20, 1 << 20
#: The share of the cells between blanks without other delimiters; fewer are pieces of text in a damaged file.
MOSTLY_WHOLE = 0.5
#: The first line that Excel writes and reads: it names the separator and is not a row.
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)

#: Returns the line on which a row starts.
Lines = Callable[[int], int]


class Delimited(NamedTuple):
    """The cells of a file.

    Attributes
    ----------
    frame : polars.DataFrame
        Stripped text, without blank lines; an empty cell is null.
    lines : callable
        Returns the line on which a row starts.
    delimiter : str
    names : list of str
        Names of the columns in the head of an ARFF file, or in the last comment above the rows, as `numpy.savetxt`
        writes them; or [].
    comments : int
        Number of comments, the one with the names included.
    remarks : list of str
        What of the file was left out or guessed.
    """

    frame: pl.DataFrame
    lines: Lines
    delimiter: str
    names: list[str]
    comments: int
    remarks: list[str]


def read(path: str | os.PathLike[str], encoding: str | None = None, otherwise: str | None = None) -> Delimited:
    """Read a file; `encoding` and `otherwise` are those of `text_of`.

    Raises ValueError if the file is not text, or its rows differ in length.
    """
    text, guess = text_of(path, encoding, otherwise)
    remarks = [f"text in {guess}"] if guess else []
    first, delimiter = 1, None
    if found := _SEPARATOR_LINE.match(text):
        text, first, delimiter = text[found.end() :], 2, found[1]
    try:
        text, heading, comments = without_preamble(text)
    except ValueError as error:
        raise ValueError(f"{path} is {error}") from error
    delimiter = delimiter or _delimiter(text)
    if delimiter == BLANKS:
        text = re.sub(r"[ \t]*(\r\n|\r|\n)[ \t]*", r"\1", text.strip(" \t").replace("\t", " "))
        if '"' not in text:
            text = re.sub(" +", " ", text)
    frame, lines = (_quoted if '"' in text else _plain)(path, text, delimiter, first)
    names = cells_of(heading, delimiter)
    return Delimited(frame, lines, delimiter, names if len(names) == frame.width > 1 else [], comments, remarks)


def stripped(column: pl.Series) -> pl.Series:
    """Return text without the blanks around it; null if nothing is left."""
    column = column.str.strip_chars()
    return column.set(column == "", None) if column.dtype == pl.String else column


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first rows into the same number of cells, at least two.

    If several do, prefer the one that leaves the fewest others within cells that are not numbers, then the one with
    most cells. Blanks separate cells only if no other delimiter does it as well, and some of the cells are numbers.
    """
    sample = text[:_SAMPLE_LENGTH]
    if len(sample) < len(text):
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    blanks = LINE_ENDS.sub("\n", sample).replace("\t", " ")

    def merit(delimiter: str) -> tuple[bool, float, bool, int]:
        lines = io.StringIO(sample, newline="")
        given = map(str.strip, blanks.split("\n")) if delimiter == BLANKS else lines
        reader = csv.reader(given, delimiter=delimiter, skipinitialspace=True)
        try:
            rows = [*itertools.islice((row for row in reader if any(map(str.strip, row))), _SAMPLE)]
        except csv.Error:
            return False, 0.0, False, 0
        width = len(rows[-1]) if rows else 0
        if delimiter == BLANKS and not any(map(_is_value, rows[-1] if rows else [])):
            return False, 0.0, False, 0
        if width < 2 or not _are_even([len(row) for row in rows]):
            return False, 0.0, delimiter != BLANKS and width > 1, width
        cells = [cell.strip() for row in rows for cell in row]
        whole = sum(_is_whole(cell, delimiter) for cell in cells) / len(cells)
        if delimiter == BLANKS and whole < MOSTLY_WHOLE:
            return False, 0.0, False, 0
        return True, whole, delimiter != BLANKS, width

    return max((*_DELIMITERS, BLANKS), key=merit)


def _are_even(widths: list[int]) -> bool:
    """Return whether all rows have the same number of cells; the first may have one more or less, see `_evened`."""
    first, *others = widths
    return len(set(others)) < 2 and first > 1 and all(abs(first - width) < 2 for width in others[:1])


def _is_value(cell: str) -> bool:
    return is_number(cell) or is_missing(cell)


def _is_whole(cell: str, delimiter: str) -> bool:
    """Return whether a cell, which a delimiter has cut, is none that another one should have cut."""
    if is_number(cell) or is_amount(cell):
        return True
    several = " " in cell and all(map(_is_value, cell.split()))
    return not several and not any(other in cell for other in _DELIMITERS.replace(delimiter, ""))


def _plain(path: str | os.PathLike[str], text: str, delimiter: str, first: int) -> tuple[pl.DataFrame, Lines]:
    """Read a file without quotes: a row is a line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    rows = text.split("\n")
    kept = [number for number, row in enumerate(rows) if row and not row.isspace()]
    counts = [rows[number].count(delimiter) for number in kept]

    def lines(row: int) -> int:
        return kept[row] + first

    def cells(row: int) -> list[str | None]:
        return [cell.strip() or None for cell in rows[kept[row]].split(delimiter)]

    heading = _evened(path, delimiter, [count + 1 for count in counts], lines, cells, quoted=False)
    if len(kept) < len(rows) or heading:
        lasting = [rows[number] for number in kept]
        if heading:
            lasting[0] = delimiter.join(cell or "" for cell in heading)
        text = "\n".join(lasting)
    try:
        frame = pl.read_csv(text.encode(), separator=delimiter, has_header=False, infer_schema=False, quote_char=None)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if " " in text or not text.isascii():
        frame = frame.select(pl.all().str.strip_chars())
        frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
    return frame, lines


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
    heading = _evened(path, delimiter, list(map(len, rows)), lines.__getitem__, rows.__getitem__, quoted=True)
    rows[0] = heading or rows[0]
    columns = [pl.Series(f"column_{i}", cells, pl.String) for i, cells in enumerate(zip(*rows, strict=True))]
    return pl.DataFrame(columns), lines.__getitem__


def _evened(
    path: str | os.PathLike[str],
    delimiter: str,
    widths: list[int],
    lines: Lines,
    cells: Callable[[int], list[str | None]],
    quoted: bool,
) -> list[str | None]:
    """Return another first row, with as many cells as the other rows, or [] if all rows have the same number.

    A delimiter may end the first row, or all others. As R writes them, the first column may count or name the rows, and
    have no name; not among commas without quotes, where it may be a part of a decimal number.

    Raises
    ------
    ValueError
        If there are no rows, or they differ otherwise.
    """
    if not widths:
        raise ValueError(f"{path} is empty; expected rows of data")
    bad = next((row for row, width in enumerate(widths) if width != widths[0]), None)
    if bad is None:
        return []
    heading, width = cells(0), widths[-1]
    if bad == 1 and len(set(widths)) == 2 and widths[1] == width:
        others = range(1, len(widths))
        if widths[0] == width + 1 and heading[-1] is None:
            return heading[:-1]
        if widths[0] == width - 1 and all(cells(row)[-1] is None for row in others):
            return [*heading, None]
        named = widths[0] > 1 and not any(map(is_number, heading))
        if widths[0] == width - 1 and named and (delimiter != "," or quoted) and len(others) > 1:
            names = [cells(row)[0] for row in others]
            counted = names in ([str(row) for row in others], [str(row - 1) for row in others])
            if counted or (quoted and delimiter == BLANKS and len(set(names)) == len(names)):
                return [None, *heading]
    raise _uneven(path, delimiter, widths, lines, bad)


def _uneven(path: str | os.PathLike[str], delimiter: str, widths: list[int], lines: Lines, bad: int) -> ValueError:
    """Return the error of rows that differ in length, of which `bad` is the first."""
    usual, rows = Counter(widths).most_common(1)[0]
    if widths[0] == usual or 2 * rows <= len(widths):
        gap = "; between blanks, a gap needs a mark, such as NA, and text quotes" if delimiter == BLANKS else ""
        gap = gap or "; delete it if it is a note" * (bad == len(widths) - 1 > 1 and widths[bad] == 1)
        return ValueError(
            f"{path}, line {lines(bad)}: {widths[bad]} cells; expected {widths[0]}, as in line {lines(0)}{gap}"
        )
    advice = "lines quoted as a whole are one cell" if usual == 1 else "delete what is above the names"
    return ValueError(
        f"{path}, line {lines(0)}: {widths[0]} cells; expected {usual}, as in most lines: {advice}, or give each "
        "column a name"
    )
