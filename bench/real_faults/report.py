"""Readable results: the table, the misjudged cases, and the README's figures."""

from __future__ import annotations

from pathlib import Path

from pynn.utils.files import write_atomically

from .score import Outcome, figures

README = Path(__file__).with_name("README.md")
MARKS = "<!-- figures: python -m bench.real_faults.run -->", "<!-- end of figures -->"


def table(outcomes: list[Outcome]) -> str:
    """Return the figures of both halves and of all as a Markdown table."""
    columns = {
        f"{name} ({len(own)})": figures(own)
        for name, own in (
            *((half, [each for each in outcomes if each.part == half]) for half in ("tune", "report")),
            ("all", outcomes),
        )
    }
    titles = list(next(iter(columns.values())))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {title} | {' | '.join(str(rows[title]) for rows in columns.values())} |" for title in titles]
    return "\n".join(lines)


def details(outcomes: list[Outcome], every: bool = False) -> str:
    """Return the misjudged cases with all that was said; with `every`, all cases."""
    lines = []
    for each in outcomes:
        wrong = bool(each.claims) if each.healthy else not (each.named_first if each.harmed else each.named)
        if wrong or every:
            state = "healthy" if each.healthy else "harmed" if each.harmed else "harmless"
            lines.append(
                f"{each.case} [{', '.join(each.tags)}], {state}: {each.score:.3f} of {each.reachable:.3f}, "
                f"{each.ended} after {each.steps} steps, {each.seconds:.0f} s"
            )
            lines += [
                f"    {'*' if each.names(said) else ' '} {said.level} {said.name}"
                f"{'' if said.stands or said.level == 'info' else ' (past)'}: {said.evidence}"
                for said in each.said
            ]
    return "\n".join(lines) or "nothing wrong"


def write_readme(outcomes: list[Outcome]) -> None:
    """Put the table, and the faulty cases that do no harm, between the marks of the README."""
    harmless = [
        f"`{each.case}` ({each.score:.3f} of {each.reachable:.3f})"
        for each in outcomes
        if not each.healthy and not each.harmed
    ]
    lines = [MARKS[0], "", table(outcomes), "", f"Faults that do no harm here: {', '.join(harmless)}.", "", MARKS[1]]
    head, _, rest = README.read_text().partition(MARKS[0])
    write_atomically(README, (head + "\n".join(lines) + rest.partition(MARKS[1])[2]).encode())
