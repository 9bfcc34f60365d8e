"""HTML scatter plot of trials over two parameters: the SVG stretches, the text of the axes does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ...report.charts import linear_ticks, log_ticks

if TYPE_CHECKING:
    from ..space import Range

#: Minimum distance of a middle label from the ends of an axis.
_EDGE = 4.0


@dataclass
class Point:
    """A point at positions from 0 to 1, y upwards; `kind` is its CSS class."""

    x: float
    y: float
    kind: str
    text: str = ""


@dataclass
class Axis:
    """An axis: its name, and labels at positions from 0 to 1."""

    name: str
    ticks: Sequence[tuple[float, str]]

    @classmethod
    def of(cls, name: str, parameter: Range) -> Axis:
        """Return the axis of a range."""
        low, high = parameter.scaled(parameter.low), parameter.scaled(parameter.high)
        if parameter.is_log:
            return cls(f"{name} (log scale)", [(parameter.share(v), text) for v, text in log_ticks(low, high)])
        ticks = linear_ticks(low, high)
        if parameter.low == int(parameter.low) and parameter.high - parameter.low <= 8:
            ticks = [tick for tick in ticks if tick == int(tick)]
        return cls(name, [(parameter.share(v), f"{v:g}") for v in ticks])


def scatter(title: str, points: Sequence[Point], x: Axis, y: Axis, *, note: str = "", label: str = "") -> str:
    """Return the points as a figure element; `label` describes it to screen readers."""
    grid = "".join(f'<path class="grid" d="M0 {_up(at)}H1000"/>' for at, _ in y.ticks)
    labels = "".join(f'<span style="top:{_up(at) / 10:g}%">{escape(text)}</span>' for at, text in y.ticks)
    places = "".join(f'<span style="left:{100 * at:.1f}%">{escape(text)}</span>' for at, text in _apart(x.ticks))
    drawn = "".join(_draw(point) for point in points)
    lead = f'<p class="note">{escape(note)}</p>' if note else ""
    return (
        f'<figure class="chart scatter"><figcaption><h3>{escape(title)}</h3>{lead}'
        f'<p class="note">{escape(y.name)}</p></figcaption>'
        f'<div class="plot" role="img" aria-label="{escape(label or title)}"><div class="values" aria-hidden="true">'
        f'{labels}</div><div class="area"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f'{grid}{drawn}</svg></div><div class="places" aria-hidden="true">{places}</div>'
        f'<div class="axis" aria-hidden="true">{escape(x.name)}</div></div></figure>'
    )


def _draw(point: Point) -> str:
    x, y = round(1000 * point.x), _up(point.y)
    title = f"<title>{escape(point.text)}</title>" if point.text else ""
    if point.kind == "cross":
        # Two short lines; 1000 units are the width of the chart.
        lines = f"M{x - 8} {y - 16}L{x + 8} {y + 16}M{x - 8} {y + 16}L{x + 8} {y - 16}"
        return f'<path class="cross" d="{lines}">{title}</path>'
    if point.kind == "tick below":
        return f'<path class="tick" d="M{x} 1000v-36"/>'
    if point.kind == "tick beside":
        return f'<path class="tick" d="M0 {y}h24"/>'
    return f'<path class="{point.kind}" d="M{x} {y}h0">{title}</path>'


def _up(share: float) -> int:
    return round(1000 - 1000 * share)


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the labels that do not overlap."""
    found: list[tuple[float, str]] = []
    for at, text in ticks:
        if not found or at - found[-1][0] > 0.12:
            found.append((at, text))
    return found
