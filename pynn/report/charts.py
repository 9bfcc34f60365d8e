"""HTML line charts: the SVG stretches to the width of the page, the text of the axes does not."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Literal

import numpy as np

from .text import last_finite, percent, written

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .text import Floats

    Scale = Literal["linear", "log", "share"]

#: Maximum points of a drawn curve, and of the values shown on hover.
MAX_POINTS, MAX_READINGS = 400, 200


@dataclass
class Series:
    """A curve.

    Attributes
    ----------
    name : str
    steps, values : arrays of equal length
    colour : str
        A CSS class: "s0" to "s6", or "muted".
    dots : bool
        Whether to draw the points.
    spread : array, optional
        Half-width of a band around the values.
    labelled : bool
        Whether it appears in the legend, the description and the hover values.
    """

    name: str
    steps: NDArray
    values: Floats
    colour: str
    dots: bool = False
    spread: Floats | None = None
    labelled: bool = True


@dataclass
class Mark:
    """A vertical line at a step, with a short label that links to a finding."""

    step: int
    label: str
    severity: str


@dataclass
class Chart:
    """A line chart over steps or another quantity.

    Attributes
    ----------
    guide : (low, middle, high), optional
        A shaded band with a line in the middle.
    x : str
        Name of the horizontal axis.
    ticks : sequence of str
        Labels of the horizontal values, if they are not counts.
    values : (low, high), optional
        Range of the vertical axis; by default that of the series.
    limit : float, optional
        A threshold, drawn as a dashed line.
    seen : (first, last, severity), optional
        Steps to shade: those at which a finding was seen.
    """

    title: str
    series: Sequence[Series]
    scale: Scale = "linear"
    note: str = ""
    marks: Sequence[Mark] = ()
    guide: tuple[float, float, float] | None = None
    heading: str = "h3"
    legend: bool = True
    steps: tuple[int, int] | None = None
    x: str = "step"
    ticks: Sequence[str] = ()
    values: tuple[float, float] | None = None
    limit: float | None = None
    seen: tuple[int, int, str] | None = None
    low: float = field(init=False)
    high: float = field(init=False)

    def __post_init__(self) -> None:
        self.low, self.high = self._value_range()

    def html(self) -> str:
        """Return the chart as a figure element."""
        first, last = self.step_range()
        labels = "".join(f'<span style="top:{height / 10:g}%">{text}</span>' for height, text in self.ticked())
        note = f'<p class="note">{escape(self.note)}</p>' if self.note else ""
        return (
            f'<figure class="chart"><figcaption><{self.heading}>{escape(self.title)}</{self.heading}>{note}'
            f'{self._legend()}</figcaption><div class="plot" role="img" aria-label="{escape(self.description())}">'
            f'<div class="values" aria-hidden="true">{labels}</div>'
            f'<div class="area"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
            f"{self.paths()}</svg></div>"
            f"{step_axis(first, last, self.x, self.ticks)}</div>{self._mark_labels(first, last)}"
            f'<script type="application/json">{self._readings()}</script></figure>'
        )

    def paths(self) -> str:
        """Return grid, curves and marks as SVG paths in a square of 1000 x 1000."""
        first, last = self.step_range()
        lines = "".join(f'<path class="grid" d="M0 {height}H1000"/>' for height, _ in self.ticked())
        drawn = "".join(self._draw(series, first, last) for series in self.series)
        return f"{self._shade(first, last)}{lines}{self._guide()}{drawn}{self._mark_lines(first, last)}{self._limit()}"

    def ticked(self) -> list[tuple[int, str]]:
        """Return the height of each round value, from 0 at the top to 1000, and its text."""
        return [(self._y(value), text) for value, text in self._ticks()]

    def description(self) -> str:
        """Return a description of the chart for screen readers."""
        labelled = [series for series in self.series if series.labelled]
        ends = "; ".join(f"{series.name} ends at {self._written(last_finite(series.values))}" for series in labelled)
        over = "steps" if self.x == "step" else self.x
        return f"{self.title} over {over}{', logarithmic' if self.scale == 'log' else ''}: {ends}"

    def _written(self, value: float) -> str:
        return percent(value) if self.scale == "share" else written(value, 3)

    def _value_range(self) -> tuple[float, float]:
        parts = [np.asarray(series.values, np.float64) for series in self.series]
        parts += [
            np.concatenate([series.values - series.spread, series.values + series.spread])
            for series in self.series
            if series.spread is not None
        ]
        if self.values is not None:
            parts = [np.array(self.values)]
        if self.limit is not None:
            parts.append(np.array([self.limit]))
        values = np.concatenate(parts) if parts else np.zeros(0)
        values = values[np.isfinite(values)]
        if self.scale == "log":
            values = np.log10(values[values > 0])
            if self.guide is not None:
                values = np.concatenate([values, np.log10(self.guide)])
        if self.scale == "share":
            values = np.concatenate([values, [0.0]])
        if not len(values):
            return 0.0, 1.0
        low, high = float(values.min()), float(values.max())
        # Values near the largest float must not overflow in the sum.
        margin = 0.04 * (high - low) if math.isfinite(high - low) else 0.0
        if not high > low:
            margin = 0.5 * abs(low) or 0.5
        if self.scale == "share":
            return 0.0, min(max(high + margin, 0.02), 1.0)
        return low - margin, high + margin

    def step_range(self) -> tuple[int, int]:
        if self.steps is not None:
            return self.steps
        steps = np.concatenate([np.asarray(series.steps, np.float64) for series in self.series] or [np.zeros(1)])
        return (int(steps.min()), int(steps.max())) if len(steps) else (0, 1)

    def _heights(self, values: Floats) -> Floats:
        """Return vertical positions, from 0 at the top to 1000; NaN for values that cannot be drawn."""
        values = np.where(np.isfinite(values), values, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.scale == "log":
                values = np.where(values > 0, np.log10(np.where(values > 0, values, 1.0)), np.nan)
            # Halved: the span of the largest floats must be finite.
            share = (values / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return 1000 - 1000 * np.clip(share, -0.2, 1.2)

    def _y(self, value: float) -> int:
        return round(float(self._heights(np.array([value]))[0]))

    def _ticks(self) -> list[tuple[float, str]]:
        if self.scale == "log":
            return log_ticks(self.low, self.high)
        text = percent if self.scale == "share" else written
        return [(value, _plain(text(value))) for value in linear_ticks(self.low, self.high)]

    def _draw(self, series: Series, first: int, last: int) -> str:
        places = _places(series.steps, first, last)
        parts = []
        if series.spread is not None:
            kept = extremes(series.values + series.spread, MAX_POINTS)
            upper, lower = (self._heights((series.values + sign * series.spread)[kept]) for sign in (1, -1))
            parts.append(f'<path class="band {series.colour}" d="{_outline(places[kept], upper, lower)}"/>')
        kept = extremes(series.values, MAX_POINTS)
        heights = self._heights(series.values[kept])
        parts.append(f'<path class="line {series.colour}" d="{_curve(places[kept], heights)}"/>')
        if series.dots:
            parts.append(f'<path class="dots {series.colour}" d="{_dots(places[kept], heights)}"/>')
        return "".join(parts)

    def _guide(self) -> str:
        if self.guide is None:
            return ""
        low, middle, high = (self._y(value) for value in self.guide)
        return f'<path class="healthy" d="M0 {high}H1000V{low}H0Z"/><path class="target" d="M0 {middle}H1000"/>'

    def _limit(self) -> str:
        return "" if self.limit is None else f'<path class="limit" d="M0 {self._y(self.limit)}H1000"/>'

    def _shade(self, first: int, last: int) -> str:
        if self.seen is None:
            return ""
        start, end = _places(self.seen[:2], first, last)
        return f'<path class="seen {self.seen[2]}" d="M{start:.0f} 0H{max(end, start + 4):.0f}V1000H{start:.0f}Z"/>'

    def _legend(self) -> str:
        labelled = [series for series in self.series if series.labelled]
        if not self.legend or not labelled:
            return ""
        items = "".join(
            f'<li title="{escape(series.name)}"><i class="{series.colour}"></i>{escape(series.name)}</li>'
            for series in labelled
        )
        return f'<ul class="legend">{items}</ul>'

    def _mark_lines(self, first: int, last: int) -> str:
        return "".join(
            f'<path class="mark {mark.severity}" d="M{place:.0f} 0V1000"/>'
            for mark, place in zip(self.marks, _places([mark.step for mark in self.marks], first, last), strict=True)
        )

    def _mark_labels(self, first: int, last: int) -> str:
        links = "".join(
            f'<a class="{mark.severity}" href="#finding-{mark.label.split(",")[0]}" style="left:{place / 10:.1f}%" '
            f'title="finding {mark.label}, step {mark.step}">{mark.label}</a>'
            for mark, place in zip(self.marks, _places([mark.step for mark in self.marks], first, last), strict=True)
        )
        return f'<div class="marks">{links}</div>' if links else ""

    def _readings(self) -> str:
        """Return the hover values as JSON: per curve its name, class, steps and value texts."""
        first, last = self.step_range()
        curves = []
        for series in self.series:
            if not series.labelled:
                continue
            count = len(series.steps)
            kept = np.unique(np.linspace(0, max(count - 1, 0), min(count, MAX_READINGS)).astype(int))
            steps = [int(series.steps[index]) for index in kept]
            texts = [self._written(float(series.values[index])) for index in kept]
            curves.append([series.name, series.colour, steps, texts])
        return as_json({"first": first, "last": last, "x": self.x, "ticks": list(self.ticks), "curves": curves})


def as_json(value: object) -> str:
    """Return JSON that is safe in a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def step_axis(first: int, last: int, x: str = "step", ticks: Sequence[str] = ()) -> str:
    """Return the labels below a chart or a picture: the axis name, and the first, middle and last step."""

    def label(count: int) -> str:
        return escape(ticks[count - first]) if ticks else f"{count:,}"

    inner = f"<span>{label((first + last) // 2)}</span>" if last - first >= 4 else ""
    ends = f"<span>{escape(x)} {label(first)}</span>{inner}<span>{label(last)}</span>"
    return f'<div class="steps" aria-hidden="true">{ends}</div>'


