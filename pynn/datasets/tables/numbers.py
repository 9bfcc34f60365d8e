r"""Numbers as people write them: decimal marks, thousands separators, currencies, percent signs.

All cells of a column follow one format. Formats are tried from the plainest on:

=============================  =====================================
plain, decimal point           1234.5, -1e3, .5
decimal comma                  1234,5
thousands and decimal point    1,234.5 or 1 234.5 or 1'234.5
thousands and decimal comma    1.234,5 or 1 234,5
=============================  =====================================

Each may have a unit: a currency, a percent sign (12% is 0.12) or a word such as kg; and a scale, as in 1.2M. It may
stand within apostrophes, or within brackets for negative numbers, (5).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import polars as pl
import polars.selectors as cs

#: Currencies, with what else each is called.
CURRENCIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("CHF", *"₽₩₺₫₪฿₴₦"), ()),
    "$": ("USD", "US$"),
    "€": ("EUR",),
    "£": ("GBP",),
    "¥": ("JPY",),
    "₹": ("INR", "Rs.", "Rs"),
    "R$": ("BRL",),
}


def _any_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})"


#: Any of the currencies.
CURRENCY = _any_of(name for symbol, others in CURRENCIES.items() for name in (symbol, *others))
#: What letters behind a number multiply it by; in any case.
SCALES = {
    **dict.fromkeys(("k", "thousand"), 1e3),
    **dict.fromkeys(("lakh", "lac"), 1e5),
    **dict.fromkeys(("m", "mn", "mio", "million"), 1e6),
    **dict.fromkeys(("cr", "crore"), 1e7),
    **dict.fromkeys(("b", "bn", "billion", "mrd"), 1e9),
    **dict.fromkeys(("t", "trillion"), 1e12),
}
_SCALE = f"(?i:{_any_of(SCALES)})"
#: What may stand between the digits of thousands.
SPACES = " \u00a0\u2009\u202f"
QUOTES = "'\u2019"
EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
#: What is taken away before a number is parsed: \u2212 is the typographic minus sign, and becomes "-".
_DECORATION = rf"{CURRENCY}|[()%\s']"
#: A number that Python and polars parse as it stands.
PLAIN = rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){EXPONENT}"
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
#: A code such as 007, which is not the number 7.
LEADING_ZERO = r"^[+-]?0[0-9]+$"


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Attributes
    ----------
    decimal : str
        The decimal mark.
    thousands : str
        The thousands separators that may occur, "" for none.
    unit : str or None
        A currency or a word, which a number may lack; "%", which it may not; "" for none; None for any currency or a
        percent sign.
    scaled : bool
        Whether a scale such as M may follow.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str | None = None
    scaled: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the digits are those of a plain number."""
        return self.decimal == "." and not self.thousands

    @functools.cached_property
    def word(self) -> str:
        """The regular expression of a unit that is a word, also as its plural, else ""."""
        if not self.unit or self.unit == "%" or self.unit in CURRENCIES:
            return ""
        return spelt(self.unit)

    @functools.cached_property
    def pattern(self) -> str:
        """The regular expression of a cell."""
        mark = re.escape(self.decimal)
        body = rf"(?:[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+){EXPONENT}"
        if self.thousands:
            groups = "|".join(rf"(?:{re.escape(between)}[0-9]{{3}})+" for between in self.thousands)
            if "," in self.thousands:
                groups += "|(?:,[0-9]{2})+,[0-9]{3}"  # as in India: 12,34,567
            body = rf"(?:[1-9][0-9]{{0,2}}(?:{groups})(?:{mark}[0-9]*)?|{body})"
        before, after = self._marks
        scale = rf"\s?{_SCALE}?" if self.scaled else ""
        sign = r"[+\-\u2212]"
        number = rf"(?:{sign}?\s?{before}|{before}\s?{sign})\s?{body}{scale}\s?{after}"
        return rf"^(?:{number}|\({number}\)|'{number}')$"

    @property
    def _marks(self) -> tuple[str, str]:
        """The regular expressions of what may stand before and behind a number."""
        if self.unit is None:
            return f"{CURRENCY}?", f"(?:{CURRENCY}|%)?"
        if self.unit in CURRENCIES:
            currency = _any_of((self.unit, *CURRENCIES[self.unit]))
            return f"{currency}?", f"{currency}?"
        return "", "%" if self.unit == "%" else f"(?:{self.word})?"


def spelt(unit: str) -> str:
    """Return the regular expression of a word, with an s or not, in any case; but mW is not MW."""
    exact = unit[:1] if len(unit) <= 3 and unit[:1] in "mM" else ""
    stem = unit[:-1] if len(unit) > 2 and unit[-1] in "sS" else unit
    return f"{exact}(?i:{re.escape(stem[len(exact) :])}{'s?' if len(stem) > 1 else ''})"


PLAIN_FORMAT = NumberFormat()
FORMATS = (
    PLAIN_FORMAT,
    NumberFormat(","),
    NumberFormat(".", "," + SPACES + QUOTES + "_"),
    NumberFormat(",", "." + SPACES + QUOTES),
)


def parsed(cells: pl.Series, how: NumberFormat = PLAIN_FORMAT) -> pl.Series:
    """Return the numbers of text cells, float64; null where a cell is missing or does not follow the format."""
    numbers = _read_as_plain(cells, how)
    if numbers is not None:
        return numbers
    kept = cells.set(~cells.str.contains(how.pattern).fill_null(value=False), None)
    text = kept.str.replace(rf"{how.word}([)']?)$", "$1") if how.word else kept
    text = text.str.replace_all(_DECORATION, "").str.replace("\u2212", "-")
    scales = text.str.extract(f"({_SCALE})$") if how.scaled else None
    if scales is not None:
        text = text.str.replace(f"{_SCALE}$", "")
    for mark in how.thousands.strip(SPACES):
        text = text.str.replace_all(mark, "", literal=True)
    if how.decimal != ".":
        text = text.str.replace(how.decimal, ".", literal=True)
    numbers = text.cast(pl.Float64, strict=False)
    if scales is not None:
        numbers *= scales.str.to_lowercase().replace_strict(SCALES, default=1.0, return_dtype=pl.Float64)
    if how.unit in (None, "%"):
        percent = kept.str.contains("%", literal=True).fill_null(value=False)
        numbers = numbers.zip_with(~percent, numbers / 100)
    negative = kept.str.contains("(", literal=True).fill_null(value=False)
    return numbers.zip_with(~negative, -numbers)


def _read_as_plain(cells: pl.Series, how: NumberFormat) -> pl.Series | None:
    """Return the numbers of cells that are plain ones or missing, null for NaN; None for others, and other formats."""
    if not how.is_plain or how.unit == "%":
        return None
    numbers = cells.cast(pl.Float64, strict=False)
    return numbers.set(numbers.is_nan(), None) if numbers.null_count() == cells.null_count() else None


def all_follow(cells: pl.Series, how: NumberFormat) -> bool:
    """Return whether cells of which none is missing are numbers in a format: `parsed` without the numbers."""
    numbers = _read_as_plain(cells, how)
    if numbers is not None:
        return not numbers.null_count()
    return bool(cells.str.contains(how.pattern).all())


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
