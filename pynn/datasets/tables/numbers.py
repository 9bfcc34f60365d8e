r"""Numbers as people write them: decimal marks, thousands separators, currencies, percent signs.

All cells of a column follow one format. Formats are tried from the plainest on:

=============================  =====================================
plain, decimal point           1234.5, -1e3, .5
decimal comma                  1234,5
thousands and decimal point    1,234.5 or 1 234.5 or 1'234.5
thousands and decimal comma    1.234,5 or 1 234,5
=============================  =====================================

Each may have a currency, a percent sign (12% is 0.12), apostrophes around it, or brackets for negative numbers, (5).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import polars as pl
import polars.selectors as cs

from .missing import MISSING_NUMBER

_CURRENCY = r"(?:[$€£¥₹]|EUR|USD|GBP|CHF|JPY|INR)"
_SPACES = " \u00a0\u2009\u202f"
_QUOTES = "'\u2019"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
#: What is taken away before a number is parsed: \u2212 is the typographic minus sign, and becomes "-".
_DECORATION = rf"{_CURRENCY}|[()%\s']"
#: A number that Python and polars parse as it stands.
PLAIN = rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}"
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
#: A code such as 007, which is not the number 7.
LEADING_ZERO = r"^[+-]?0[0-9]+$"


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers: the decimal mark, and the thousands separators that may occur ("" for none)."""

    decimal: str = "."
    thousands: str = ""

    @functools.cached_property
    def pattern(self) -> str:
        """The regular expression of a cell."""
        mark = re.escape(self.decimal)
        body = rf"(?:[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+){_EXPONENT}"
        if self.thousands:
            groups = "|".join(rf"(?:{re.escape(between)}[0-9]{{3}})+" for between in self.thousands)
            if "," in self.thousands:
                groups += "|(?:,[0-9]{2})+,[0-9]{3}"  # as in India: 12,34,567
            body = rf"(?:[1-9][0-9]{{0,2}}(?:{groups})(?:{mark}[0-9]*)?|{body})"
        number = rf"[+\-\u2212]?\s?{_CURRENCY}?\s?[+\-\u2212]?{body}\s?(?:{_CURRENCY}|%)?"
        return rf"^(?:{number}|\({number}\)|'{number}')$"


PLAIN_FORMAT = NumberFormat()
FORMATS = (
    PLAIN_FORMAT,
    NumberFormat(","),
    NumberFormat(".", "," + _SPACES + _QUOTES + "_"),
    NumberFormat(",", "." + _SPACES + _QUOTES),
)


def parsed(cells: pl.Series, how: NumberFormat = PLAIN_FORMAT) -> pl.Series:
    """Return the numbers of text cells, float64; null where a cell is missing or does not follow the format."""
    if how == PLAIN_FORMAT:
        numbers = cells.cast(pl.Float64, strict=False)
        if numbers.null_count() == cells.null_count():
            return numbers.set(numbers.is_nan(), None)
    kept = cells.set(~cells.str.contains(how.pattern).fill_null(value=False), None)
    text = kept.str.replace_all(_DECORATION, "").str.replace("\u2212", "-")
    for mark in how.thousands.strip(_SPACES):
        text = text.str.replace_all(mark, "", literal=True)
    if how.decimal != ".":
        text = text.str.replace(how.decimal, ".", literal=True)
    percent = kept.str.contains("%", literal=True).fill_null(value=False)
    negative = kept.str.contains("(", literal=True).fill_null(value=False)
    numbers = text.cast(pl.Float64, strict=False)
    numbers = numbers.zip_with(~percent, numbers / 100)
    return numbers.zip_with(~negative, -numbers)


def plain_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of numbers, booleans, and text that is plain numbers and no codes such as 007, as float64.

    Missing values, and the NaN of columns of numbers, are null; text such as "nan" does not count as plain.
    """
    text, numbers = pl.col(pl.String), cs.numeric() | cs.boolean()
    cast = frame.select(cs.string().cast(pl.Float64, strict=False))
    if cast.width:
        lost = cast.null_count().transpose()[:, 0] != frame.select(text).null_count().transpose()[:, 0]
        strange = cast.select(pl.all().is_nan().any()).transpose()[:, 0]
        zeros = frame.select((text.str.starts_with("0") & (text.str.len_bytes() > 1)).any()).transpose()[:, 0]
        kept = (~lost & ~strange.fill_null(value=False)).to_list()
        names = [name for name, keep in zip(cast.columns, kept, strict=True) if keep]
        suspect = {name for name, some in zip(cast.columns, zeros.to_list(), strict=True) if some}
        names = [name for name in names if name not in suspect or not frame[name].str.contains(LEADING_ZERO).any()]
        cast = cast.select(names)
    return pl.concat([cast, frame.select(numbers.cast(pl.Float64).fill_nan(None))], how="horizontal")


def gaps(cells: pl.Series, markers: tuple[str, ...], further: Iterable[str] = ()) -> pl.Series:
    """Return the cells with null for markers of missing values, compared without regard to case.

    `markers` are in lower case; `further` ones, which the user names, are in any.
    """
    missing = [*markers, *map(str.lower, further)]
    return cells.set(cells.str.to_lowercase().is_in(missing).fill_null(value=True), None)


def formats_of(cells: pl.Series) -> list[NumberFormat]:
    """Return the formats that all cells follow which are not missing, the plainest first."""
    present = gaps(cells, MISSING_NUMBER).drop_nulls()
    return [how for how in FORMATS if not parsed(present, how).null_count()]


def is_number(cell: str | None) -> bool:
    """Return whether a cell is a number in any format."""
    return bool(cell) and any(re.match(how.pattern, cell or "") for how in FORMATS)


def parse_whole(cell: str) -> int | None:
    """Return the exact whole number in a cell (3, -1, 2.0), or None."""
    if not re.fullmatch(PLAIN, cell) or not float(cell).is_integer():  # infinities are none
        return None
    try:
        exact = Decimal(cell)
    except InvalidOperation:  # an exponent of 20 digits, which only 0 can have
        return 0
    return int(exact) if exact == exact.to_integral_value() else None


def is_infinite(cell: str) -> bool:
    """Return whether a cell spells infinity."""
    return _INFINITE.fullmatch(cell) is not None