def linear_ticks(low: float, high: float) -> list[float]:
    """Return three to six round numbers in the range.

    Examples
    --------
    >>> linear_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high / 5 - low / 5
    if not (math.isfinite(span) and span > 0):
        return [low]
    power = 10.0 ** math.floor(math.log10(span))
    step = next((factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= span), 10 * power)
    if step <= 0 or not math.isfinite(low / step):
        return [low, high]
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, min(last, first + 12) + 1)]


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return powers of ten in the range (given as exponents), with 1, 2, 5 steps for short ranges, and labels."""
    low, high = max(low, -323.0), min(high, 308.25)  # the limits of float64
    if high - low < 1.7:
        mantissas = (1, 2, 5) if high - low > 0.5 else (1, 1.5, 2, 3, 4, 5, 7)
        values = [m * 10.0**power for power in range(math.floor(low), min(math.ceil(high), 308) + 1) for m in mantissas]
        kept = [value for value in values if 10.0**low <= value <= 10.0**high]
        if kept:
            return [(value, _plain(written(value))) for value in kept]
        return [(10.0**low, written(10.0**low, 3)), (10.0**high, written(10.0**high, 3))]
    stride = math.ceil((high - low) / 5)
    powers = range(math.ceil(low / stride) * stride, math.floor(high) + 1, stride)
    return [(10.0**power, power_of_ten(power)) for power in powers]


