"""A training history as a matplotlib figure, and as charts and a table of HTML."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from .charts import Chart, Series
from .figures import INK, MUTED, TRAINING, VALIDATION, check_format, finish, new_figure, saved
from .page import fragment, table
from .text import metric_words, percent, wants_log_scale, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .charts import Scale

#: Maximum number of rows in the table of epochs.
MAX_EPOCHS = 60
#: Columns of a history that are no metric.
NO_METRICS = ("lr", "seconds")


class Epochs(Protocol):
    """What is read of a `History`."""

    epoch: list[int]
    history: dict[str, list[float]]

    def __getitem__(self, name: str) -> list[float]: ...

    def __contains__(self, name: object) -> bool: ...

    def __len__(self) -> int: ...


def plot_history(history: Epochs, path: str | Path | None = None) -> Figure:
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
    check_format(path)
    if not len(history):
        raise ValueError("the history has no finished epoch to plot")
    columns = [name for name in ("loss", "accuracy") if name in history]
    figure = new_figure(len(columns))
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, name in zip(panels, columns, strict=True):
        _draw(axes, history, name)
    return saved(figure, path)


def _draw(axes: Axes, history: Epochs, name: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    series = [("training", TRAINING, history[name])]
    if f"val_{name}" in history:
        series.append(("validation", VALIDATION, history[f"val_{name}"]))
    # Show points for few epochs, only the line for many.
    marker: dict[str, Any] = {"marker": "o", "markersize": 4} if len(history) <= 15 else {}
    for label, colour, values in series:
        axes.plot(history.epoch, values, color=colour, linewidth=1.8, label=label, **marker)
    finite = np.array([value for _, _, values in series for value in values if math.isfinite(value)])
    title = name.capitalize()
    corner: Literal["upper right", "lower right"] = "upper right"
    if name == "accuracy":
        corner = "lower right"
        axes.yaxis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}%")
    elif wants_log_scale(finite):
        title += " (log scale)"
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if finite.max() < 1e4 * finite.min() else (1,)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9, min_n_ticks=1))
    axes.margins(x=0.03, y=0.06)
    axes.set_xlabel("epoch", color=MUTED)
    finish(axes, title)
    axes.legend(loc=corner, labelcolor=INK, facecolor="white", edgecolor="none", framealpha=0.9)


def history_charts(history: Epochs) -> str:
    """Return a chart for each metric: training and validation over the epochs; empty before the first epoch.

    Examples
    --------
    >>> from pynn.training.history import History
    >>> history_charts(History())
    ''
    """
    names = dict.fromkeys(name.removeprefix("val_") for name in history.history if name not in NO_METRICS)
    charts = "".join(metric_chart(history, name).html() for name in names) if len(history) else ""
    return f'<div class="charts">{charts}</div>' if charts else ""


def notebook(history: Epochs) -> str:
    """Return charts and the table of epochs for a notebook."""
    if not len(history):
        return fragment('<p class="note">No epoch has ended yet.</p>')
    epochs = f"<details><summary>Epoch by epoch</summary>{epoch_table(history)}</details>"
    return fragment(history_charts(history) + epochs)


def metric_chart(history: Epochs, name: str) -> Chart:
    """Return the chart of a metric in training and, if there is one, in validation."""
    epochs = np.array(history.epoch)
    dots = len(epochs) <= 15
    columns = {"training": name, "validation": f"val_{name}"}
    series = [
        Series(label, epochs, np.array(history[column]), f"s{index}", dots=dots)
        for index, (label, column) in enumerate(columns.items())
        if column in history
    ]
    wide = wants_log_scale(np.concatenate([entry.values for entry in series]))
    scale: Scale = "share" if name.endswith("accuracy") else "log" if wide else "linear"
    title = metric_words(name)
    return Chart(title[:1].upper() + title[1:], series, scale, x="epoch")


def epoch_table(history: Epochs) -> str:
    """Return the epochs as a table, at most `MAX_EPOCHS` of them, with the first and the last."""
    if not len(history):
        return ""
    kept = np.unique(np.linspace(0, len(history) - 1, min(len(history), MAX_EPOCHS)).round().astype(int))
    columns = history.history
    rows = [
        [str(history.epoch[index]), *(_cell(name, float(column[index])) for name, column in columns.items())]
        for index in kept
    ]
    caption = "Epochs" if len(kept) == len(history) else f"Epochs ({len(kept)} of {len(history)})"
    return table(caption, ["epoch", *(name.replace("val_", "validation ") for name in columns)], rows)


def _cell(name: str, value: float) -> str:
    return percent(value) if name.endswith("accuracy") else written(value)
