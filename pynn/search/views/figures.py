"""Matplotlib figures of a search, without pyplot's global state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ...report.figures import INK, MUTED, TRAINING, VALIDATION, check_format, finish, new_figure, saved, set_title
from ...report.text import wants_log_scale
from ..text import figure as score_text
from ..text import metric_title, printable
from .reading import TrialFigures, axis_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..state import Trials
    from ..trial import Trial

#: Maximum number of loss curves, those of the best trials: more hide each other.
_MOST_CURVES = 60
#: Width of the colour bar, in inches.
COLOUR_BAR = 1.6
#: Height of a parameter's bar, in inches.
ROW = 0.4


def plot_overview(result: Trials, path: str | Path | None = None) -> Figure:
    """Plot the trials over the two most important ranges, their losses, and the importance of the parameters.

    Parameters
    ----------
    result : SearchResult
        With at least one trial.
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
        If there is no trial, or the file has another extension.
    """
    check_format(path)
    if not result.trials:
        raise ValueError("the search has no trials to plot")
    run = TrialFigures(result)
    figure = new_figure(2, legend=COLOUR_BAR)
    below = ROW * (2 + len(run.importance)) if run.importance else 0.0
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + below)
    grid = figure.add_gridspec(2, 2, height_ratios=[height, below]) if below else figure.add_gridspec(1, 2)
    trials, losses = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    if run.importance:
        _importance(figure.add_subplot(grid[1, :]), run)
    _trials(trials, run, run.axes()[:2])
    _losses(losses, run)
    return saved(figure, path)


def plot_random_against_grid(random: Trials, grid: Trials, path: str | Path | None = None) -> Figure:
    """Plot random against grid search, as in the lecture: the trials over the two most important ranges.

    Marks along the axes show the values that each search tried.

    Parameters
    ----------
    random, grid : SearchResult
        Of the same space, with at least two ranges; the importance comes from the first.
    path : path-like, optional
        As in `plot_overview`, with the same errors.
    """
    check_format(path)
    if not (random.trials and grid.trials):
        raise ValueError("a search has no trials to plot")
    runs = TrialFigures(random), TrialFigures(grid)
    names = runs[0].axes()[:2]
    if len(names) < 2 or grid.space.describe() != random.space.describe():
        raise ValueError("the two searches must be of the same space, with at least two ranges")
    figure = new_figure(2, legend=COLOUR_BAR)
    for axes, run in zip(figure.subplots(1, 2), runs, strict=True):
        _trials(axes, run, names)
        tried = [[t.params[name] for t in run.begun if name in t.params] for name in names]
        marks = {"color": VALIDATION, "linestyle": "none", "markersize": 9, "markeredgewidth": 1.1, "clip_on": False}
        axes.plot(tried[0], [0] * len(tried[0]), marker="|", transform=axes.get_xaxis_transform(), **marks)
        axes.plot([0] * len(tried[1]), tried[1], marker="_", transform=axes.get_yaxis_transform(), **marks)
        ranges = [run.result.space.ranges[name] for name in names]
        axes.set_xlim(ranges[0].low, ranges[0].high)
        axes.set_ylim(ranges[1].low, ranges[1].high)
        best = "" if run.best is None else f", best {score_text(run.best.score, run.result.metric)}"
        set_title(axes, f"{len(run.begun)} trials, {run.result.sampler}{best}")
    return saved(figure, path)


def _trials(axes: Axes, run: TrialFigures, names: list[str]) -> None:
    """Draw the trials over two ranges, coloured by score; with one range, its scores."""
    result = run.result
    y_name = names[1] if len(names) > 1 else None
    metric = metric_title(result.metric)
    shown = [trial for trial in run.begun if all(name in trial.params for name in names)]
    finished = [trial for trial in shown if trial.ended == "finished"]
    others = [trial for trial in shown if trial.ended != "finished"]

    def x_of(trials: list[Trial]) -> list[float]:
        return [cast("float", trial.params[names[0]]) if names else trial.number + 1 for trial in trials]

    def y_of(trials: list[Trial]) -> list[float]:
        return [cast("float", trial.params[y_name]) if y_name else trial.score for trial in trials]

    scores = [trial.score for trial in finished]
    points = axes.scatter(x_of(finished), y_of(finished), c=scores, cmap="viridis", s=28, edgecolors="none")
    if y_name is not None:
        axes.scatter(x_of(others), y_of(others), marker="x", color="#AAAAAA", s=22, linewidths=1.1)
        if len(set(scores)) > 1:
            bar = axes.figure.colorbar(points, ax=axes, pad=0.02)
            bar.ax.tick_params(colors=MUTED, length=0)
            bar.outline.set_visible(False)
    if run.best is not None and run.best in shown:
        axes.scatter(
            x_of([run.best]), y_of([run.best]), s=110, facecolors="none", edgecolors=VALIDATION, linewidths=1.6
        )
    for name, set_scale in zip(names, (axes.set_xscale, axes.set_yscale), strict=False):
        if result.space.ranges[name].is_log:
            set_scale("log")
    axes.set_xlabel(_plain(axis_name(result, names[0])) if names else "trial", color=MUTED)
    axes.set_ylabel(_plain(axis_name(result, y_name) if y_name else metric), color=MUTED)
    finish(axes, f"Trials by {metric}" if y_name else f"Trials: {metric}")


def _losses(axes: Axes, run: TrialFigures) -> None:
    """Draw the training losses of the trials, that of the best on top."""
    from matplotlib.ticker import MaxNLocator

    trials = [trial for trial in run.order if trial.history.get("loss")][:_MOST_CURVES]
    for trial in reversed(trials):
        losses, best = trial.history["loss"], trial is run.best
        axes.plot(
            range(1, len(losses) + 1),
            losses,
            color=VALIDATION if best else TRAINING,
            alpha=1.0 if best else 0.35,
            linewidth=2.0 if best else 1.0,
            marker="o" if len(losses) == 1 else None,
            markersize=3,
            label=f"trial {trial.number + 1}, the best" if best else None,
        )
    title = "Training loss"
    if wants_log_scale(np.array([loss for trial in trials for loss in trial.history["loss"]])):
        axes.set_yscale("log")
        title += " (log scale)"
    if trials:
        axes.legend(loc="upper right", labelcolor=INK, frameon=False, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9, min_n_ticks=1))
    axes.set_xlabel("epoch", color=MUTED)
    finish(axes, title)


def _importance(axes: Axes, run: TrialFigures) -> None:
    """Draw the share of the scores' variance that each parameter explains."""
    names = list(run.importance)[::-1]
    axes.barh(list(map(_plain, names)), [run.importance[name] for name in names], color=TRAINING, height=0.6)
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}%")
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the variance explained", color=MUTED)
    finish(axes, "What matters")


def _plain(text: str) -> str:
    """Escape dollar signs, which matplotlib reads as the limits of a formula."""
    return printable(text).replace("$", r"\$")
