"""Results of the preflight checks, and their text form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

from ...report.page import Page, delivered, document, fragment, table
from ...report.text import SYMBOLS
from ...utils.streams import text_width, wrapped
from ..findings import SYMPTOMS, page_of

Status = Literal["pass", "note", "warn", "fail", "skip"]
#: From best to worst; skipped checks and notes do not count.
ORDER: tuple[Status, ...] = ("skip", "pass", "note", "warn", "fail")
#: Checks that have something to advise.
ADVISING = ("note", "warn", "fail")
NOTHING_TO_DO = "Nothing to do."
#: Column of the evidence.
MARGIN = 30


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes
    ----------
    name : str
        What was checked, such as "input scale".
    status : {"pass", "note", "warn", "fail", "skip"}
        "note" if nothing is wrong, but something would help; "skip" if the check is not possible or not applicable:
        the evidence gives the reason.
    symptom : str or None
        One of `pynn.babysit.findings.SYMPTOMS` if one fits.
    layer : str or None
        The affected layer, such as "3.ReLU".
    evidence : str
        The figures.
    advice : str
        What to do, in one sentence.

    Examples
    --------
    >>> from pynn.babysit import Check
    >>> print(Check("input scale", "warn", "input_not_normalised", None, "rms 128", "standardise the inputs"))
    warn: input scale: rms 128. standardise the inputs
    """

    name: str
    status: Status
    symptom: str | None
    layer: str | None
    evidence: str
    advice: str

    def __post_init__(self) -> None:
        if self.status not in ORDER:
            raise ValueError(f"status is {self.status!r}; expected one of {', '.join(ORDER)}")
        if self.symptom is not None and self.symptom not in SYMPTOMS:
            raise ValueError(f"symptom is {self.symptom!r}; expected one of {', '.join(SYMPTOMS)}")

    def __str__(self) -> str:
        where = f" in {self.layer}" if self.layer else ""
        advice = f". {self.advice}" if self.status in ADVISING else ""
        return f"{self.status}: {self.name}{where}: {self.evidence}{advice}"

    def to_dict(self) -> dict[str, Any]:
        """Return the check in the form of ``docs/json.md``."""
        return {
            "name": self.name,
            "status": self.status,
            "symptom": self.symptom,
            "layer": self.layer,
            "evidence": self.evidence,
            "advice": self.advice,
            "page": page_of(self.symptom),
        }

    def lines(self) -> list[str]:
        """Return the check as lines of a table: status, name and evidence; the advice below."""
        head = f"{self.status:5} {self.name}".ljust(MARGIN - 1) + " "
        where = f"{self.layer}: " if self.layer else ""
        rest = " " * (MARGIN if text_width() >= 2 * MARGIN else 6)
        rows = wrapped(where + self.evidence, head, rest)
        if self.status in ADVISING:
            rows += wrapped(f"-> {self.advice}", rest, rest)
        return rows


def passed(name: str, evidence: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, "pass", None, None, evidence, NOTHING_TO_DO)


def skipped(name: str, reason: str) -> Check:
    """Return a skipped check."""
    return Check(name, "skip", None, None, reason, NOTHING_TO_DO)


def noted(name: str, symptom: str | None, evidence: str, advice: str, layer: str | None = None) -> Check:
    """Return a check that found nothing wrong, but something that would help."""
    return Check(name, "note", symptom, layer, evidence, advice)


def warned(name: str, symptom: str | None, evidence: str, advice: str, layer: str | None = None) -> Check:
    """Return a check with a warning."""
    return Check(name, "warn", symptom, layer, evidence, advice)


def failed(name: str, symptom: str | None, evidence: str, advice: str, layer: str | None = None) -> Check:
    """Return a failed check."""
    return Check(name, "fail", symptom, layer, evidence, advice)


