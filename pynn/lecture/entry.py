"""The entry of one experiment, as HTML: claim, outcome, figures with their bands, curves and code."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..report.charts import Chart, Series
from ..report.page import fragment
from ..report.text import written
from .data import HINTS
from .definition import Band, Experiment, Outcome


class Measured(Protocol):
    """What is read of an `ExperimentResult`, whose docstring describes it."""

    experiment: Experiment
    failure: str
    settings: Mapping[str, Any]

    @property
    def trials(self) -> Sequence[Any]: ...

    @property
    def figures(self) -> Mapping[str, Sequence[float]]: ...

    @property
    def curves(self) -> Mapping[str, Sequence[Sequence[float]]]: ...

    @property
    def outcome(self) -> Outcome | None: ...

    @property
    def seconds(self) -> float: ...


class Label(NamedTuple):
    """Display of an outcome: CSS class, symbol and words."""

    kind: str
    symbol: str
    words: str

    def __str__(self) -> str:
        return f"{self.symbol} {self.words}"


LABELS: dict[Outcome | None, Label] = {
    "reproduced": Label("good", "✓", "reproduced"),
    "partly": Label("warning", "◐", "partly reproduced"),
    "not": Label("error", "✗", "not reproduced"),
}

FAILED, MISSING = Label("error", "✖", "failed"), Label("info", "○", "not run")


def notebook(result: Measured) -> str:
    """Return the entry for a notebook."""
    return fragment(entry(result.experiment, result), style())


def style() -> str:
    """Return the CSS of entries."""
    return files(__package__).joinpath("files", "lecture.css").read_text(encoding="utf-8")


def label_of(result: Measured | None) -> Label:
    """Return the label of a result."""
    if result is None or not (result.trials or result.failure):
        return MISSING
    return FAILED if result.failure else LABELS[result.outcome]


def headline(item: Experiment, result: Measured | None) -> str:
    """Return the first figure as text: its name, mean and standard deviation, and the band."""
    band = item.bands[0]
    if result is None or not result.trials:
        return f"{band.figure}: {band} expected"
    return f"{band.figure}: {spread(result.figures[band.figure])} ({band})"


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation as text, or the range if they are not finite.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0]), spread([1.0, float("inf")]), spread([0.5, 0.5])
    ('2 ± 1', '1 to ∞', '0.5')
    """
    mean, deviation = mean_and_spread(values)
    if math.isfinite(mean):
        return written(mean, 3) + (f" ± {written(deviation, 2)}" if deviation > 0 else "")
    known = sorted(value for value in values if not math.isnan(value))
    return f"{written(known[0], 3)} to {written(known[-1], 3)}" if len(known) > 1 else written(math.nan)


def duration(result: Measured | None) -> str:
    """Return the time of all runs as text."""
    return f"{result.seconds:,.1f} s" if result is not None and result.trials else ""


def entry(item: Experiment, result: Measured | None) -> str:
    """Return the entry of an experiment, run or not."""
    label = label_of(result)
    analogue = (
        f'<p class="note"><strong>Scaled-down analogue.</strong> {escape(item.analogue)}</p>' if item.analogue else ""
    )
    needs = f" It {HINTS[item.needs]}." if item.needs else ""
    return (
        f'<article class="finding claim" id="{item.name}"><header><h3>{escape(item.claim)}</h3></header>'
        f'<p><span class="badge {label.kind}">{label}</span> <code>pynn lecture {item.name}</code></p>'
        f'<p class="note">{escape(item.source)}</p><p>{escape(item.setup + needs)}</p>{analogue}'
        f"{_measured(item, result)}"
        f"<details><summary>The code</summary><pre><code>{escape(item.code)}</code></pre></details></article>"
    )


def _measured(item: Experiment, result: Measured | None) -> str:
    if result is not None and result.failure:
        return f'<p class="error">{escape(result.failure)}</p>'
    if result is None or not result.trials:
        return "".join(f'<p class="note">Expected: {escape(f"{band.figure} {band}")}</p>' for band in item.bands)
    figures = result.figures
    rows = "".join(_row(band, figures[band.figure]) for band in item.bands)
    banded = {band.figure for band in item.bands}
    others = "; ".join(f"{name} {spread(values)}" for name, values in figures.items() if name not in banded)
    besides = f'<p class="note">Besides: {escape(others)}.</p>' if others else ""
    given = ", ".join(f"{name} = {value:g}" for name, value in result.settings.items())
    settings = f" With {escape(given)}." if given else ""
    time = f'<p class="note">{len(result.trials)} seeds, {duration(result)} in all.{settings}</p>'
    chart = _chart(item, result)
    remark = f"<p>{escape(item.remark)}</p>" if item.remark else ""
    return f'<div class="measured">{rows}</div>{remark}{besides}{chart}{time}'


