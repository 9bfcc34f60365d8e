"""Self-contained HTML page of a search: the best trial, warnings, pictures, and all trials."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from ...report.charts import Chart, Series, linear_ticks
from ...report.page import document, facts, fragment, table
from ...report.text import counted, percent, wants_log_scale
from ..samplers import grid
from ..text import ends, figure, metric_title, score_or_end, value
from ..trial import ENDED
from .reading import SHADES, TrialFigures, axis_name, cell, described
from .scatter import Axis, Point, scatter

if TYPE_CHECKING:
    from ..state import Trials
    from ..trial import Trial

#: Maximum numbers of loss curves, of parameters with a chart, and of table rows.
MAX_CURVES, MAX_PARAMETERS, MAX_ROWS = 24, 12, 500
#: Rows of the table in a notebook.
FEW_ROWS = 10


def page(result: Trials, *, title: str = "Hyperparameter search") -> str:
    """Return a search as a self-contained HTML page."""
    run = TrialFigures(result)
    sections = (_plane(run), _each(run), _importance(run), _curves(run), _against_grid(run), _trials(run))
    body = f"<header><h1>{escape(title)}</h1>{_verdict(run)}{_edges(run)}{_facts(run)}</header>"
    return document(title, f"{body}<main>{''.join(sections)}</main>", _style())


def notebook(result: Trials) -> str:
    """Return the page's beginning for a notebook: the best trial, warnings, where it goes well, and the best trials."""
    run = TrialFigures(result)
    more = '<p class="note"><code>result.to_html("search.html")</code> writes all pictures and trials.</p>'
    return fragment(_verdict(run) + _edges(run) + _facts(run) + _plane(run) + _trials(run, FEW_ROWS) + more, _style())


def _style() -> str:
    return files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def _verdict(run: TrialFigures) -> str:
    if run.best is None:
        return '<div class="verdict error" role="status"><h2>✖ No trial finished</h2></div>'
    metric = metric_title(run.result.metric)
    params = "".join(
        f"<span>{escape(name)} <b>{escape(value(found))}</b></span>" for name, found in run.best.params.items()
    )
    note = "; interrupted, results so far" if run.result.interrupted else ""
    return (
        f'<div class="verdict good" role="status"><h2>✓ Best {escape(metric)}: '
        f"{figure(run.best.score, run.result.metric)}</h2><p>trial {run.best.number + 1}, after "
        f'{counted(run.best.epochs, "epoch")}{note}</p><p class="best-params">{params}</p></div>'
    )


def _edges(run: TrialFigures) -> str:
    return "".join(
        f'<div class="verdict warning"><h2>▲ The range of {escape(edge.name)} may be too narrow</h2>'
        f"<p>{escape(str(edge)[:1].upper() + str(edge)[1:])}.</p></div>"
        for edge in run.result.edges
    )


def _facts(run: TrialFigures) -> str:
    trials = run.result.trials
    pairs = [("trials", f"{len(trials):,}")]
    pairs += [(ENDED[kind], f"{count:,}") for kind, count in ends(trials).items() if kind != "finished"]
    pairs += [("stages", str(len(run.result.stages))), ("sampler", run.result.sampler)]
    return facts([*pairs, ("time of all trials", _duration(sum(trial.seconds for trial in trials)))])


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _points(run: TrialFigures, x: str, y: str) -> list[Point]:
    """Return the trials over two parameters, worst first, so that the best are on top."""
    found = []
    for trial in sorted(run.begun, key=lambda trial: (trial is run.best, trial.ended == "finished", run.shade(trial))):
        if x in trial.params and y in trial.params:
            found += _point(run, trial, run.share(x, trial), run.share(y, trial))
    return found


def _point(run: TrialFigures, trial: Trial, x: float, y: float) -> list[Point]:
    text = described(run.result, trial)
    if trial.ended != "finished":
        return [Point(x, y, "cross", text)]
    found = [Point(x, y, f"point q{run.shade(trial)}", text)]
    return [Point(x, y, "ring"), *found] if trial is run.best else found


