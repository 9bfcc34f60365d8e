"""Search spaces: parameters with ranges and scales, optionally conditional on other parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from ..utils.validation import count, flag, number

if TYPE_CHECKING:
    from optuna.trial import Trial

Value = None | bool | int | float | str
Params = dict[str, Value]
When = Mapping[str, Value | Sequence[Value]]

#: A narrowed range spans the best trials plus this share of the old range on each side, and at least the second share.
MARGIN, NARROWEST = 0.1, 0.2
#: Largest integer of a range: floats represent all integers up to it.
LARGEST = 2**53


@dataclass(frozen=True)
class Parameter:
    """Base class of parameters.

    Examples
    --------
    >>> from pynn import search
    >>> isinstance(search.LogUniform(1e-5, 1.0), search.Parameter)
    True
    """

    def check(self, name: str) -> None:
        """Raise ValueError if the range or the options are invalid."""

    def suggest(self, name: str, trial: Trial) -> Value:
        """Return a value from the sampler."""
        raise NotImplementedError

    def at(self, share: float) -> Value:
        """Return the value at a position between 0 and 1."""
        raise NotImplementedError

    def points(self, maximum: int) -> list[Value]:
        """Return the midpoints of equal parts, at most `maximum` of them."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return kind and arguments, ready for JSON."""
        found = {"kind": type(self).__name__} | {k: v for k, v in vars(self).items() if v is not None}
        if "when" in found:
            found["when"] = {name: list(values) for name, values in _conditions(self).items()}
        return found


@dataclass(frozen=True)
class Range(Parameter):
    """A parameter with a number from `low` to `high`: a `Uniform`, a `LogUniform` or an `Integer`."""

    low: float
    high: float
    logarithmic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", _plain(self.low))
        object.__setattr__(self, "high", _plain(self.high))

    def check(self, name: str) -> None:
        number(self.low, f"the low end of {name!r}")
        number(self.high, f"the high end of {name!r}")
        if not self.low < self.high:
            wrong = "is empty" if self.low == self.high else "is reversed"
            raise ValueError(f"the range of {name!r} {wrong}: from {self.low:g} to {self.high:g}")
        if not math.isfinite(float(self.high) - float(self.low)):
            raise ValueError(f"the range of {name!r} is wider than any float: from {self.low:g} to {self.high:g}")
        if self.is_log and self.low <= 0:
            raise ValueError(f"the range of {name!r} is on a log scale and must be above 0; it begins at {self.low:g}")

    @property
    def is_log(self) -> bool:
        """Whether the scale is logarithmic."""
        return self.logarithmic

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends on the parameter's scale."""
        return self.scaled(self.low), self.scaled(self.high)

    def share(self, value: float) -> float:
        """Return the position of a value on the parameter's scale: 0 at the low end, 1 at the high end."""
        low, high = self.ends
        return (self.scaled(value) - low) / (high - low) if high > low else 0.5

    def at(self, share: float) -> float:
        low, high = self.ends
        # Rounding must not leave the range.
        return min(max(self.unscaled(low + share * (high - low)), self.low), self.high)

    def points(self, maximum: int) -> list[Value]:
        return [self.at((index + 0.5) / maximum) for index in range(maximum)]

    def between(self, low: float, high: float) -> Range:
        """Return the part of the range between two positions from 0 to 1."""
        return replace(self, low=self.at(low), high=self.at(high))

    def scaled(self, value: float) -> float:
        """Return the value, or its logarithm."""
        return math.log10(value) if self.is_log else float(value)

    def unscaled(self, value: float) -> float:
        """Undo `scaled`."""
        return 10.0**value if self.is_log else value


@dataclass(frozen=True)
class Uniform(Range):
    """A number from a range, on a linear scale.

    Parameters
    ----------
    low, high : float
        Ends of the range, both included.
    when : mapping of str to a value or a tuple of values, optional
        Condition: the parameter is active only if earlier parameters have one of these values.

    Examples
    --------
    >>> Uniform(0.0, 0.5).at(0.5)
    0.25
    """

    when: When | None = field(default=None, kw_only=True)

    def suggest(self, name: str, trial: Trial) -> Value:
        return trial.suggest_float(name, self.low, self.high)