@dataclass
class Report:
    """The outcome of `pynn.preflight`.

    Attributes
    ----------
    checks : list of Check
        In the order of execution.

    Examples
    --------
    >>> report = Report([passed("input scale", "rms 1.0")])
    >>> report.status, report.ok
    ('pass', True)
    """

    checks: list[Check] = field(default_factory=list)

    @property
    def failures(self) -> list[Check]:
        """The failed checks."""
        return [check for check in self.checks if check.status == "fail"]

    @property
    def warnings(self) -> list[Check]:
        """The checks with a warning."""
        return [check for check in self.checks if check.status == "warn"]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def status(self) -> Status:
        """The worst status, without notes: "pass", "warn" or "fail"."""
        worst: Status = max((check.status for check in self.checks), key=ORDER.index, default="pass")
        return "pass" if worst in ("skip", "note") else worst

    def __getitem__(self, name: str) -> Check:
        """Return the check of that name."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check {name!r}; expected one of {', '.join(check.name for check in self.checks)}")

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __len__(self) -> int:
        return len(self.checks)

    def summary(self) -> str:
        """Return the number of checks per status, and which failed or warned, in one line."""
        words = {"fail": "failed", "warn": "warned", "note": "noted", "pass": "passed", "skip": "skipped"}
        parts = []
        for status in reversed(ORDER):
            names = [check.name for check in self.checks if check.status == status]
            told = f" ({', '.join(names)})" if status in ("fail", "warn") else ""
            parts += [f"{len(names)} {words[status]}{told}"] if names else []
        return ", ".join(parts) or "no checks"

    def __str__(self) -> str:
        lines = [line for check in self.checks for line in check.lines()]
        return "\n".join([*lines, "", f"preflight: {self.summary()}"])

    def __repr__(self) -> str:
        lines = [line for check in self.checks if check.status in ADVISING for line in check.lines()]
        return "\n".join([f"preflight: {self.summary()}", *lines])

    def to_dict(self) -> dict[str, Any]:
        """Return the report in the form of ``docs/json.md``: what JSON can hold, in a stable form."""
        checks = [check.to_dict() for check in self.checks]
        return {"format": "pynn.preflight", "version": 1, "status": self.status, "checks": checks}

    def to_html(self, path: str | Path | None = None) -> Page | None:
        """Write the report as one self-contained HTML page; the file is replaced atomically.

        Without a path, return the page: text that shows itself as the result of a notebook cell.
        """
        return delivered(self._page(), path)

    def _repr_html_(self) -> str:
        kind, symbol = _BADGES[self.status]
        head = f'<div class="verdict {kind}"><h2>{symbol} Preflight: {self.status}</h2><p>{self.summary()}</p></div>'
        wrong, others = self._sorted()
        if not wrong:
            return fragment(head + _table("Checks", others))
        rest = f"<details><summary>{len(others)} other checks</summary>{_table('Other checks', others)}</details>"
        return fragment(head + _table(_WRONG, wrong) + rest)

    def _page(self) -> str:
        head = f"<header><h1>Preflight: {self.status}</h1><p class='lead'>{escape(self.summary())}</p></header>"
        wrong, others = self._sorted()
        parts = ((_WRONG, wrong), ("Other checks" if wrong else "Checks", others))
        body = "".join(_section(title, checks) for title, checks in parts if checks)
        return document(f"pynn preflight: {self.status}", f"{head}<main>{body}</main>")

    def _sorted(self) -> tuple[list[Check], list[Check]]:
        """Return the checks with advice, the worst first, and the others."""
        wrong = [check for check in self.checks if check.status in ADVISING]
        wrong.sort(key=lambda check: ORDER.index(check.status), reverse=True)
        return wrong, [check for check in self.checks if check.status not in ADVISING]


_WRONG = "Checks that failed, warned or noted something"
#: Classes of the pages' style and symbols, by status.
_BADGES = {"pass": ("good", "✓"), "warn": ("warning", SYMBOLS["warning"]), "fail": ("error", SYMBOLS["error"])}


def _badge(check: Check) -> str:
    kind, symbol = _BADGES.get(check.status, ("info", "○"))
    return f'<span class="badge {kind}">{symbol} {check.status}</span>'


def _table(caption: str, checks: list[Check]) -> str:
    rows = []
    for check in checks:
        advice = f'<p class="advice">{escape(check.advice)}</p>' if check.status in ADVISING else ""
        rows.append([check.name, _badge(check), escape(check.layer or ""), escape(check.evidence) + advice])
    heads = ["check", "outcome", "layer", "figures"]
    if not any(check.layer for check in checks):
        heads.remove("layer")
        rows = [[name, badge, figures] for name, badge, _, figures in rows]
    return table(caption, heads, rows, tuple(heads))


def _section(title: str, checks: list[Check]) -> str:
    return f"<section><h2>{title}</h2><ol class='findings'>{''.join(map(_item, checks))}</ol></section>"


def _item(check: Check) -> str:
    where = ", ".join(escape(text) for text in (check.layer, check.symptom) if text)
    note = f'<span class="note">{where}</span>' if where else ""
    advice = f'<p class="advice">{escape(check.advice)}</p>' if check.status in ADVISING else ""
    return (
        f'<li class="finding {check.status}"><header>{_badge(check)}'
        f"<h3>{escape(check.name)}</h3>{note}</header><p>{escape(check.evidence)}</p>{advice}</li>"
    )
