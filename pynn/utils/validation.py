"""Checks of arguments, whose errors name the given and the expected value; and texts shortened for such errors."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_REALS = int, float, np.integer, np.floating  # a tuple: `int | float` builds a new type at each call


def count(value: Any, name: str, *, minimum: int = 1) -> int:
    """Return `value` as an int, or raise ValueError unless it is an integer of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        expected = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
        raise ValueError(f"{name} is {value!r}; expected {expected}")
    return int(value)


def number(value: Any, name: str, *, above: float = -math.inf, minimum: float | None = None) -> float:
    """Return `value` as a float, or raise ValueError unless it is finite, above `above` and at least `minimum`."""
    if _is_finite(value) and value > above and (minimum is None or value >= minimum):
        return float(value)
    expected = "a number" if minimum is None else f"a number of at least {minimum:g}"
    if above == 0:
        expected = "a positive number"
    raise ValueError(f"{name} is {value!r}; expected {expected}")


def seeded(seed: Any) -> np.random.Generator:
    """Return the generator of a seed; a generator itself; for None, one that no run repeats."""
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    return np.random.default_rng(count(seed, "seed", minimum=0))


def real(value: Any, name: str) -> float:
    """Return `value` as a float, or raise ValueError unless it is a number, perhaps infinite or NaN."""
    if type(value) is float:  # the usual case, in a third of the time
        return value
    if is_real(value):
        with contextlib.suppress(OverflowError):  # an int larger than the largest float
            return float(value)
    raise ValueError(f"{name} is {value!r}; expected a number")


def fraction(value: Any, name: str, *, one: bool = True) -> float:
    """Return `value` as a float, or raise ValueError unless it is in [0, 1], or in [0, 1) where `one` is False."""
    if is_real(value) and (0 <= value < 1 or (one and value == 1)):
        return float(value)
    raise ValueError(f"{name} is {value!r}; expected a number in [0, 1{']' if one else ')'}")


def flag(value: Any, name: str) -> bool:
    """Return `value` as a bool, or raise ValueError unless it is True, False, 1 or 0: "no" would count as true."""
    if value is True or value is False:  # the usual case, in a quarter of the time
        return value
    if isinstance(value, int | np.bool_ | np.integer) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{name} is {shortened(repr(value))}; expected True or False")


def choice(value: Any, name: str, choices: tuple[str, ...]) -> Any:
    """Return `value`, or raise ValueError unless it is one of `choices`."""
    if value not in choices:
        *others, last = (f'"{known}"' for known in choices)
        raise ValueError(f"{name} is {value!r}; expected {', '.join(others)} or {last}")
    return value


def several(value: Any, name: str) -> tuple[Any, ...]:
    """Return the items of `value`, or raise TypeError for text, which would be taken apart, and what has no items."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        given = value.__name__ if isinstance(value, type) else shortened(repr(value))
        raise TypeError(f"{name} is {given}; expected a list{'' if value is None else f': [{given}]'}")
    return tuple(value)


def mapping(value: Any, name: str, example: str) -> dict[str, Any]:
    """Return `value` as a dict, or raise TypeError unless it is a mapping; `example` shows one."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is {shortened(repr(value))}; expected a dict such as {example}")
    return dict(value)


def instance(value: Any, name: str, kind: type) -> Any:
    """Return `value`, or raise TypeError unless it is an instance of `kind`."""
    if not isinstance(value, kind):
        hint = f": write {value.__name__}(...)" if isinstance(value, type) and issubclass(value, kind) else ""
        raise TypeError(f"{name} is {value!r}; expected a pynn.{kind.__name__}{hint}")
    return value


def data_parts(
    value: Any, name: str, expected: str = "a pair (x, y)", lengths: tuple[int, ...] = (2,)
) -> tuple[Any, ...]:
    """Return the parts of some data, or raise ValueError unless `value` is a tuple or list of one of these lengths."""
    if not isinstance(value, tuple | list) or len(value) not in lengths:
        given = f"is {shortened(' '.join(repr(value).split()), 60)}"
        if isinstance(value, tuple | list):
            given = f"has {len(value)} part{'s' * (len(value) != 1)}"
        raise ValueError(f"{name} {given}; expected {expected}")
    return tuple(value)


def is_real(value: Any) -> bool:
    """Return whether `value` is a number, perhaps infinite or NaN: not text, not a truth value."""
    return isinstance(value, _REALS) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return is_real(value) and math.isfinite(value)
    except OverflowError:  # an int larger than the largest float
        return False


def class_names(value: Any) -> list[Any] | None:
    """Return class names as a list of Python str, numbers or bools; None stays None.

    Arrays are accepted, such as those of `numpy.unique` and scikit-learn's ``LabelEncoder.classes_``.
    """
    expected = "a list of text or numbers, or None"
    if value is None:
        return None
    if isinstance(value, str | bytes | dict | set | frozenset) or not isinstance(value, Iterable):
        raise TypeError(f"class_names is {value!r}; expected {expected}")
    names = [name.item() if isinstance(name, np.generic) else name for name in value]
    for name in names:
        if not isinstance(name, bool | int | float | str) or name != name:
            hint = "; write name.decode()" if isinstance(name, bytes) else "; write str(name)"
            raise TypeError(f"class_names has {name!r}, which cannot be saved to a file; expected {expected}{hint}")
    return [str.__str__(name) if isinstance(name, str) else name for name in names]


def ready(value: ArrayLike, dtype: np.dtype) -> np.ndarray:
    """Return `value` as an aligned, C-contiguous array of the native `dtype`; `value` itself if it already is one."""
    if type(value) is np.ndarray and value.dtype == dtype:
        flags = value.flags
        if flags.c_contiguous and flags.aligned:
            return value
    return np.array(value, dtype=dtype, order="C")


def shortened(text: object, most: int = 300) -> str:
    """Return the beginning of a text for a message: names and values in a file may be of any length.

    Examples
    --------
    >>> shortened("x" * 9, most=5)
    'xxxxx...'
    """
    return str(text) if len(str(text)) <= most else f"{str(text)[:most]}..."