@dataclass(frozen=True)
class LogUniform(Range):
    """A number from a range, on a logarithmic scale: for learning rates and regularisation strengths.

    Parameters
    ----------
    low, high : float
        Ends of the range, both included and above 0.
    when : mapping of str to a value or a tuple of values, optional
        As of `Uniform`.

    Examples
    --------
    >>> round(LogUniform(1e-5, 1e-1).at(0.5), 6)
    0.001
    """

    when: When | None = field(default=None, kw_only=True)
    logarithmic: ClassVar[bool] = True

    def suggest(self, name: str, trial: Trial) -> Value:
        return trial.suggest_float(name, self.low, self.high, log=True)


@dataclass(frozen=True)
class Integer(Range):
    """An integer from a range.

    Parameters
    ----------
    low, high : int
        Ends of the range, both included.
    log : bool
        Whether the scale is logarithmic: for widths and batch sizes.
    when : mapping of str to a value or a tuple of values, optional
        As of `Uniform`.

    Examples
    --------
    >>> Integer(1, 9).points(3)
    [2, 5, 8]
    """

    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    when: When | None = field(default=None, kw_only=True)

    def check(self, name: str) -> None:
        for end, value in (("low", self.low), ("high", self.high)):
            if abs(count(value, f"the {end} end of {name!r}", minimum=-LARGEST)) > LARGEST:
                raise ValueError(
                    f"the {end} end of {name!r} is beyond 2**53, the largest integer up to which floats are exact"
                )
        flag(self.log, f"log of {name!r}")
        super().check(name)

    @property
    def is_log(self) -> bool:
        return self.log

    def suggest(self, name: str, trial: Trial) -> Value:
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    @property
    def ends(self) -> tuple[float, float]:
        # Each value gets an equal part of the range, including the first and the last.
        return self.scaled(self.low - 0.5), self.scaled(self.high + 0.5)

    def at(self, share: float) -> int:
        return round(super().at(share))

    def between(self, low: float, high: float) -> Integer:
        """Return the part of the range between two positions, with at least two values."""
        part = cast("Integer", super().between(low, high))
        if part.low < part.high:
            return part
        return replace(part, high=part.high + 1) if part.high < self.high else replace(part, low=part.low - 1)

    def points(self, maximum: int) -> list[Value]:
        return list(dict.fromkeys(super().points(min(maximum, self.high - self.low + 1))))


@dataclass(frozen=True)
class Choice(Parameter):
    """One of several values.

    Parameters
    ----------
    *options : str, int, float, bool or None
        At least one. For anything else, such as a layer, choose a name and look it up.
    when : mapping of str to a value or a tuple of values, optional
        As of `Uniform`.

    Examples
    --------
    >>> Choice("relu", "tanh").points(2)
    ['relu', 'tanh']
    """

    options: tuple[Value, ...]
    when: When | None = None

    def __init__(self, *options: Value, when: When | None = None) -> None:
        object.__setattr__(self, "options", tuple(map(_plain, options)))
        object.__setattr__(self, "when", when)

    def check(self, name: str) -> None:
        if not self.options:
            raise ValueError(f"{name!r} has no options; expected at least one, such as Choice('relu', 'tanh')")
        for option in self.options:
            if option is not None and not isinstance(option, bool | int | float | str):
                raise TypeError(
                    f"{name!r} has the option {option!r}; expected text, numbers, True, False or None "
                    "(for other objects, use names and look them up in build)"
                )
            if isinstance(option, float) and not math.isfinite(option):
                raise ValueError(f"{name!r} has the option {option}; expected a finite number")
            if isinstance(option, int) and abs(option) > LARGEST:
                raise ValueError(f"{name!r} has an option beyond 2**53; expected smaller numbers or text")
        if len(set(self.options)) < len(self.options):  # True is 1, and 1 is 1.0
            raise ValueError(f"{name!r} has equal options: {', '.join(map(repr, self.options))}")

    def suggest(self, name: str, trial: Trial) -> Value:
        return trial.suggest_categorical(name, self.options)

    def at(self, share: float) -> Value:
        return self.options[min(int(share * len(self.options)), len(self.options) - 1)]

    def points(self, maximum: int) -> list[Value]:
        return list(self.options)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"options": list(self.options)}


