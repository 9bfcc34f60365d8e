"""Interpretation of a CSV cell: a number, a missing value, or text, which may be a number formatted for people."""

from __future__ import annotations

import re
from decimal import Decimal

# Markers of missing values anywhere, and further ones that count only among numbers: "None" may be a category.
_MISSING = frozenset(("", "?", "na", "n/a", "nan", "-nan", "+nan", "null", "#n/a", "#na", "#n/a n/a", "<na>", "(null)"))
_MISSING_NUMBER = _MISSING | {"none", "nil", "-", "--", "---", ".", "..", "\u2013", "\u2014", "n.a.", "n.a", "<none>"}

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_LEADING_ZERO = re.compile(r"[+-]?0\d+")
_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2}))([T ]+\d.*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
)
_GROUPED = re.compile(r"[+-]?\d{1,3}([.,' \u00a0\u2009\u202f\u2019])\d{3}(\1\d{3})*([.,]\d+)?")
#: Characters that people write around a number; \u2212 is the typographic minus sign.
_DECORATION = re.compile(r"[\s'\"\u2019_,%\u2030$\u20ac\u00a3\u00a5\u2212()]")


def is_missing(cell: str) -> bool:
    """Return whether a text cell marks a missing value: empty, NA, N/A, NaN, null or ?, case-insensitively."""
    return cell.lower() in _MISSING


def is_missing_number(cell: str) -> bool:
    """Return whether a cell among numbers marks a missing value: as in text, and also None or a dash."""
    return cell.lower() in _MISSING_NUMBER


def parse_number(cell: str) -> float | None:
    """Return the number in a cell, or None."""
    try:
        # Python accepts 1_000, but in a table it is not a number.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def parse_whole(cell: str) -> int | None:
    """Return the exact whole number in a cell (3, -1, 2.0), or None."""
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
    """Return whether a cell is ambiguous, such as 1,234, which may be 1234 or 1.234."""
    return _THOUSANDS.fullmatch(cell) is not None


def meant_as(cell: str) -> str | None:
    """Describe a text cell that people would read as a number ("a date or a time"), or return None."""
    if not any(map(str.isdigit, cell)):
        return None
    if _DATE.fullmatch(cell):
        return "a date or a time"
    plain = _DECORATION.sub("", cell)
    if _GROUPED.fullmatch(cell) or (plain != cell and parse_number(plain) is not None):
        return "a number with a thousands separator, a currency, a percent sign or quotes"
    return None
