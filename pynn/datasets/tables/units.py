"""Units of the numbers in a column: a currency, a percent sign, or a word such as kg; and scales, as in 1.2M."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from .missing import MISSING_NUMBER
from .numbers import (
    CURRENCIES,
    CURRENCY,
    EXPONENT,
    FORMATS,
    QUOTES,
    SCALES,
    SPACES,
    NumberFormat,
    all_follow,
    gaps,
    spelt,
)

_TOKEN = r"(?:m[23]|[^\W\d_]|[°%\u2032\u2033])(?:m[23]|[^\W\d_]|[°/.·²³^*%-]){0,14}"
#: A number in any format, and what stands before and behind it. A unit is one word: "12 Main Street" is no amount.
_AMOUNT = (
    rf"^[(']?[+\-\u2212]?\s?(?P<before>{CURRENCY})?\s?[+\-\u2212]?[.,]?[0-9](?:[0-9.,_{QUOTES}]|[{SPACES}][0-9]{{3}})*?{EXPONENT}"
    rf"(?P<unit>\s?(?:{_TOKEN})?)\s?(?P<behind>{CURRENCY})?[)']?$"
)
_COMPILED = re.compile(_AMOUNT)
_ORDINAL = re.compile("st|[nr]d|th")
#: Letters that scale a number which they touch, though it be the only scale of a column: 300K. Others may be units.
_PLAIN_SCALES = frozenset("kKMB")


#: The share of the numbers of a column that have its unit.
PRACTICALLY_ALL = 0.95


class Units(NamedTuple):
    """The units of a column.

    Attributes
    ----------
    unit : str
        A currency that numbers have; or a word or "%" that practically all of them have, if most cells are numbers; or
        "".
    scaled : bool
        Whether letters such as M scale the numbers.
    counts : dict of str to int
        Number of cells with each unit; those that are spelt differently count as one.
    amounts : int
        Number of cells that are a number with or without a unit.
    """

    unit: str
    scaled: bool
    counts: dict[str, int]
    amounts: int


def units_of(cells: pl.Series) -> Units:
    """Return the units of text cells."""
    found = cells.str.extract_groups(_AMOUNT).struct.unnest().with_columns(pl.all().fill_null(""))
    written = cells.str.contains(_AMOUNT).fill_null(value=False)
    found = found.filter(written)
    mostly = 2 * len(found) > cells.count() and cells.filter(written).n_unique() > 1  # not 4WD beside front and rear
    rows = found.group_by(found.columns).len().sort("len", *found.columns, descending=True).rows()
    marks = [(*_mark(before, word, behind), count) for before, word, behind, count in rows]
    words = [word for word, _, _ in marks if word]
    currencies = {currency for _, currency, _ in marks} - {""}
    lone = len({word.lower() for word in words}) == 1 and not currencies
    touching = all(word.lstrip() == word and word in _PLAIN_SCALES for word in words)
    scaled = mostly and all(word.strip().lower() in SCALES for word in words) and (touching or not lone)
    scaled = scaled and bool(words)
    counts: dict[str, int] = {}
    for word, currency, count in marks:
        mark = currency if scaled or not word else word.strip()
        mark = next((known for known in counts if word and re.fullmatch(spelt(known), mark)), mark)
        counts[mark] = counts.get(mark, 0) + count
    unit = max(counts, key=counts.__getitem__, default="")
    if currencies and unit not in counts.keys() - currencies - {""}:
        unit = max(currencies, key=lambda currency: counts.get(currency, 0))
    elif not mostly or _ORDINAL.fullmatch(unit) or counts[unit] < PRACTICALLY_ALL * len(found):
        unit = ""
    return Units(unit, scaled, counts, len(found))


def _mark(before: str, word: str, behind: str) -> tuple[str, str]:
    """Return the word behind a number, with the blank before it, and the symbol of its currency."""
    names = {name: symbol for symbol, others in CURRENCIES.items() for name in (symbol, *others)}
    if word.strip() in names:
        return "", names[word.strip()]
    return (word if word.strip() else ""), names.get(before or behind, "")


def is_in(cell: str, unit: str) -> bool:
    """Return whether a cell is a number in a unit, "" for none."""
    found = _COMPILED.match(cell)
    if found is None:
        return False
    word, currency = _mark(found["before"] or "", found["unit"] or "", found["behind"] or "")
    mark = word.strip() or currency
    return mark == unit or bool(unit and word and re.fullmatch(spelt(unit), mark))


def in_unit(formats: Sequence[NumberFormat], units: Units) -> list[NumberFormat]:
    """Return the formats with the unit of a column."""
    return [replace(how, unit=units.unit, scaled=units.scaled) for how in formats]


def formats_of(cells: pl.Series) -> list[NumberFormat]:
    """Return the formats that all cells follow which are not missing, the plainest first."""
    present = gaps(cells, MISSING_NUMBER).drop_nulls()
    return [how for how in in_unit(FORMATS, units_of(present)) if all_follow(present, how)]


def is_amount(cell: str) -> bool:
    """Return whether a cell is a number with or without a unit."""
    return _COMPILED.match(cell) is not None
