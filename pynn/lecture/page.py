"""Self-contained HTML page of the results: claims, outcomes and code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..report.page import delivered, document, facts
from .catalogue import SECTIONS, experiments
from .definition import Experiment
from .entry import FAILED, LABELS, MISSING, duration, entry, headline, label_of, style
from .results import ExperimentResult

TITLE = "Training Neural Networks, Part 1, claim by claim"


def write_page(results: Sequence[ExperimentResult], path: str | Path) -> None:
    """Write the page, with an entry for every experiment, including those not run.

    Parameters
    ----------
    results : sequence of ExperimentResult
    path : path-like
        File to write; it is replaced atomically.
    """
    delivered(page(results), path)


def page(results: Sequence[ExperimentResult]) -> str:
    """Return the page that `write_page` writes."""
    found = {result.experiment.name: result for result in results}
    entries = [
        (found[name].experiment if name in found else item, found.get(name)) for name, item in experiments().items()
    ]
    parts = [f"<header><h1>{TITLE}</h1>{_lead(results)}</header><main>", _overview(entries)]
    for section, title in SECTIONS.items():
        cards = "".join(entry(item, result) for item, result in entries if item.section == section)
        parts.append(f'<section id="{section}"><h2>{title}</h2>{cards}</section>')
    return document(TITLE, "".join(parts) + "</main>", style())


def _lead(results: Sequence[ExperimentResult]) -> str:
    counts = Counter(map(label_of, results))
    counts[MISSING] = len(experiments()) - sum(counts.values())
    pairs = [(label.words, f"{counts[label]}") for label in (*LABELS.values(), FAILED, MISSING) if counts[label]]
    pairs.append(("time of all runs", f"{sum(result.seconds for result in results) / 60:.1f} min"))
    return (
        '<p class="lead">Every claim of the lecture (CS231n, Stanford), measured. Each figure of a claim has a '
        "band, fixed before the measurement unless a remark says otherwise; a figure is in its band if four of five "
        "seeds are. The first figure decides whether the claim is reproduced; the others, its further parts and "
        "controls, can reduce the outcome to partly reproduced.</p>"
        f"{facts(pairs)}"
    )


def _overview(entries: Sequence[tuple[Experiment, ExperimentResult | None]]) -> str:
    rows = []
    for item, result in entries:
        label = label_of(result)
        rows.append(
            f'<tr><th scope="row"><a href="#{item.name}">{item.name}</a></th>'
            f'<td><span class="badge {label.kind}">{label}</span></td>'
            f"<td>{escape(headline(item, result))}</td><td>{duration(result)}</td></tr>"
        )
    heads = "".join(f'<th scope="col">{text}</th>' for text in ("claim", "outcome", "first figure", "time"))
    return (
        '<section><h2>Overview</h2><div class="scroll" tabindex="0" role="region" aria-label="Overview">'
        f'<table class="overview"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></section>'
    )