def power_of_ten(power: int) -> str:
    """Return a power of ten as text.

    Examples
    --------
    >>> power_of_ten(-2), power_of_ten(-7)
    ('0.01', '10⁻⁷')
    """
    if -4 <= power <= 4:
        return f"{10.0**power:g}"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _plain(text: str) -> str:
    return text.replace(".0%", "%")


def _places(steps: Sequence[int] | NDArray, first: int, last: int) -> Floats:
    """Return horizontal positions of steps, from 0 at the left to 1000."""
    if last <= first:
        return np.full(len(steps), 500.0)
    return np.clip((np.asarray(steps, np.float64) - first) / (last - first), 0.0, 1.0) * 1000


def extremes(values: Floats, maximum: int) -> NDArray[np.intp]:
    """Return about `maximum` indices of a curve that keep its highest and lowest points.

    Examples
    --------
    >>> extremes(np.array([0.0, 5.0, 1.0, -3.0, 0.0, 0.0]), 4)
    array([0, 1, 3, 4, 5])
    """
    count = len(values)
    if count <= maximum:
        return np.arange(count)
    kept = {0, count - 1}
    finite = np.isfinite(values)
    for piece in np.array_split(np.arange(count), max(maximum // 2, 1)):
        drawn = piece[finite[piece]]
        if len(drawn):
            kept |= {int(drawn[np.argmin(values[drawn])]), int(drawn[np.argmax(values[drawn])])}
        else:
            kept.add(int(piece[0]))  # keeps the gap
    return np.array(sorted(kept), np.intp)


def _pieces(heights: Floats) -> list[NDArray[np.intp]]:
    """Return the runs of indices between gaps."""
    finite = np.flatnonzero(np.isfinite(heights))
    return [piece for piece in np.split(finite, np.flatnonzero(np.diff(finite) > 1) + 1) if len(piece)]


def _points(places: Floats, heights: Floats) -> str:
    return " ".join(f"{x:.0f} {y:.0f}" for x, y in zip(places, heights, strict=True))


def _curve(places: Floats, heights: Floats) -> str:
    # An isolated point is a zero-length line, which round line caps make visible.
    return "".join(
        f"M{_points(places[piece], heights[piece])}" + ("h0" if len(piece) == 1 else "") for piece in _pieces(heights)
    )


def _dots(places: Floats, heights: Floats) -> str:
    shown = np.isfinite(heights)
    return "".join(f"M{x:.0f} {y:.0f}h0" for x, y in zip(places[shown], heights[shown], strict=True))


def _outline(places: Floats, upper: Floats, lower: Floats) -> str:
    parts = []
    for piece in _pieces(upper + lower):
        back = piece[::-1]
        parts.append(f"M{_points(places[piece], upper[piece])} {_points(places[back], lower[back])}Z")
    return "".join(parts)
