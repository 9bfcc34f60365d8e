"""Readable results: the table, the misjudged cases, and the README's figures."""

from __future__ import annotations

from pathlib import Path

from bench.faults.version import rules
from pynn.utils.files import write_atomically

from .corpus import cases
from .score import Outcome, figures

README = Path(__file__).with_name("README.md")
MARKS = "<!-- figures: python -m bench.real_faults.run -->", "<!-- end of figures -->"
REMEDIES = "<!-- remedies: python -m bench.real_faults.remedies -->", "<!-- end of remedies -->"


def table(outcomes: list[Outcome]) -> str:
    """Return the figures of both halves, if there are, and of all as a Markdown table."""
    halves = {half: own for half in ("tune", "report") if (own := [each for each in outcomes if each.part == half])}
    return compare({**halves, "all": outcomes})


def compare(parts: dict[str, list[Outcome]]) -> str:
    """Return the figures of several lists of outcomes as a Markdown table with a column for each."""
    columns = {f"{name} ({len(own)})": figures(own) for name, own in parts.items()}
    titles = [title for title in next(iter(columns.values())) if any(rows[title].of for rows in columns.values())]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {title} | {' | '.join(str(rows[title]) for rows in columns.values())} |" for title in titles]
    return "\n".join(lines)


def details(outcome: Outcome, every: bool = False) -> str:
    """Return a misjudged case with all that was said, or ""; with `every`, any case."""
    right = not outcome.claims if outcome.healthy else outcome.named_first if outcome.harmed else outcome.named
    if right and not every:
        return ""
    state = "healthy" if outcome.healthy else "harmed" if outcome.harmed else "harmless"
    lines = [
        f"{outcome.case} [{', '.join(outcome.tags)}], {state}: {outcome.score:.3f} of {outcome.reachable:.3f}, "
        f"{outcome.ended} after {outcome.steps} steps, {outcome.seconds:.0f} s"
    ]
    for said in outcome.said:
        past = "" if said.claims_fault or said.level == "info" else " (past)"
        lines.append(f"    {'*' if outcome.names(said) else ' '} {said.level} {said.name}{past}: {said.evidence}")
    return "\n".join(lines)


def write_readme(outcomes: list[Outcome]) -> None:
    """Put the table, and the faulty cases that do no harm, between the marks of the README."""
    older = sum(each.rules != rules() for each in outcomes)
    sizes = f"Measured: {len(outcomes)} of {len(cases())} cases{with_earlier_rules(older)}."
    write_section(MARKS, f"{sizes}\n\n{table(outcomes)}\n\n{harmless(outcomes)}")


def harmless(outcomes: list[Outcome]) -> str:
    """Return the sentence that names the faulty cases that do no harm."""
    named = [
        f"`{each.case}` ({each.score:.3f} of {each.reachable:.3f})"
        for each in outcomes
        if not each.healthy and not each.harmed
    ]
    return f"Faults that do no harm here: {', '.join(named)}."


def with_earlier_rules(count: int) -> str:
    """Return the words that say how many results are of earlier versions of the rules, if any are."""
    return f", {count} of them with earlier rules" if count else ""


def write_section(marks: tuple[str, str], text: str) -> None:
    """Replace the text between two marks of the README."""
    head, _, rest = README.read_text().partition(marks[0])
    written = f"{head}{marks[0]}\n\n{text}\n\n{marks[1]}{rest.partition(marks[1])[2]}"
    write_atomically(README, written.encode())
