"""What all matplotlib figures share: made without pyplot, shown in a notebook, saved atomically."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The formats in which figures are saved.
FORMATS = ("png", "svg", "pdf")
#: How to install what figures need.
INSTALL_HINT = 'pip install "pynn-kernels[plot]"'

INK, MUTED, GRID, FRAME = "#222222", "#666666", "#E3E3E3", "#AAAAAA"
# The colour-blind safe palette of Okabe and Ito (2008), without yellow, which is hard to see on white.
TRAINING, VALIDATION, GOOD = "#0072B2", "#D55E00", "#009E73"
COLOURS = (TRAINING, VALIDATION, GOOD, "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def plots_available() -> bool:
    """Return whether matplotlib is installed; does not import it.

    Examples
    --------
    >>> import pynn
    >>> pynn.plots.plots_available()
    True
    """
    return importlib.util.find_spec("matplotlib") is not None


def check_format(path: str | Path | None) -> None:
    """Raise ValueError if a path is given and has no supported extension.

    Examples
    --------
    >>> import pynn
    >>> pynn.plots.check_format("curves.svg")
    >>> try:
    ...     pynn.plots.check_format("curves.txt")
    ... except ValueError as error:
    ...     print(error)
    curves.txt has no supported file extension; expected .png, .svg, .pdf
    """
    if path is not None and Path(path).suffix[1:].lower() not in FORMATS:
        raise ValueError(f"{path} has no supported file extension; expected {', '.join('.' + f for f in FORMATS)}")


def new_figure(panels: int, *, legend: float = 0.0) -> Figure:
    """Return an empty figure that a notebook shows, though pyplot does not know it.

    No window opens, no backend is selected, nothing needs closing.

    Parameters
    ----------
    panels : int
        Panels of 5.4 x 4 inches, side by side.
    legend : float
        Additional width for a legend, in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        from .picture import Picture
    except ImportError as error:
        raise ImportError(f"plots need matplotlib: {INSTALL_HINT}") from error
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)
    figure = Picture(figsize=(5.4 * panels + legend, 4.0), dpi=150, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def saved(figure: Figure, path: str | Path | None) -> Figure:
    """Save a figure atomically if a path is given; return the figure."""
    if path is not None:
        content = io.BytesIO()
        figure.savefig(content, format=Path(path).suffix[1:].lower())
        write_atomically(path, content.getvalue())
    return figure


def set_title(axes: Axes, title: str) -> None:
    """Set the title of a panel."""
    # Names with dollar signs are not formulas.
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=10, parse_math=False)


def finish(axes: Axes, title: str) -> None:
    """Set the title, draw the grid behind the data, and leave no frame but the horizontal axis."""
    set_title(axes, title)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(colors=MUTED, length=0, which="both")
    bare(axes)


def bare(axes: Axes) -> None:
    """Leave no frame but the horizontal axis."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FRAME)