def _legend(run: TrialFigures) -> str:
    shades = "".join(f'<i class="q{shade}"></i>' for shade in range(SHADES))
    crosses = "" if all(trial.ended == "finished" for trial in run.begun) else "<span>✕ ended early or failed</span>"
    best = '<i class="best"></i><span>the best</span>'
    return f'<p class="shades"><span>worse</span>{shades}<span>better</span>{best}{crosses}</p>'


def _plane(run: TrialFigures) -> str:
    names = run.axes()
    if len(names) < 2 or not run.begun:
        return ""
    x, y = names[:2]
    ranges = run.result.space.ranges
    if ranges[y].is_log and not ranges[x].is_log:
        x, y = y, x
    label = f"{len(run.begun)} trials over {x} and {y}"
    if run.best is not None:
        label += f"; the best at {x} {cell(run.best, x)}, {y} {cell(run.best, y)}"
    picture = scatter(
        f"Trials over {x} and {y}", _points(run, x, y), Axis.of(x, ranges[x]), Axis.of(y, ranges[y]), label=label
    )
    lead = "The two most important ranges. Hover over a trial for details." if len(names) > 2 else ""
    lead = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section><h2>Where it goes well</h2>{lead}<div class="charts">{picture}</div>{_legend(run)}</section>'


def _each(run: TrialFigures) -> str:
    """Return the score over each range."""
    finished = [trial for trial in run.begun if trial.ended == "finished"]
    if len(finished) < 2:
        return ""
    scores = np.array([trial.score for trial in finished])
    low, high = float(scores.min()), float(scores.max())
    quartile = float(np.quantile(scores, 0.75))
    if quartile > low and not run.result.maximize:
        high = min(high, quartile + 3 * (quartile - low))  # outliers would squeeze the rest into a line
    span = high - low or 1.0
    share = run.result.metric.endswith("accuracy")
    ticks = [((tick - low) / span, percent(tick) if share else f"{tick:g}") for tick in linear_ticks(low, high)]
    metric = metric_title(run.result.metric)
    charts = []
    for name in run.axes()[:MAX_PARAMETERS]:
        points: list[Point] = []
        for trial in sorted(finished, key=lambda trial: (trial is run.best, run.shade(trial))):
            if name in trial.params:
                points += _point(run, trial, run.share(name, trial), min((trial.score - low) / span, 1.0))
        across = Axis.of(name, run.result.space.ranges[name])
        charts.append(scatter(name, points, across, Axis(metric, ticks), label=f"{metric} over {name}"))
    if not charts:
        return ""
    return f'<section><h2>Parameter by parameter</h2><div class="charts">{"".join(charts)}</div></section>'


def _importance(run: TrialFigures) -> str:
    if len(run.importance) < 2:
        return ""
    largest = max(run.importance.values()) or 1.0
    rows = "".join(
        f'<dt title="{escape(name)}">{escape(name)}</dt>'
        f'<dd><div class="bar" style="width:{100 * share / largest:.1f}%"></div></dd>'
        f'<dd class="share">{percent(share)}</dd>'
        for name, share in run.importance.items()
    )
    epochs = run.result.stages[0].epochs
    lead = (
        f"The share of the scores' variance that each parameter explains, by fANOVA, after "
        f"{counted(epochs, 'epoch')}. From few trials it is a rough guess."
    )
    return f'<section><h2>What matters</h2><p class="lead">{lead}</p><dl class="bars">{rows}</dl></section>'


