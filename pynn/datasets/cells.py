"""What a cell of a CSV file says: a number, nothing, or text, which may be a number that was written for people."""

from __future__ import annotations

import re
from decimal import Decimal

# What stands for a missing value anywhere, and what does so only among numbers: "None" may be a category.
_MISSING = frozenset(("", "?", "na", "n/a", "nan", "-nan", "+nan", "null", "#n/a", "#na", "#n/a n/a", "<na>", "(null)"))
_MISSING_NUMBER = _MISSING | {"none", "nil", "-", "--", "---", ".", "..", "\u2013", "\u2014", "n.a.", "n.a", "<none>"}

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_LEADING_ZERO = re.compile(r"[+-]?0\d+")
_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2}))([T ]+\d.*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
)
_GROUPED = re.compile(r"[+-]?\d{1,3}([.,' \u00a0\u2009\u202f\u2019])\d{3}(\1\d{3})*([.,]\d+)?")
#: What people put around a number; \u2212 is the minus sign of typography.
_DECORATION = re.compile(r"[\s'\"\u2019_,%\u2030$\u20ac\u00a3\u00a5\u2212()]")


def is_missing(cell: str) -> bool:
    """Return whether a cell of text stands for a missing value: empty, NA, N/A, NaN, null or ?, in any case."""
    return cell.lower() in _MISSING


def is_missing_number(cell: str) -> bool:
    """Return whether a cell among numbers stands for a missing value: as in text, and None or a dash too."""
    return cell.lower() in _MISSING_NUMBER


def parse_number(cell: str) -> float | None:
    """Return the number a cell holds, or None."""
    try:
        # Python's own 1_000 is no number in a table.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def parse_whole(cell: str) -> int | None:
    """Return the whole number a cell holds (3, -1, 2.0), exactly, or None."""
    number = parse_number(cell)
    if number is None or not number.is_integer():
        return None
    exact = Decimal(cell)
    return int(exact) if exact == exact.to_integral_value() else None


def has_leading_zero(cell: str) -> bool:
    """Return whether a cell is a code such as 007, which is not the number 7."""
    return _LEADING_ZERO.fullmatch(cell) is not None


def has_decimal_comma(cell: str) -> bool:
    """Return whether a cell is a number with a comma as decimal mark, such as 1,5."""
    return _DECIMAL_COMMA.fullmatch(cell) is not None


def may_be_thousands(cell: str) -> bool:
    """Return whether a cell such as 1,234 may be 1234 as well as 1.234."""
    return _THOUSANDS.fullmatch(cell) is not None


def meant_as(cell: str) -> str | None:
    """Return what a cell of text that only people read as a number is ("a date or a time"), or None."""
    if not any(map(str.isdigit, cell)):
        return None
    if _DATE.fullmatch(cell):
        return "a date or a time"
    plain = _DECORATION.sub("", cell)
    if _GROUPED.fullmatch(cell) or (plain != cell and parse_number(plain) is not None):
        return "a number with a thousands separator, a currency, a percent sign or quotes"
    return None
