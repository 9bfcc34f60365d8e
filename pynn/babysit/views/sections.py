"""The charts and pictures of the HTML report, section by section."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ...report import pixels
from ...report.charts import Chart, Mark, Series, power_of_ten, step_axis
from ...report.text import smoothed
from . import maps
from .reading import GOOD_RATIO, GOOD_RATIO_RANGE, RunFigures

if TYPE_CHECKING:
    from ...report.charts import Scale
    from ...report.text import Floats
    from .maps import Map

#: Maximum number of layers in a line chart; more become a picture with one row each.
MAX_LINES = 7
#: Layers shown individually: visible at once, and after a click.
LAYERS_AT_ONCE, MAX_LAYERS = 8, 48
#: Findings within this share of the run share one label.
MARK_REACH, MAX_MARKS = 0.05, 24


def marks(run: RunFigures) -> list[Mark]:
    """Return the starts of findings with their numbers; close ones are merged."""
    steps = run.steps
    if not len(steps):
        return []
    reach = MARK_REACH * max(int(steps[-1] - steps[0]), 1)
    numbered = sorted(enumerate(run.findings[:MAX_MARKS], 1), key=lambda pair: (pair[1].step, pair[0]))
    groups: list[list[tuple[int, int, str]]] = []
    for number, finding in numbered:
        entry = (finding.step, number, finding.severity)
        if groups and finding.step - groups[-1][0][0] <= reach:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    result = []
    for group in groups:
        first = min(group, key=lambda entry: entry[1])
        numbers = sorted(number for _, number, _ in group)
        label = ",".join(map(str, numbers[:2])) + ("…" if len(numbers) > 2 else "")
        result.append(Mark(group[0][0], label, first[2]))
    return result


def course(run: RunFigures) -> str:
    """Return loss, accuracy and learning rate over the run."""
    charts = [_loss(run), _accuracy(run), _rate(run)]
    return _section("Course of the run", "", charts)


def _loss(run: RunFigures) -> Chart:
    series = trained(run, "loss")
    values = np.concatenate([entry.values for entry in series])
    finite = values[np.isfinite(values)]
    wide = len(finite) and finite.min() > 0 and finite.max() / finite.min() > 10
    lost = int((~np.isfinite(run.loss)).sum())
    note = f"{lost} of {len(run.steps)} values are not finite and left out." if lost else ""
    return Chart("Loss", series, "log" if wide else "linear", note, marks(run))


def _accuracy(run: RunFigures) -> Chart | None:
    series = trained(run, "accuracy")
    return Chart("Accuracy", series, "share", marks=marks(run)) if series else None


def trained(run: RunFigures, name: str) -> list[Series]:
    """Return the curves of loss or accuracy in training and validation."""
    values, validation = (run.loss if name == "loss" else run.accuracy), run.of_epochs(f"val_{name}")
    series = []
    if name == "loss" or not np.isnan(values).all():
        mean = smoothed(values)
        if not np.array_equal(mean, values, equal_nan=True):
            series.append(Series("each step", run.steps, values, "muted", labelled=False))
        series.append(Series("training", run.steps, mean, "s0"))
    if validation is not None:
        series.append(Series("validation", run.epoch_steps(), validation, "s1", dots=len(validation) <= 40))
    return series


def _rate(run: RunFigures) -> Chart | None:
    values = run.lr
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() == finite.max():
        return None
    scale: Scale = "log" if finite.min() > 0 and finite.max() > 100 * finite.min() else "linear"
    return Chart("Learning rate", [Series("learning rate", run.steps, values, "s0")], scale, legend=False)


def comparison(run: RunFigures) -> str:
    """Return the charts that compare layers."""
    ratio = (
        "Size of a step against the size of the weights, per weight matrix. "
        "Healthy is about 0.001; the shaded band is 0.0001 to 0.01."
    )
    charts = [
        _layers(run, "update_ratio", "Update ratios", "log", ratio),
        _layers(
            run,
            "gradient_rms",
            "Gradients",
            "log",
            "Root mean square of the loss's gradient with respect to each layer's output. "
            "Far smaller towards the input: vanishing; far larger: exploding.",
        ),
        _layers(
            run,
            "std",
            "Spread of the outputs",
            "log",
            "Standard deviation of each layer's outputs; it should neither die out nor blow up with depth.",
        ),
        _layers(run, "dead_fraction", "Dead units", "share", "Units that no example of the window activated."),
        _layers(
            run, "saturated_fraction", "Saturated outputs", "share", "Outputs where the activation is nearly flat."
        ),
        _layers(run, "zero_fraction", "Zero outputs", "share", "About half is normal after a ReLU."),
    ]
    return _section("Layers compared", "", charts)


def _layers(run: RunFigures, name: str, title: str, scale: Scale, note: str) -> Chart | str | None:
    columns = run.figure(name)
    if scale == "share":
        columns = {layer: column for layer, column in columns.items() if np.nanmax(column) > 0}
    if not columns:
        return None
    steps = run.steps
    if len(columns) > MAX_LINES:
        return _layer_picture(run, columns, title, scale, note, ratio=name == "update_ratio")
    series = [
        Series(layer, steps, smoothed(column), f"s{index}") for index, (layer, column) in enumerate(columns.items())
    ]
    guide = (GOOD_RATIO_RANGE[0], GOOD_RATIO, GOOD_RATIO_RANGE[1]) if name == "update_ratio" else None
    return Chart(title, series, scale, note, marks(run), guide)


def _layer_picture(
    run: RunFigures, columns: dict[str, Floats], title: str, scale: Scale, note: str, *, ratio: bool
) -> str:
    values, low, high, bar = list(columns.values()), 0.0, 1.0, scale_bar("ramp", "0", "100%")
    palette = pixels.ramp()
    if scale == "log":
        values = [np.log10(np.where((c > 0) & np.isfinite(c), c, np.nan)) for c in values]
        finite = np.concatenate([column[np.isfinite(column)] for column in values])
        low, high = (math.floor(finite.min()), math.ceil(finite.max())) if len(finite) else (0, 1)
        if ratio:
            low, high, palette = -6, 0, pixels.two_sided()
            note = "Size of a step against the size of the weights, per weight matrix. Without colour: 0.001, healthy."
        bar = scale_bar("two" if ratio else "ramp", power_of_ten(int(low)), power_of_ten(int(high)))
    picture = maps.layer_map(run.steps, values, low, high, palette)
    names = list(columns)
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), 12)).round().astype(int))
    picture.ticks = [((row + 0.5) / len(names), names[row]) for row in shown]
    height = max(13.0, min(0.45 * len(names), 40.0))
    return picture_figure(
        picture, title, note, f"{title} of {len(names)} layers over steps", bar, "h3", named=True, height=height
    )


def each_layer(run: RunFigures) -> str:
    """Return outputs, gradients and unit activity of each layer over the run."""
    watched = run.figure("std")
    held = {name for snapshot in run.snapshots for name in (*snapshot.activations, *snapshot.gradients)}
    shown = [name for name in run.layers if name in held or name in watched]
    if not shown:
        return ""
    left_out = ""
    if len(shown) > MAX_LAYERS:
        kept = {shown[index] for index in np.linspace(0, len(shown) - 1, MAX_LAYERS).round().astype(int)}
        kept |= {finding.layer for finding in run.verdict[:MAX_LAYERS] if finding.layer in shown}
        left_out = f" {len(kept)} of the {len(shown)} layers are shown; the table below has all."
        shown = [name for name in shown if name in kept]
    parts = [_one_layer(run, name) for name in shown]
    body = "".join(parts[:LAYERS_AT_ONCE])
    if parts[LAYERS_AT_ONCE:]:
        rest = "".join(parts[LAYERS_AT_ONCE:])
        body += f"<details><summary>{len(parts) - LAYERS_AT_ONCE} more layers</summary>{rest}</details>"
    lead = (
        "Outputs and gradients as histograms over the run: each column is one moment, the colour says how many values "
        "lie there. Units of rectified layers are sorted by how often they were active at the end; a dead channel is "
        "active at no position of any image." + left_out
    )
    return f'<section><h2>Layer by layer</h2><p class="lead">{lead}</p>{body}</section>'


def _one_layer(run: RunFigures, name: str) -> str:
    figures = [_outputs(run, name)]
    for kind, title in (("activations", "Outputs over time"), ("gradients", "Gradients over time")):
        taken = [(s.step, getattr(s, kind)[name]) for s in run.snapshots if name in getattr(s, kind)]
        picture = maps.histogram_map([step for step, _ in taken], [histogram for _, histogram in taken], run.span)
        if picture is not None:
            figures.append(picture_figure(picture, title, "", f"histograms of the {kind} of {name} over steps"))
    units = [(snapshot.step, snapshot.active[name]) for snapshot in run.snapshots if name in snapshot.active]
    if units:
        picture = maps.activity_map([step for step, _ in units], [shares for _, shares in units], run.span)
        figures.append(_units(run, name, picture, units[-1][1]))
    return f'<section class="layer"><h3>{escape(name)}</h3><div class="charts small">{"".join(figures)}</div></section>'


def _outputs(run: RunFigures, name: str) -> str:
    mean, spread = (run.layers[name].get(figure) for figure in ("mean", "std"))
    if mean is None or spread is None:
        return ""
    series = [Series("mean", run.steps, smoothed(mean), "s0", spread=smoothed(spread))]
    return Chart("Output mean ± std", series, heading="h4", legend=False).html()


def _units(run: RunFigures, name: str, picture: Map, last: np.ndarray) -> str:
    never, what = f"never ({int((last == 0).sum())} of {len(last)})", run.unit(name)
    bar = scale_bar("ramp", "rarely", "always", f'<span><i class="never"></i>{never}</span>')
    alt = f"how often the {what}s of {name} were active over steps; {never}"
    return picture_figure(picture, f"Activity of {what}s", "", alt, bar)


def first_weights(run: RunFigures) -> str:
    """Return the weights of the first layer: as images for filters or image inputs, otherwise as a matrix."""
    weights = run.first_weights
    if weights is None or weights.ndim != 2 or not weights.size:
        return ""
    if run.filter_shape:
        return _filters(run, weights)
    inputs, units = weights.shape
    shape = maps.image_shape(inputs, run.input_shape)
    if shape is None:
        picture, width = maps.weight_map(weights), "100%"
        lead = f"{_count(inputs, 'input')} from the top, {_count(units, 'unit')} from the left."
        style = f"width:{width};height:{min(max(inputs * 8, 96), 420)}px"
    else:
        picture = maps.weight_tiles(weights, shape)
        shown = min(units, maps.MAX_TILES)
        which = f"The first {shown} of {units} units" if shown < units else _count(units, "unit")
        lead = f"{which}, each with its {shape[1]} x {shape[2]} inputs, scaled for itself."
        lead += " Shapes mean that it has learned something; noise all over, that it has not, or that it overfits."
        zoom = max(1, min(8, 900 // picture.image.shape[1]))
        style = f"width:{picture.image.shape[1] * zoom}px"
    colours = "" if shape is not None and shape[0] == 3 else scale_bar("two", "negative", "positive")
    alt = f"weights of the first layer, {_count(inputs, 'input')}, {_count(units, 'unit')}"
    return _weights("Weights of the first layer", weights, lead, picture, style, alt, colours)


def _filters(run: RunFigures, weights: np.ndarray) -> str:
    """Return the filters of the first layer as pictures."""
    channels, *window = run.filter_shape
    size, units = " x ".join(map(str, window)), weights.shape[1]
    picture, shown = maps.filter_tiles(weights, run.filter_shape)
    which = f"The first {shown} of {units} filters" if shown < units else _count(units, "filter")
    lead = f"{which} of {size}, each scaled for itself: {maps.how_filters_are_shown(channels)}."
    colours = scale_bar("two", "negative", "positive") if picture.palette is not None else ""
    style = f"width:{picture.image.shape[1] * max(1, min(12, 900 // picture.image.shape[1]))}px"
    alt = f"filters of the first layer, {units} of {_count(channels, 'channel')} and {size}"
    return _weights("Filters of the first layer", weights, lead, picture, style, alt, colours)


def _weights(title: str, weights: np.ndarray, lead: str, picture: Map, style: str, alt: str, colours: str) -> str:
    lost = int((~np.isfinite(weights)).sum())
    if lost:
        lead += f" {_count(lost, 'weight')} of {weights.size:,} not finite, left blank."
    return (
        f'<section><h2>{title}</h2><p class="lead">{lead}</p>'
        f'<img class="weights" style="{style}" alt="{alt}" src="{picture.uri()}">{colours}</section>'
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def picture_figure(
    picture: Map,
    title: str,
    note: str,
    alt: str,
    bar: str = "",
    heading: str = "h4",
    *,
    named: bool = False,
    height: float | None = None,
) -> str:
    """Return a picture over steps as a figure element."""
    labels = "".join(
        f'<span style="top:{100 * share:.1f}%" title="{escape(text)}">{escape(text)}</span>'
        for share, text in picture.ticks
    )
    note = f'<p class="note">{escape(note)}</p>' if note else ""
    style = f' style="height:{height:g}rem"' if height else ""
    return (
        f'<figure class="chart map"><figcaption><{heading}>{escape(title)}</{heading}>{note}{bar}</figcaption>'
        f'<div class="plot{" named" if named else ""}"><div class="values" aria-hidden="true">{labels}</div>'
        f'<div class="area"{style}><img alt="{escape(alt)}" src="{picture.uri()}"></div>'
        f"{step_axis(*picture.span)}</div></figure>"
    )


def scale_bar(kind: str, low: str, high: str, more: str = "") -> str:
    """Return the colour legend of a picture."""
    return f'<div class="scale" aria-hidden="true"><span>{low}<i class="{kind}"></i>{high}</span>{more}</div>'


def _section(title: str, lead: str, charts: list[Chart | None] | list[Chart | str | None]) -> str:
    drawn = [chart if isinstance(chart, str) else chart.html() for chart in charts if chart is not None]
    if not drawn:
        return ""
    lead = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section><h2>{title}</h2>{lead}<div class="charts">{"".join(drawn)}</div></section>'
