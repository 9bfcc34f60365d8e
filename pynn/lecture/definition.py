"""Definition of an experiment: the claim, its source, its measurement, and the criterion of reproduction."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["reproduced", "partly", "not"]

#: A figure is in its band if this share of the seeds is, and partly if half of them are.
MOST, HALF = 0.8, 0.5


@dataclass(frozen=True)
class Band:
    """Range of a figure for which the claim counts as reproduced; fixed before the measurement.

    Parameters
    ----------
    figure : str
        Name of the figure in the experiment's result.
    at_least, at_most : float
        The band, both ends included.
    why : str
        The reason for these limits.
    partly : (float, float), optional
        A wider band, in which the claim counts as partly reproduced.

    Examples
    --------
    >>> band = Band("speed-up", 3.0, why="half of the 6 that the paper reports", partly=(1.2, math.inf))
    >>> band.outcome([4.0, 3.5, 5.0, 2.9, 3.1]), band.outcome([1.5] * 5), band.outcome([1.0] * 5)
    ('reproduced', 'partly', 'not')
    """

    figure: str
    at_least: float = -math.inf
    at_most: float = math.inf
    why: str = field(kw_only=True)
    partly: tuple[float, float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not self.at_least <= self.at_most:
            raise ValueError(f"the band of {self.figure!r} goes from {self.at_least} to {self.at_most}")
        if not self.why:
            raise ValueError(f"the band of {self.figure!r} needs a reason")

    def holds(self, value: float) -> bool:
        """Return whether a value lies in the band; NaN does not."""
        return self.at_least <= value <= self.at_most

    def outcome(self, values: Sequence[float]) -> Outcome:
        """Return the outcome for the values of several seeds."""
        inside = sum(map(self.holds, values)) / len(values)
        if inside >= MOST:
            return "reproduced"
        low, high = self.partly or (self.at_least, self.at_most)
        near = sum(low <= value <= high for value in values) / len(values)
        return "partly" if inside >= HALF or (self.partly is not None and near >= MOST) else "not"

    def __str__(self) -> str:
        low, high = f"{self.at_least:.3g}", f"{self.at_most:.3g}"
        if self.at_least == self.at_most:
            return f"exactly {low}"
        if math.isinf(self.at_least):
            return f"at most {high}"
        return f"at least {low}" if math.isinf(self.at_most) else f"{low} to {high}"


@dataclass(frozen=True)
class Lines:
    """How to draw the sequences of an experiment: as lines over `x`, averaged over the seeds.

    Parameters
    ----------
    x, y : str
        Names of the axes.
    log : bool
        Whether y is logarithmic.
    first, every : int
        The x of the first number, and the spacing of the others.
    at : sequence, optional
        Labels of the numbers, if x is not a count.

    Examples
    --------
    >>> from pynn.lecture import Lines
    >>> Lines("layer", "rms of the outputs", log=True).first
    1
    """

    x: str
    y: str
    log: bool = False
    first: int = 1
    every: int = 1
    at: Sequence[Any] = ()

    def places(self, count: int) -> list[int]:
        """Return the x of `count` numbers.

        Examples
        --------
        >>> Lines("step", "loss", first=0, every=10).places(3)
        [0, 10, 20]
        """
        return [self.first + index * self.every for index in range(count)]

    @property
    def ticks(self) -> list[str]:
        """Labels of the numbers; empty if x is a count."""
        return [f"{at:.3g}" if isinstance(at, float) else str(at) for at in self.at]


@dataclass(frozen=True)
class Experiment:
    """A claim and the function that measures it.

    Attributes
    ----------
    name : str
        Name on the command line.
    section : str
        Its folder, which is a part of the lecture.
    claim, source, setup : str
    bands : sequence of Band
        The first is the claim itself; the others are further parts of it, and controls.
    run : callable
        ``run(seed, ...)`` returns figures by name: numbers, and sequences of numbers to draw. The other arguments are
        settings with defaults.
    lines : Lines, optional
    quick : mapping
        Settings for a smoke test of about a second.
    needs : str
        "mnist", "cifar10" or "optuna" if required.
    analogue : str
        Why it is a scaled-down analogue of the claim, if it is one.
    remark : str
        Interpretation of the outcome, written afterwards.

    Examples
    --------
    >>> from pynn.lecture import experiments
    >>> item = experiments()["he-relu"]
    >>> item.section, item.bands[0].figure
    ('initialisation', 'mean square, factor per layer')
    """

    name: str
    section: str
    claim: str
    source: str
    setup: str
    bands: Sequence[Band]
    run: Callable[..., Mapping[str, Any]]
    lines: Lines | None = None
    quick: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""
    analogue: str = ""
    remark: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `run` and their defaults."""
        parameters = list(inspect.signature(self.run).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    def outcome(self, figures: Mapping[str, Sequence[float]]) -> Outcome:
        """Return the outcome for several seeds: the first band decides, the others can reduce it to "partly"."""
        first, *others = (band.outcome(figures[band.figure]) for band in self.bands)
        return "partly" if first == "reproduced" and any(other != "reproduced" for other in others) else first

    @property
    def code(self) -> str:
        """Source code of the experiment."""
        return inspect.getsource(inspect.getmodule(self.run))  # type: ignore[arg-type]


def experiment(
    *,
    claim: str,
    source: str,
    setup: str,
    bands: Sequence[Band],
    lines: Lines | None = None,
    quick: Mapping[str, Any] | None = None,
    needs: str = "",
    analogue: str = "",
    remark: str = "",
) -> Callable[[Callable[..., Mapping[str, Any]]], Experiment]:
    """Decorate a function ``run(seed, setting=default, ...)`` as an `Experiment` of the same name.

    Examples
    --------
    >>> import numpy as np
    >>> @experiment(
    ...     claim="A fair coin shows heads half of the time.",
    ...     source="common knowledge",
    ...     setup="1000 throws",
    ...     bands=[Band("share of heads", 0.45, 0.55, why="three standard deviations")],
    ... )
    ... def fair_coin(seed, throws=1000):
    ...     return {"share of heads": np.random.default_rng(seed).integers(0, 2, throws).mean()}
    >>> fair_coin.name, fair_coin.settings
    ('fair-coin', {'throws': 1000})
    >>> fair_coin.outcome({"share of heads": [fair_coin.run(seed)["share of heads"] for seed in range(5)]})
    'reproduced'
    """

    def wrap(run: Callable[..., Mapping[str, Any]]) -> Experiment:
        made = Experiment(
            name=run.__name__.replace("_", "-"),
            section=(".." + run.__module__).split(".")[-2],
            claim=claim,
            source=source,
            setup=setup,
            bands=tuple(bands),
            run=run,
            lines=lines,
            quick=dict(quick or {}),
            needs=needs,
            analogue=analogue,
            remark=remark,
        )
        unknown = sorted(made.quick.keys() - made.settings.keys())
        if unknown or not bands:
            raise ValueError(f"{made.name}: " + (f"no settings {', '.join(unknown)}" if unknown else "no band"))
        return made

    return wrap
