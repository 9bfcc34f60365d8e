"""What marks a missing value."""

from __future__ import annotations

# Markers anywhere (\\N is that of databases), and further ones that count only among numbers: "None" may be a category.
MISSING = ("", "?", "na", "n/a", "nan", "-nan", "+nan", "null", "#n/a", "#na", "#n/a n/a", "<na>", "(null)", "\\n")
MISSING_NUMBER = (*MISSING, "none", "nil", "-", "--", "---", ".", "..", "\u2013", "\u2014", "n.a.", "n.a", "<none>")


def is_missing(cell: str) -> bool:
    """Return whether a text cell marks a missing value: empty, NA, N/A, NaN, null or ?, case-insensitively."""
    return cell.lower() in MISSING
