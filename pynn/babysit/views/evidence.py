"""The chart or picture beside a finding: the figures that its rule read, with the threshold and the steps marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...report.charts import Chart, Series
from ...report.text import smoothed, written
from . import maps
from .reading import LAYER_FIGURES, RunFigures
from .sections import picture_figure, trained

if TYPE_CHECKING:
    from ...report.charts import Scale
    from ..findings import Finding

#: The figure of layers that the rules on a symptom read, its scale, and the threshold.
OF_LAYERS: dict[str, tuple[str, Scale, str | None]] = {
    "saturated_units": ("saturated_fraction", "share", "many_saturated"),
    "dead_units": ("dead_fraction", "share", "many_dead"),
    "zigzag": ("zigzag", "share", "zigzag"),
    "lr_too_high": ("update_ratio", "log", "large_ratio"),
    "lr_too_low": ("update_ratio", "log", "small_ratio"),
    "vanishing_gradient": ("gradient_rms", "log", None),
    "exploding_gradient": ("gradient_rms", "log", None),
    "regularisation_too_strong": ("weight_norm", "log", None),
}
#: Symptoms that are read from the distribution of a layer's outputs.
OF_OUTPUTS = frozenset({"bad_initialisation", "symmetric_units"})
#: Symptoms that are judged by what the network gets right.
OF_ACCURACY = frozenset({"class_imbalance"})
#: Maximum number of layers in one chart.
MAX_LINES = 4


def evidence(run: RunFigures, finding: Finding) -> str:
    """Return the chart or picture beside a finding; empty if nothing of it was recorded."""
    if not len(run.steps):
        return ""
    if finding.symptom in OF_OUTPUTS and finding.layer is not None:
        picture = _outputs(run, finding.layer)
        if picture:
            return picture
    chart = _inputs(run, finding) or _layers(run, finding) or _curve(run, finding)
    return "" if chart is None else chart.html()


def _inputs(run: RunFigures, finding: Finding) -> Chart | None:
    """Return the scale of the inputs."""
    values = run.input_rms
    if finding.symptom != "input_not_normalised" or np.isnan(values).all():
        return None
    series = [Series("inputs", run.steps, values, "s0")]
    title = "Root mean square of a minibatch's inputs"
    return _chart(run, finding, title, series, "linear", run.limits.large_input)


def _layers(run: RunFigures, finding: Finding) -> Chart | None:
    """Return a figure of the affected layer, or of those where it is largest or smallest."""
    if finding.symptom in OF_LAYERS:
        name, scale, threshold = OF_LAYERS[finding.symptom]
    elif finding.layer in run.layers:
        name, scale, threshold = "std", "linear", None
    else:
        return None
    columns = run.figure(name)
    if finding.layer in columns and not name.startswith("gradient"):  # gradients are compared between layers
        columns = {finding.layer: columns[finding.layer]}
    if not columns:
        return None
    shown = np.unique(np.linspace(0, len(columns) - 1, min(len(columns), MAX_LINES)).round().astype(int))
    names = [list(columns)[index] for index in shown]
    series = [Series(layer, run.steps, smoothed(columns[layer]), f"s{index}") for index, layer in enumerate(names)]
    limit = None if threshold is None else float(getattr(run.limits, threshold))
    title = LAYER_FIGURES[name]
    return _chart(run, finding, title[:1].upper() + title[1:], series, scale, limit)


def _curve(run: RunFigures, finding: Finding) -> Chart | None:
    """Return the loss or the accuracy."""
    name = "accuracy" if finding.symptom in OF_ACCURACY and trained(run, "accuracy") else "loss"
    series = trained(run, name)
    return _chart(run, finding, name.capitalize(), series, "share" if name == "accuracy" else "linear", None)


def _chart(
    run: RunFigures, finding: Finding, title: str, series: list[Series], scale: Scale, limit: float | None
) -> Chart:
    drawn = np.concatenate([np.asarray(each.values, np.float64) for each in series])
    finite = drawn[np.isfinite(drawn)]
    if scale == "linear" and len(finite) and finite.min() > 0 and max(finite.max(), limit or 0) > 20 * finite.min():
        scale = "log"
    if limit is not None:
        title += f"; dashed: {f'{limit:.0%}' if scale == 'share' else written(limit)}"
    seen = (finding.step, finding.last_step, finding.severity)
    return Chart(title, series, scale, heading="h4", steps=run.span, limit=limit, seen=seen, legend=len(series) > 1)


def _outputs(run: RunFigures, layer: str) -> str:
    """Return the histograms of a layer's outputs over the run, or of the activation's that is fused into it."""
    held = {name for snapshot in run.snapshots for name in snapshot.activations}
    names = list(run.layers)
    following = names[names.index(layer) :] if layer in names else []
    layer = next((name for name in following if name in held), layer)
    taken = [
        (snapshot.step, snapshot.activations[layer]) for snapshot in run.snapshots if layer in snapshot.activations
    ]
    picture = maps.histogram_map([step for step, _ in taken], [histogram for _, histogram in taken], run.span)
    if picture is None:
        return ""
    return picture_figure(
        picture, f"Outputs of {layer} over time", "", f"histograms of the outputs of {layer} over steps"
    )