def _curves(run: TrialFigures) -> str:
    """Return the loss curves of the best trials, and of some that ended early."""
    early = [trial for trial in run.begun if trial.ended == "early" and len(trial.history.get("loss", []))]
    shown = [*run.order[: MAX_CURVES - min(len(early), MAX_CURVES // 4)], *early[: MAX_CURVES // 4]]
    shown = [trial for trial in shown if trial.history.get("loss")]
    if not shown:
        return ""
    values = [value for trial in shown for name in ("loss", "val_loss") for value in trial.history.get(name, [])]
    finite = np.array([value for value in values if np.isfinite(value)] or [1.0])
    logarithmic = wants_log_scale(finite)
    span = (float(finite.min()), float(finite.max()))
    longest = max(len(trial.history["loss"]) for trial in shown)
    charts = "".join(_curve(run, trial, span, longest, logarithmic) for trial in shown)
    lead = f"The best trials first, all on the same scales{', the losses on a logarithmic one' if logarithmic else ''}."
    return (
        f'<section><h2>Loss curves side by side</h2><p class="lead">{lead}</p>'
        f'<div class="layer"><div class="charts small">{charts}</div></div></section>'
    )


def _curve(run: TrialFigures, trial: Trial, span: tuple[float, float], longest: int, logarithmic: bool) -> str:
    epochs = np.arange(1, len(trial.history["loss"]) + 1)
    series = [Series("training", epochs, np.array(trial.history["loss"]), "s0", dots=len(epochs) == 1)]
    if "val_loss" in trial.history:
        series.append(Series("validation", epochs, np.array(trial.history["val_loss"]), "s1", dots=len(epochs) == 1))
    params = ", ".join(f"{name} {cell(trial, name)}" for name in trial.params)
    return Chart(
        f"{trial.number + 1}: {score_or_end(trial, run.result.metric)}",
        series,
        scale="log" if logarithmic else "linear",
        note=params,
        legend=False,
        steps=(1, max(longest, 2)),
        x="epoch",
        values=span,
    ).html()


def _against_grid(run: TrialFigures) -> str:
    """Return the lecture's picture: the tried values of each parameter, and those of a grid of the same size."""
    names = run.axes()
    trials = [trial for trial in run.result.trials if trial.stage == 0]
    if len(names) < 2 or len(trials) < 4 or run.result.sampler == "grid":
        return ""
    x, y = names[:2]
    ranges = run.result.space.ranges
    try:
        grid_points = grid(run.result.space, len(trials))
    except ValueError:
        return ""
    axes = Axis.of(x, ranges[x]), Axis.of(y, ranges[y])
    pictures = []
    for title, params in (
        (f"{len(trials)} trials, {run.result.sampler}", [t.params for t in trials]),
        (f"a grid of {len(grid_points)}", grid_points),
    ):
        both = [p for p in params if x in p and y in p]
        points = [Point(ranges[x].share(p[x]), ranges[y].share(p[y]), "dot") for p in both]  # type: ignore[arg-type]
        points += [Point(point.x, 0, "tick below") for point in points if point.kind == "dot"]
        points += [Point(0, point.y, "tick beside") for point in points if point.kind == "dot"]
        many = [len({repr(p[name]) for p in both}) for name in (x, y)]
        note = f"{many[0]} values of {x}, {many[1]} of {y}"
        pictures.append(scatter(title, points, *axes, note=note, label=f"{title}: {note}"))
    lead = (
        "Only a few parameters matter. A grid spends its trials on few values of each; trials at random try a new "
        f"value of each every time. These are the first stage's trials over {axis_name(run.result, x)} and "
        f"{axis_name(run.result, y)}, and the grid that as many trials would have made."
    )
    charts = f'<div class="charts">{"".join(pictures)}</div>'
    return f'<section><h2>Random against grid</h2><p class="lead">{escape(lead)}</p>{charts}</section>'


def _trials(run: TrialFigures, maximum: int = MAX_ROWS) -> str:
    trials = [*run.order, *(trial for trial in run.result.trials if trial not in run.order)]
    names = [name for name, _ in run.result.space]
    metric = metric_title(run.result.metric)
    rows = []
    for trial in trials[:maximum]:
        score = figure(trial.score, run.result.metric) if trial.ended == "finished" else ""
        how = ENDED[trial.ended] if trial.ended != "finished" else ""
        if trial.continues is not None:
            how = f"trains on trial {trial.continues + 1}" + (f"; {how}" if how else "")
        why = f"{how}: {trial.reason}" if trial.reason else how
        cells = [score, str(trial.stage + 1), str(trial.epochs), f"{trial.seconds:.2f}"]
        cells += [escape(cell(trial, name)) for name in names]
        rows.append([str(trial.number + 1), *cells, escape(why[:300])])
    heads = ["trial", metric, "stage", "epochs", "seconds", *names, "remark"]
    if not any(row[-1] for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    caption = "Trials, best first" + (f" ({maximum} of {len(trials)})" if len(trials) > maximum else "")
    return f'<section><h2>Trials</h2><div class="tables">{table(caption, heads, rows, ("remark",))}</div></section>'
