"""How the user wants the columns of a table to be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from .numbers import FORMATS, NumberFormat


@dataclass
class ColumnOptions:
    """How the user wants the columns to be read; what is empty is inferred.

    Attributes
    ----------
    drop, numeric, categorical : frozenset of str
        Columns that are ignored, that are numbers, and that are categories.
    dates : dict of str to str
        Formats of columns of dates, in the notation of `datetime.strptime`, or "".
    missing : tuple of str
        Further markers of missing values.
    decimal, thousands : str or None
        How numbers are written.
    """

    drop: frozenset[str] = frozenset()
    numeric: frozenset[str] = frozenset()
    categorical: frozenset[str] = frozenset()
    dates: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str | None = None

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise ValueError(f'decimal is {self.decimal!r}; expected "." or ","')
        mark = self.thousands
        if mark and (len(mark) > 1 or mark.isalnum() or mark in "+-()%"):
            raise ValueError(f"thousands is {mark!r}; expected one mark, such as a comma, an apostrophe or a space")
        if mark and mark == self.decimal:
            raise ValueError(f"decimal and thousands are both {mark!r}; expected different marks")

    def named(self) -> dict[str, str]:
        """Return the columns that are named, with the option that names each."""
        chosen = {"drop": self.drop, "numeric": self.numeric, "categorical": self.categorical, "dates": self.dates}
        return {column: option for option, columns in chosen.items() for column in columns}

    @property
    def has_usual_cells(self) -> bool:
        """Whether numbers and missing values are written in the usual ways, as far as the user says."""
        return not self.missing and self.decimal is None and self.thousands is None

    def formats(self) -> tuple[NumberFormat, ...]:
        """Return the formats that numbers may have."""
        if self.decimal is None and self.thousands is None:
            return FORMATS
        if self.thousands is None:
            return tuple(how for how in FORMATS if how.decimal == self.decimal)
        return (NumberFormat(self.decimal or (".", ",")[self.thousands == "."], self.thousands),)


class ColumnError(ValueError):
    """A column cannot be read; the message names the file and the row."""
