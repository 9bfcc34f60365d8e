"""Matplotlib figures of a monitored run: each function returns a `Figure`, without pyplot's global state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...report import figures as drawing
from ...report.figures import (
    COLOURS,
    GOOD,
    INK,
    MUTED,
    TRAINING,
    VALIDATION,
    check_format,
    new_figure,
    saved,
    set_title,
)
from ...report.text import smoothed
from ...utils.validation import shortened
from . import maps
from .reading import GOOD_RATIO, GOOD_RATIO_RANGE, RunFigures, checked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...report.text import Floats
    from ..monitor.monitor import Monitor
    from .maps import Map

_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.5)))
#: Width of a legend beside the panel, in inches.
LEGEND = 1.6
#: Maximum number of legend entries.
_MOST_NAMES = 14


def plot_loss(monitor: Monitor, path: str | Path | None = None) -> Figure:
    """Plot the loss over the steps: per step, running mean, and validation.

    Parameters
    ----------
    monitor : Monitor
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
        If nothing was recorded, or the file has another extension.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x, y, epochs=2, callbacks=[monitor])
    >>> plot_loss(monitor).axes[0].get_xlabel()
    'step'
    """
    run = _read(monitor, path)
    figure, axes = _one_panel()
    mean = smoothed(run.loss)
    axes.plot(run.steps, run.loss, color=TRAINING, alpha=0.25, linewidth=0.8)
    axes.plot(run.steps, mean, color=TRAINING, linewidth=1.8, label="training")
    validation = run.of_epochs("val_loss")
    shown = [run.loss]
    if validation is not None:
        shown.append(validation)
        marker: dict[str, Any] = {"marker": "o", "markersize": 4} if len(validation) <= 40 else {}
        axes.plot(run.epoch_steps(), validation, color=VALIDATION, linewidth=1.8, label="validation", **marker)
    values = np.concatenate(shown)
    values = values[np.isfinite(values)]
    logarithmic = bool(len(values)) and values.min() > 0 and values.max() / values.min() > 10
    if logarithmic:
        axes.set_yscale("log")
    _finish(axes, "Loss (log scale)" if logarithmic else "Loss")
    return saved(figure, path)


def plot_activations(monitor: Monitor, path: str | Path | None = None) -> Figure:
    """Draw the standard deviation of each layer's outputs over the steps; arguments and errors as in `plot_loss`.

    It should neither die out nor blow up with depth.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x / 3, y, epochs=2, callbacks=[monitor])
    >>> figure = pynn.plots.plot_activations(monitor)
    >>> len(figure.axes) > 0
    True
    """
    return _plot_layers(monitor, path, "std", "Spread of the outputs (std)", logarithmic=True)


def plot_gradients(monitor: Monitor, path: str | Path | None = None) -> Figure:
    """Draw the rms of the gradient with respect to each layer's outputs; arguments and errors as in `plot_loss`.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x / 3, y, epochs=2, callbacks=[monitor])
    >>> figure = pynn.plots.plot_gradients(monitor)
    >>> len(figure.axes) > 0
    True
    """
    return _plot_layers(monitor, path, "gradient_rms", "Gradient of the outputs (rms)", logarithmic=True)


def plot_update_ratios(monitor: Monitor, path: str | Path | None = None) -> Figure:
    """Draw the norm of the update over that of the weights, per weight matrix, with the healthy 1e-3 as a guide.

    Arguments and errors are those of `plot_loss`.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x / 3, y, epochs=2, callbacks=[monitor])
    >>> figure = pynn.plots.plot_update_ratios(monitor)
    >>> len(figure.axes) > 0
    True
    """
    return _plot_layers(monitor, path, "update_ratio", "Update / weight", logarithmic=True, guide=True)


def plot_dead_units(monitor: Monitor, path: str | Path | None = None) -> Figure:
    """Draw the share of dead units of each rectifier layer over the steps; arguments and errors as in `plot_loss`.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(n=3000, seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x / 3, y, epochs=2, callbacks=[monitor])
    >>> figure = pynn.plots.plot_dead_units(monitor)
    >>> len(figure.axes) > 0
    True
    """
    return _plot_layers(monitor, path, "dead_fraction", "Dead units", logarithmic=False)


def plot_first_weights(monitor: Monitor, path: str | Path | None = None) -> Figure:
    """Draw the weights of the first layer: as images for filters or image inputs, otherwise as a matrix.

    Arguments and errors are those of `plot_loss`.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x / 3, y, epochs=2, callbacks=[monitor])
    >>> figure = pynn.plots.plot_first_weights(monitor)
    >>> len(figure.axes) > 0
    True
    """
    run = _read(monitor, path)
    weights = run.first_weights
    if weights is None or weights.ndim != 2 or not weights.size:
        raise ValueError("the monitor has seen no weight matrix")
    inputs, units = weights.shape
    shape = maps.image_shape(inputs, run.input_shape)
    aspect: Literal["auto", "equal"] = "equal"
    if run.filter_shape:
        picture, shown = maps.filter_tiles(weights, run.filter_shape)
        size = " x ".join(map(str, run.filter_shape))
        which = f"{units} filters" if shown == units else f"{shown} of {units} filters"
        title = f"Filters of the first layer: {which} of {size}"
    else:
        shown = units if shape is None else min(units, maps.MAX_TILES)
        picture = maps.weight_map(weights) if shape is None else maps.weight_tiles(weights, shape)
        aspect = "auto" if shape is None else "equal"
        which = f"{units} units" if shown == units else f"{shown} of {units} units"
        title = f"Weights of the first layer: {inputs} inputs, {which}"
    figure, axes = _one_panel()
    axes.imshow(_rgba(picture), interpolation="nearest", aspect=aspect)
    set_title(axes, title)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return saved(figure, path)


def plot_histograms(monitor: Monitor, layer: str, path: str | Path | None = None) -> Figure:
    """Draw histograms of a layer's outputs and their gradients over the steps: one column per step, darker is denser.

    Parameters
    ----------
    monitor : Monitor
    layer : str
        One of ``monitor.stats.layers``.
    path : path-like, optional
        As in `plot_loss`, with the same errors.

    Raises
    ------
    KeyError
        If there is no histogram of this layer.

    Examples
    --------
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> model = pynn.Sequential(pynn.Linear(2, 8), pynn.ReLU(), pynn.Linear(8, 3))
    >>> trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.SGD(0.1))
    >>> monitor = pynn.Monitor(on_problem="silent")
    >>> history = trainer.fit(x / 3, y, epochs=2, callbacks=[monitor])
    >>> figure = pynn.plots.plot_histograms(monitor, "1.ReLU")
    >>> len(figure.axes) > 0
    True
    """
    run = _read(monitor, path)
    if not isinstance(layer, str):
        raise TypeError(f"layer is {shortened(repr(layer))}; expected the name of a layer")
    pictures = {}
    for kind, title in (("activations", "Outputs"), ("gradients", "Gradients")):
        taken = [(s.step, getattr(s, kind)[layer]) for s in run.snapshots if layer in getattr(s, kind)]
        picture = maps.histogram_map([step for step, _ in taken], [histogram for _, histogram in taken], run.span)
        if picture is not None:
            pictures[title] = picture
    if not pictures:
        known = dict.fromkeys(name for s in run.snapshots for name in (*s.activations, *s.gradients))
        raise KeyError(f"no histogram of {layer!r}; there are of {', '.join(known) or 'no layers'}")
    figure = new_figure(len(pictures), legend=LEGEND)
    for axes, (title, picture) in zip(
        figure.subplots(1, len(pictures), squeeze=False)[0], pictures.items(), strict=True
    ):
        axes.imshow(_rgba(picture), interpolation="nearest", aspect="auto", extent=(0, 1, 0, 1))
        axes.set_yticks([1 - share for share, _ in picture.ticks], [text for _, text in picture.ticks])
        axes.set_xticks([0, 1], [f"{step:,}" for step in run.span])
        axes.set_xlabel("step", color=MUTED)
        set_title(axes, f"{title} of {layer}")
        axes.tick_params(colors=MUTED, length=0)
    return saved(figure, path)


def _read(monitor: Monitor, path: str | Path | None) -> RunFigures:
    check_format(path)
    run = RunFigures(checked(monitor))
    if not len(run.steps):
        raise ValueError("the monitor has seen no step to plot")
    return run


def _plot_layers(
    monitor: Monitor, path: str | Path | None, name: str, title: str, *, logarithmic: bool, guide: bool = False
) -> Figure:
    run = _read(monitor, path)
    columns = run.figure(name)
    if not columns:
        raise ValueError(f"no layer of this network has a {name!r}")
    figure, axes = _one_panel()
    if guide:
        axes.axhspan(*GOOD_RATIO_RANGE, color=GOOD, alpha=0.10, linewidth=0)
        axes.axhline(GOOD_RATIO, color=GOOD, linewidth=1.0, linestyle=(0, (6, 4)))
    for index, (layer, column) in enumerate(columns.items()):
        axes.plot(
            run.steps,
            _drawable(smoothed(column), logarithmic),
            label=layer,
            linewidth=1.5,
            **_style(index, len(columns)),
        )
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}%")
    _finish(axes, title)
    return saved(figure, path)


def _drawable(values: Floats, logarithmic: bool) -> Floats:
    shown = np.isfinite(values) & ((values > 0) | (not logarithmic))
    return np.where(shown, values, math.nan)


def _style(index: int, total: int) -> dict[str, Any]:
    """Return colour and dashes; many layers go from blue (first) to vermilion (last)."""
    if total > len(COLOURS) * len(_DASHES):
        share = index / (total - 1)
        return {"color": (0.84 * share, 0.45 - 0.08 * share, 0.70 * (1 - share))}
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": _DASHES[index // len(COLOURS)]}


def _one_panel() -> tuple[Figure, Axes]:
    figure = new_figure(1, legend=LEGEND)
    return figure, figure.subplots()


def _finish(axes: Axes, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))
    axes.margins(x=0.02, y=0.06)
    axes.set_xlabel("step", color=MUTED)
    drawing.finish(axes, title)
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > _MOST_NAMES:
        kept = np.unique(np.linspace(0, len(handles) - 1, _MOST_NAMES).round().astype(int))
        handles, labels = [handles[index] for index in kept], [labels[index] for index in kept]
    legend = axes.legend(
        handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=INK, frameon=False, fontsize=9
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _rgba(picture: Map) -> np.ndarray:
    return picture.image if picture.palette is None else picture.palette[picture.image]