def _row(band: Band, values: Sequence[float]) -> str:
    label = LABELS[band.outcome(values)]
    inside = sum(map(band.holds, values))
    title = f"{inside} of {len(values)} seeds in the band"
    return (
        f'<div class="figure"><div class="what"><strong>{escape(band.figure)}</strong> '
        f'<span class="badge {label.kind}" title="{title}">{label.symbol}</span><br>'
        f'{escape(spread(values))} <span class="note">expected {escape(str(band))}: {escape(band.why)}</span></div>'
        f"{_strip(band, values)}</div>"
    )


def _strip(band: Band, values: Sequence[float]) -> str:
    """Return a line with one dot per seed and a shaded band."""
    finite = [value for value in values if math.isfinite(value)]
    low, high, scale = strip_range(band, finite)

    def place(value: float) -> float:
        return 100 * min(max((scale(value) - low) / (high - low), 0.0), 1.0) if not math.isnan(value) else math.nan

    left = 0.0 if math.isinf(band.at_least) else place(band.at_least)
    right = 100.0 if math.isinf(band.at_most) else place(band.at_most)
    dots = "".join(f'<i style="left:{place(value):.1f}%"></i>' for value in values if not math.isnan(value))
    text = f"{band.figure}: {', '.join(written(value, 3) for value in values)}; expected {band}"
    ends = "".join(
        f'<span style="left:{place(end):.1f}%">{written(end, 3)}</span>'
        for end in dict.fromkeys((band.at_least, band.at_most))
        if math.isfinite(end)
    )
    return (
        f'<div class="strip" role="img" aria-label="{escape(text)}"><div class="track">'
        f'<b style="left:{left:.1f}%;width:{max(right - left, 0.6):.1f}%"></b>{dots}</div>'
        f'<div class="ends">{ends}</div></div>'
    )


def strip_range(band: Band, values: Sequence[float]) -> tuple[float, float, Callable[[float], float]]:
    """Return both ends of a strip, and its scale: logarithmic for positive values of different magnitudes."""
    held = [*values, *(end for end in (band.at_least, band.at_most) if math.isfinite(end))]
    held = held or [0.0]
    logarithmic = min(held) > 0 and max(held) / min(held) > 50
    scale = _log if logarithmic else float
    low, high = scale(min(held)), scale(max(held))
    margin = 0.12 * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin, scale


def _log(value: float) -> float:
    return math.log10(max(value, 1e-300))


def _chart(item: Experiment, result: Measured) -> str:
    if item.lines is None or not result.curves:
        return ""
    series = []
    for index, (name, curves) in enumerate(result.curves.items()):
        mean, deviation = course(curves)
        places = np.array(item.lines.places(len(mean)))
        reach = np.minimum(deviation, 0.9 * np.abs(mean)) if item.lines.log else deviation
        series.append(Series(name, places, mean, f"s{index}", dots=len(mean) <= 15, spread=reach))
    chart = Chart(
        item.lines.y[:1].upper() + item.lines.y[1:],
        series,
        "log" if item.lines.log else "linear",
        "Mean over the seeds, and their standard deviation.",
        heading="h4",
        x=item.lines.x,
        ticks=item.lines.ticks,
    )
    return chart.html()


def mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Return mean and standard deviation; NaN if a value is not finite.

    Examples
    --------
    >>> mean_and_spread([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    values = list(values)
    if not all(map(math.isfinite, values)):
        return math.nan, math.nan
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def course(curves: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of several curves, up to the shortest length; NaN if one is not finite.

    Examples
    --------
    >>> course([[1.0, 2.0], [3.0, 2.0, 7.0]])
    (array([2., 2.]), array([1.41421356, 0.        ]))
    """
    shortest = min(map(len, curves))
    values = np.array([curve[:shortest] for curve in curves])
    values[~np.isfinite(values)] = np.nan
    with np.errstate(over="ignore"):
        return values.mean(axis=0), values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(shortest)
