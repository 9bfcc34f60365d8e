"""Plots of a training history; need matplotlib."""

from __future__ import annotations

import importlib.util
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..utils.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..training.history import History

FORMATS = ("png", "svg", "pdf")
INSTALL_HINT = 'pip install "pynn-kernels[plot]"'

# Blue and vermilion of the colour-blind safe palette of Okabe and Ito (2008).
_TRAINING, _VALIDATION = "#0072B2", "#D55E00"
_INK, _MUTED, _GRID = "#222222", "#666666", "#E3E3E3"


def plots_available() -> bool:
    """Return whether matplotlib is installed; does not import it."""
    return importlib.util.find_spec("matplotlib") is not None


def plot_history(history: History, path: str | Path | None = None) -> Figure:
    """Plot loss and, for classification, accuracy of training and validation data over the epochs.

    Does not use pyplot: no window opens, no backend is selected, nothing needs closing.

    Parameters
    ----------
    history : History
        The result of `Trainer.fit`, with at least one epoch.
    path : path-like, optional
        Also save the figure to this file, atomically: .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the history is empty, or the file has another extension.

    Examples
    --------
    >>> from pynn.training.history import History
    >>> history = History()
    >>> history.append(1, {"loss": 0.9, "val_loss": 1.0})
    >>> history.append(2, {"loss": 0.5, "val_loss": 0.7})
    >>> plot_history(history).axes[0].get_title(loc="left")
    'Loss'
    """
    if path is not None:
        check_format(path)
    if not len(history):
        raise ValueError("the history has no finished epoch to plot")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError(f"plots need matplotlib: {INSTALL_HINT}") from error
    columns = [name for name in ("loss", "accuracy") if name in history]
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)
    figure = Figure(figsize=(5.4 * len(columns), 4.0), dpi=150, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, name in zip(panels, columns, strict=True):
        _draw(axes, history, name)
    if path is not None:
        content = io.BytesIO()
        figure.savefig(content, format=Path(path).suffix[1:].lower())
        write_atomically(path, content.getvalue())
    return figure


def check_format(path: str | Path) -> None:
    """Raise ValueError unless the file has a supported extension."""
    if Path(path).suffix[1:].lower() not in FORMATS:
        raise ValueError(f"{path} has no supported file extension; expected {', '.join('.' + f for f in FORMATS)}")


def _draw(axes: Axes, history: History, name: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    series = [("training", _TRAINING, history[name])]
    if f"val_{name}" in history:
        series.append(("validation", _VALIDATION, history[f"val_{name}"]))
    # Show points for few epochs, only the line for many.
    marker: dict[str, Any] = {"marker": "o", "markersize": 4} if len(history) <= 15 else {}
    for label, colour, values in series:
        axes.plot(history.epoch, values, color=colour, linewidth=1.8, label=label, **marker)
    finite = [value for _, _, values in series for value in values if math.isfinite(value)]
    title = name.capitalize()
    corner: Literal["upper right", "lower right"] = "upper right"
    if name == "accuracy":
        corner = "lower right"
        axes.yaxis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}%")
    elif finite and min(finite) > 0 and max(finite) > 10 * min(finite):
        title += " (log scale)"
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(finite) < 1e4 * min(finite) else (1,)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9, min_n_ticks=1))
    axes.margins(x=0.03, y=0.06)
    axes.set_xlabel("epoch", color=_MUTED)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=_INK, pad=10)
    axes.set_axisbelow(True)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.tick_params(colors=_MUTED, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#AAAAAA")
    axes.legend(loc=corner, labelcolor=_INK, facecolor="white", edgecolor="none", framealpha=0.9)
