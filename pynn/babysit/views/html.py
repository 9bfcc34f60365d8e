"""Self-contained HTML page of a run, also for phones: verdict, findings, charts and figures."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from ...report.history import epoch_table
from ...report.page import document, facts, fragment, table
from ...report.text import SYMBOLS, last_finite, percent, written
from . import sections
from .evidence import evidence
from .reading import LAYER_FIGURES, RunFigures, place, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..findings import Finding
    from .reading import Watched


def page(
    monitor: Watched,
    *,
    title: str = "Training report",
    about: Mapping[str, str] | None = None,
    tables: Iterable[tuple[str, list[str], list[list[str]]]] = (),
) -> str:
    """Return the page that `Monitor.to_html` writes, whose docstring describes `about` and `tables`."""
    run = RunFigures(monitor)
    body = [f"<header><h1>{escape(title)}</h1>{_verdict(run)}{_facts(run)}</header>", "<main>"]
    body += [
        table(caption, heads, [[row[0], *map(escape, row[1:])] for row in rows]) for caption, heads, rows in tables
    ]
    if about:
        body.append(table("The run", ["", ""], [[name, escape(value)] for name, value in about.items()], ("",)))
    body.append(_findings(run))
    if len(run.steps):
        body += [sections.course(run), sections.comparison(run), sections.each_layer(run)]
    body.append(sections.first_weights(run))
    body.append(_tables(run))
    body.append("</main>")
    return document(title, "\n".join(body))


def notebook(monitor: Watched) -> str:
    """Return the page's beginning for a notebook: verdict, findings, and the course of the run."""
    run = RunFigures(monitor)
    course = sections.course(run) if len(run.steps) else ""
    more = '<p class="note"><code>monitor.to_html("run.html")</code> writes all figures, layer by layer.</p>'
    return fragment(_verdict(run) + _facts(run) + _findings(run) + course + more)


def _verdict(run: RunFigures) -> str:
    kind: str
    if run.verdict:
        first = run.verdict[0]
        more = len(run.verdict) - 1
        others = f" It is the likeliest cause; {more} more finding{'s' if more > 1 else ''} below." if more else ""
        kind, heading = first.severity, f"{SYMBOLS[first.severity]} {escape(words(first.symptom))}"
        text = (
            f"<p>{escape(_sentence(first.evidence))} <span class='note'>({escape(place(first))})</span>{others}</p>"
            f"<p><strong>What to do:</strong> {escape(_sentence(first.advice))}</p>"
        )
    elif not len(run.steps) and not len(run.history):
        kind, heading, text = "info", "Nothing to judge yet", "<p>No step of a training run was watched.</p>"
    else:
        notes = len(run.findings)
        kind, heading = "good", "✓ No fault found"
        text = f"<p>{notes} note{'s' if notes > 1 else ''} below, no fault claimed.</p>" if notes else ""
    return f'<div class="verdict {kind}" role="status"><h2>{heading}</h2>{text}</div>'


def _facts(run: RunFigures) -> str:
    pairs = []
    if len(run.steps):
        pairs.append(("steps", f"{int(run.steps[-1]):,}"))
        pairs.append(("epochs", f"{len(run.history):,}"))
    for name, text in (("loss", written), ("accuracy", percent)):
        for column, label in ((name, f"training {name}"), (f"val_{name}", f"validation {name}")):
            values = run.of_epochs(column)
            if values is not None:
                pairs.append((label, text(last_finite(values))))
    if not len(run.history) and len(run.steps):
        pairs.append(("last loss", written(float(run.loss[-1]))))
    return facts(pairs)


def _findings(run: RunFigures) -> str:
    found = run.findings
    if not found:
        return ""
    lead = (
        "Likeliest cause first; later ones are often consequences. Beside each are the figures that it was read from, "
        "with the steps at which it was seen shaded. The numbers mark the charts below."
    )
    return f'<section><h2>Findings</h2><p class="lead">{lead}</p>{numbered(found, run)}</section>'


def numbered(findings: list[Finding], run: RunFigures | None = None) -> str:
    """Return findings as a numbered list, of a run beside the figures that they were read from."""
    charts = ["" if run is None else evidence(run, finding) for finding in findings]
    items = "".join(_finding(*item) for item in zip(range(1, len(findings) + 1), findings, charts, strict=True))
    return f'<ol class="findings">{items}</ol>'


def _finding(number: int, finding: Finding, chart: str) -> str:
    badge = f'<span class="badge {finding.severity}">{SYMBOLS[finding.severity]} {finding.severity}</span>'
    return (
        f'<li class="finding" id="finding-{number}"><header><span class="number">{number}</span>'
        f'<h3>{escape(words(finding.symptom))}</h3>{badge}<span class="note">{escape(place(finding))}</span></header>'
        f'<div class="evidence small"><div><p>{escape(_sentence(finding.evidence))}</p>'
        f'<p class="advice">{escape(_sentence(finding.advice))}</p></div>{chart}</div></li>'
    )


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."


def _tables(run: RunFigures) -> str:
    tables = _layer_table(run) + epoch_table(run.history)
    return f'<section><h2>Figures</h2><div class="tables">{tables}</div></section>' if tables else ""


def _layer_table(run: RunFigures) -> str:
    if not len(run.steps):
        return ""
    used = [name for name in LAYER_FIGURES if run.figure(name)]
    if not used:
        return ""
    body = []
    for layer, figures in run.layers.items():
        last = {name: float(column[-1]) for name, column in figures.items()}
        if last:
            body.append([layer, *(_layer_cell(name, last.get(name, math.nan)) for name in used)])
    step = int(run.steps[-1])
    return table(f"Layers at step {step:,}", ["layer", *(LAYER_FIGURES[name] for name in used)], body)


def _layer_cell(name: str, value: float) -> str:
    return percent(value) if name.endswith("fraction") or name == "zigzag" else written(value, 3)
