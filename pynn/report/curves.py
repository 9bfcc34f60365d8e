"""Learning curves as an SVG file, drawn without matplotlib."""

from __future__ import annotations

from html import escape

from .charts import Chart
from .history import Epochs, metric_chart

WIDTH, HEIGHT, LEFT, TOP = 500, 300, 70, 70
PANEL = WIDTH + LEFT + 20
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
    panels = "".join(_panel(metric_chart(history, name), place * PANEL) for place, name in enumerate(names))
    width, height = len(names) * PANEL + 20, HEIGHT + TOP + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<style>{STYLE}</style>{panels}</svg>\n"
    )


def _panel(chart: Chart, left: int) -> str:
    """Return a chart with its title, legend and axes."""
    first, last = chart.step_range()
    title = escape(chart.title) + (" (log scale)" if chart.scale == "log" else "")
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
        f'<text x="{LEFT}" y="{TOP - 38}" class="title">{title}</text>{legend}{values}'
        f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 1000 1000" '
        f'preserveAspectRatio="none" overflow="visible">{chart.paths()}</svg>'
        f'<text x="{LEFT}" y="{below}">{first}</text>'
        f'<text x="{LEFT + WIDTH}" y="{below}" text-anchor="end">{last}</text>'
        f'<text x="{LEFT + WIDTH / 2:.0f}" y="{below}" text-anchor="middle">epoch</text></g>'
    )
