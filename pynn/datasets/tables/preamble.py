"""What of a text file is no row: comments, lines that are drawn, the head of an ARFF file."""

from __future__ import annotations

import csv
import itertools
import re
from typing import NamedTuple

LINE_ENDS = re.compile(r"\r\n|\r|\n")
#: A line that is drawn below a heading.
_DRAWN = re.compile(r"[ \t]*[|+]?[ \t:]*(?:-{3,}|={3,})[-=+|: \t]*")
_ATTRIBUTE = re.compile(r"""\s*@attribute\s+('[^']*'|"[^"]*"|[^\s{]+)""", re.IGNORECASE)


class Stripped(NamedTuple):
    """The rows of a text.

    Attributes
    ----------
    text : str
        Blank lines stand for what was left out, so that rows keep the numbers of their lines.
    names : str
        The line above the rows that may name the columns, or "".
    comments : int
        Number of comments that were left out.
    """

    text: str
    names: str
    comments: int


def without_preamble(text: str) -> Stripped:
    """Return the rows of a text; raise ValueError if it is an ARFF file of a kind that is not read."""
    if re.match(r"(?:\s|%.*)*@relation\s", text, re.IGNORECASE):
        return _of_arff(LINE_ENDS.split(text))
    if "---" in text or "===" in text:
        text = "\n".join("" if _DRAWN.fullmatch(line) else line for line in LINE_ENDS.split(text))
    found = re.match(r"\s*([#%])", text)
    return Stripped(text, "", 0) if found is None else _without_comments(text, found[1])


def _without_comments(text: str, mark: str) -> Stripped:
    """Return a text without comments, but where half of the rows begin with the mark, as #ff0000 does."""
    lines = LINE_ENDS.split(text)
    comments = [line.lstrip().startswith(mark) for line in lines]
    start = next((place for place, line in enumerate(lines) if line.strip() and not comments[place]), len(lines))
    rows = sum(bool(line.strip()) for line in lines[start:])
    if 2 * sum(comments[start:]) >= rows:
        return Stripped(text, "", 0)
    above = [line for line in lines[:start] if line.strip()]
    kept = ["" if comment else line for line, comment in zip(lines, comments, strict=True)]
    return Stripped("\n".join(kept), above[-1].lstrip("#% \t"), sum(comments))


def _of_arff(lines: list[str]) -> Stripped:
    """Return the rows of an ARFF file, which are separated by commas, and the names of its attributes."""
    start = 1 + sum(1 for _ in itertools.takewhile(lambda line: line.strip().lower() != "@data", lines))
    names = [found[1].strip("'\"") for line in lines[:start] if (found := _ATTRIBUTE.match(line))]
    rows = ["" if line.lstrip().startswith("%") else line for line in lines[start:]]
    if any(row.lstrip().startswith("{") for row in rows):
        raise ValueError("an ARFF file with sparse rows; write all values of each row")
    text = "\n".join(rows)
    if '"' not in text:
        text = text.replace("'", '"')
    return Stripped("\n" * start + text, ",".join(f'"{name}"' for name in names), 0)


def cells_of(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line."""
    reader = csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True)
    return [cell.strip() for cell in next(reader, [])]
