"""The roofline (Williams, Waterman & Patterson 2009): performance of each case against the machine's limits."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ..report.figures import saved
from ..report.text import counted
from .cases import GROUPS
from .results import Results
from .work import work

# The colour-blind safe palette of Okabe and Ito (2008).
_COLOURS = dict(
    zip(
        GROUPS,
        ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#F0E442", "#CC79A7", "#222222", "#999999", "#7B3F00"),
        strict=True,
    )
)


def draw(results: Results, path: Path) -> None:
    """Plot one result to `path`, a PNG file.

    Raises ImportError if matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    peak = results.limits.operations["float32"]
    minimum, maximum = 2.0**-5, 2.0**10  # operations per byte
    note: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": "#666666"}
    for size, bandwidth in (results.limits.copies[0], results.limits.copies[-1]):
        intensities = [minimum, peak / bandwidth, maximum]
        roof = [bandwidth * minimum / 1e9, peak / 1e9, peak / 1e9]
        axes.plot(intensities, roof, color="#999999", linewidth=1)
        label = f"{bandwidth / 1e9:.0f} GB/s, {size / 1e6:.3g} MB in use"
        axes.annotate(label, (minimum, roof[0]), (10, -2), va="top", **note)
    axes.annotate(f"{peak / 1e9:.0f} GFLOP/s, float32", (maximum, peak / 1e9), (0, 4), ha="right", **note)
    for group in GROUPS:
        points = _points(results, group)
        if points:
            horizontal, vertical = zip(*points, strict=True)
            axes.scatter(
                horizontal, vertical, s=22, color=_COLOURS[group], label=group, edgecolor="white", linewidth=0.5
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=10)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set_xlabel("operations per byte that must move")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(f"pynn on {results.setting['processor']}, {counted(results.threads, 'thread')}", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#EEEEEE", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    saved(figure, path)


def _points(results: Results, group: str) -> list[tuple[float, float]]:
    """Return operations per byte and GFLOP/s of a group's cases in float32."""
    points = []
    for row in results.rows:
        if row.case.group == group and row.case.dtype == "float32" and "pynn" in row.seconds:
            amount = work(row.case)
            seconds = statistics.median(row.seconds["pynn"])
            points.append((amount.operations / amount.bytes, amount.operations / seconds / 1e9))
    return points
