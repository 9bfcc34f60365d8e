"""Learning curves as an SVG file, drawn without matplotlib."""

from __future__ import annotations

from html import escape

import numpy as np

from .charts import Chart, Series
from .history import Epochs

WIDTH, HEIGHT, LEFT, TOP = 500, 300, 70, 70
STYLE = """
svg { background: #fff } text { font: 13px sans-serif; fill: #666 }
.title { font-size: 16px; font-weight: 600; fill: #222 }
path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round; stroke-linejoin: round }
.grid { stroke: #e3e3e3 } .line { stroke-width: 1.8 } .dots { stroke-width: 6 }
path.s0 { stroke: #0072b2 } path.s1 { stroke: #d55e00 } text.s0 { fill: #0072b2 } text.s1 { fill: #d55e00 }
"""


def history_svg(history: Epochs) -> str:
    """Return loss and, for classification, accuracy over the epochs as an SVG document.

    Examples
    --------
    >>> from pynn.training.history import History
    >>> history = History()
    >>> history.append(1, {"loss": 0.9, "val_loss": 1.0})
    >>> history_svg(history).count('<path class="line')  # training and validation
    2
    """
    names = [name for name in ("loss", "accuracy") if name in history]
    panels = "".join(_panel(_chart(history, name), place * (WIDTH + LEFT + 20)) for place, name in enumerate(names))
    width, height = len(names) * (WIDTH + LEFT + 20) + 20, HEIGHT + TOP + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<style>{STYLE}</style>{panels}</svg>\n"
    )


def _chart(history: Epochs, name: str) -> Chart:
    """Return the chart of a figure in training and, if there is one, in validation."""
    dots = len(history) <= 15
    both = [("training", name, "s0"), ("validation", f"val_{name}", "s1")]
    series = [
        Series(label, np.array(history.epoch), np.array(history[column]), colour, dots)
        for label, column, colour in both
        if column in history
    ]
    values = np.concatenate([one.values for one in series])
    finite = values[np.isfinite(values)]
    log = name == "loss" and finite.size and finite.min() > 0 and finite.max() > 10 * finite.min()
    title = name.capitalize() + (" (log scale)" if log else "")
    return Chart(title, series, "log" if log else "linear" if name == "loss" else "share", x="epoch")


def _panel(chart: Chart, left: int) -> str:
    """Return a chart with its title, legend and axes."""
    first, last = chart.step_range()
    legend = "".join(
        f'<text x="{LEFT + 90 * place}" y="{TOP - 16}" class="{one.colour}">{one.name}</text>'
        for place, one in enumerate(chart.series)
    )
    values = "".join(
        f'<text x="{LEFT - 8}" y="{TOP + HEIGHT * height / 1000 + 4:.0f}" text-anchor="end">{text}</text>'
        for height, text in chart.ticked()
    )
    below = TOP + HEIGHT + 24
    return (
        f'<g transform="translate({left} 0)" role="img" aria-label="{escape(chart.description())}">'
        f'<text x="{LEFT}" y="{TOP - 38}" class="title">{escape(chart.title)}</text>{legend}{values}'
        f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 1000 1000" '
        f'preserveAspectRatio="none" overflow="visible">{chart.paths()}</svg>'
        f'<text x="{LEFT}" y="{below}">{first}</text>'
        f'<text x="{LEFT + WIDTH}" y="{below}" text-anchor="end">{last}</text>'
        f'<text x="{LEFT + WIDTH / 2:.0f}" y="{below}" text-anchor="middle">epoch</text></g>'
    )