class Space:
    """Validated parameters by name.

    Examples
    --------
    >>> space = Space({"optimizer": Choice("sgd", "adam"), "momentum": Uniform(0.5, 0.99, when={"optimizer": "sgd"})})
    >>> space.active({"optimizer": "adam"})
    ['optimizer']
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        if not isinstance(parameters, Mapping):
            raise TypeError(f"space is {parameters!r}; expected a dict of names and parameters")
        if not parameters:
            raise ValueError("space is empty; expected at least one parameter, such as {'lr': LogUniform(1e-5, 1e-1)}")
        known: dict[str, Parameter] = {}
        for name, parameter in parameters.items():
            if not isinstance(name, str):
                raise TypeError(f"space has the name {name!r}; expected text")
            if not isinstance(parameter, Parameter):
                raise TypeError(
                    f"{name!r} is {parameter!r}; expected Uniform(low, high), LogUniform(low, high), "
                    "Integer(low, high) or Choice(...)"
                )
            parameter.check(name)
            _check_conditions(name, parameter, known)
            known[name] = parameter
        self.parameters = known

    def __iter__(self) -> Iterator[tuple[str, Parameter]]:
        return iter(self.parameters.items())

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[name]

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def ranges(self) -> dict[str, Range]:
        """The parameters that are numbers from a range."""
        return {name: parameter for name, parameter in self if isinstance(parameter, Range)}

    def exists(self, name: str, params: Params) -> bool:
        """Return whether a parameter is active, given the values of earlier ones."""
        conditions = _conditions(self.parameters[name])
        return all(other in params and params[other] in values for other, values in conditions.items())

    def active(self, params: Params) -> list[str]:
        """Return the names of the parameters that are active, given these values."""
        return [name for name, _ in self if self.exists(name, params)]

    def narrowed(self, best: Iterable[Params]) -> Space:
        """Return the space with each range narrowed around the best trials; choices stay."""
        best = list(best)
        parameters = dict(self.parameters)
        for name, parameter in self.ranges.items():
            shares = [parameter.share(cast("float", params[name])) for params in best if name in params]
            if not shares:
                continue
            low, high = min(shares) - MARGIN, max(shares) + MARGIN
            missing = max(NARROWEST - (high - low), 0.0)
            low, high = max(low - missing / 2, 0.0), min(high + missing / 2, 1.0)
            parameters[name] = parameter.between(low, high)
        return Space(parameters)

    def describe(self) -> dict[str, Any]:
        """Return the space, ready for JSON."""
        return {name: parameter.describe() for name, parameter in self}


def check_batch_size(space: Space) -> None:
    """Raise ValueError if the space has an invalid "batch_size"."""
    found = space.parameters.get("batch_size")
    values = found.options if isinstance(found, Choice) else (found.low,) if isinstance(found, Integer) else (None,)
    if found is not None and not all(type(value) is int and value >= 1 for value in values):
        raise ValueError(
            f"the parameter 'batch_size' is {found!r}; it sets the batch size: expected an Integer with low >= 1, "
            "or a Choice of positive integers"
        )


def _plain(value: Any) -> Any:
    """Convert NumPy scalars to Python's types, which a store can hold."""
    return value.item() if isinstance(value, np.generic) else value


def _conditions(parameter: Parameter) -> dict[str, tuple[Value, ...]]:
    when = getattr(parameter, "when", None) or {}
    return {
        name: tuple(map(_plain, values if isinstance(values, list | tuple | set | frozenset) else (values,)))
        for name, values in when.items()
    }


def _check_conditions(name: str, parameter: Parameter, before: Mapping[str, Parameter]) -> None:
    when = getattr(parameter, "when", None)
    if when is not None and not isinstance(when, Mapping):
        raise TypeError(f"when of {name!r} is {when!r}; expected a dict such as {{'optimizer': 'sgd'}}")
    for other, values in _conditions(parameter).items():
        if other not in before:
            known = ", ".join(map(repr, before)) or "none"
            raise ValueError(f"{name!r} depends on {other!r}, which is not an earlier parameter: {known}")
        parent = before[other]
        if not isinstance(parent, Choice):
            raise ValueError(f"{name!r} depends on {other!r}, which is not a Choice")
        unknown = [value for value in values if value not in parent.options]
        if unknown or not values:
            options = ", ".join(map(repr, parent.options))
            given = ", ".join(map(repr, unknown)) or "nothing"
            raise ValueError(f"{name!r} depends on {other!r} being {given}; its options are {options}")
