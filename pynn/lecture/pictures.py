"""PNG picture of a result: one dot per seed with its band, and the curves. Needs matplotlib."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..report.figures import COLOURS, GOOD, GRID, INK, MUTED, bare, new_figure
from ..utils.files import write_atomically
from .entry import course, label_of, spread, strip_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import ExperimentResult

_OUTCOMES = {"good": "#00734F", "warning": "#9A6700", "error": "#B23A00"}


def write_picture(result: ExperimentResult, path: str | Path, *, dpi: int = 100) -> None:
    """Draw a result that has trials.

    Parameters
    ----------
    result : ExperimentResult
    path : path-like
        A .png file; it is replaced atomically.
    dpi : int
        Pixels per inch; a picture is 9 inches wide with curves, else 5.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    lines = bool(result.curves) and result.experiment.lines is not None
    figure = new_figure(1)
    bands = result.experiment.bands
    figure.set_size_inches(9.4 if lines else 5.6, max(0.62 * len(bands) + 0.7, 2.9 if lines else 0.0))
    columns = figure.add_gridspec(1, 2 if lines else 1, width_ratios=[1, 1.15] if lines else [1])
    rows = columns[0].subgridspec(len(bands), 1)
    for index in range(len(bands)):
        _strip(figure.add_subplot(rows[index]), result, index)
    if lines:
        _curves(figure.add_subplot(columns[1]), result)
    label = label_of(result)
    figure.suptitle(
        f"{result.experiment.name}: {label.words}",
        x=0.01, ha="left", fontsize=11, fontweight="bold", color=_OUTCOMES.get(label.kind, INK),
    )  # fmt: skip
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi, pil_kwargs={"optimize": True})
    write_atomically(path, content.getvalue())


def _strip(axes: Axes, result: ExperimentResult, index: int) -> None:
    band = result.experiment.bands[index]
    values = result.figures[band.figure]
    finite = [value for value in values if math.isfinite(value)]
    low, high, scale = strip_range(band, finite)
    left = low if math.isinf(band.at_least) else scale(band.at_least)
    right = high if math.isinf(band.at_most) else scale(band.at_most)
    axes.axvspan(left, max(right, left + 0.006 * (high - low)), color=GOOD, alpha=0.15, linewidth=0)
    axes.plot([scale(value) for value in finite], [0.0] * len(finite), "o", color=COLOURS[0], alpha=0.7, markersize=6)
    axes.set_xlim(low, high)
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    ends = [end for end in dict.fromkeys((band.at_least, band.at_most)) if math.isfinite(end)]
    axes.set_xticks([scale(end) for end in ends], [f"{end:.3g}" for end in ends])
    axes.set_title(f"{band.figure}: {spread(values)}", loc="left", fontsize=8.5, color=INK, pad=3, parse_math=False)
    _plain(axes)


def _curves(axes: Axes, result: ExperimentResult) -> None:
    lines = result.experiment.lines
    assert lines is not None
    for index, (name, curves) in enumerate(result.curves.items()):
        mean, deviation = course(curves)
        places = np.array(lines.places(len(mean)))
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(places, mean, color=colour, linewidth=1.6, label=name, marker="o" if len(mean) <= 15 else "", ms=3)
        lower = np.maximum(mean - deviation, 0.1 * np.abs(mean)) if lines.log else mean - deviation
        axes.fill_between(places, lower, mean + deviation, color=colour, alpha=0.18, linewidth=0)
    shown = np.concatenate([np.ravel(line.get_ydata()) for line in axes.lines])
    if lines.log and (shown[np.isfinite(shown)] > 0).any():
        axes.set_yscale("log")
    if lines.at:
        few = range(0, len(lines.at), math.ceil(len(lines.at) / 6))
        axes.set_xticks([lines.places(len(lines.at))[index] for index in few], [lines.ticks[index] for index in few])
    axes.set_xlabel(lines.x, fontsize=8.5, color=MUTED)
    axes.set_title(lines.y, loc="left", fontsize=8.5, color=INK, pad=3, parse_math=False)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if len(result.curves) > 1:
        legend = axes.legend(fontsize=8, labelcolor=INK, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(colors=MUTED, length=0, labelsize=8, which="both")
    bare(axes)
