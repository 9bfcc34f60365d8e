"""What was said about a case, and how often that was right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from bench.faults.score import Figure, share
from pynn.babysit.findings import SYMPTOMS

from .accepted import answers_to

#: A faulty run whose score is at most this much below the healthy one's learns as well.
AS_GOOD = 0.03

#: Checks that prove a fault of the program, not of how it trains.
EXACT = ("network output", "gradient check", "batch independence", "loss reduction")


@dataclass
class Said:
    """One thing that preflight or the monitor said.

    Attributes
    ----------
    source : {"preflight", "monitor"}
    name : str
        Of the check, or the symptom.
    level : {"fail", "warn", "error", "warning", "info"}
    symptom : str or None
    stands : bool
        Whether it is part of the verdict at the end; always of a check.
    """

    source: str
    name: str
    level: str
    symptom: str | None
    evidence: str
    stands: bool = True

    @property
    def claims_fault(self) -> bool:
        """Whether it claims a fault of the run as it is."""
        return self.level != "info" and self.stands


@dataclass
class Outcome:
    """One case after preflight and training; `said` is in the order of `in_order`."""

    case: str
    part: str
    tags: list[str]
    healthy: bool
    score: float
    reachable: float
    ended: str
    steps: int
    said: list[Said]
    seconds: float
    rules: str = ""

    @property
    def harmed(self) -> bool:
        """Whether the run is worse than its healthy twin."""
        return self.ended != "finished" or not self.score >= self.reachable - AS_GOOD

    @property
    def claims(self) -> list[Said]:
        return [each for each in self.said if each.claims_fault]

    @property
    def detected(self) -> bool:
        return bool(self.claims) or self.named

    @property
    def named(self) -> bool:
        """Whether anything said, an "info" included, names a documented fault."""
        return any(self.names(each) for each in self.said)

    @property
    def named_first(self) -> bool:
        return bool(self.said) and self.names(self.said[0])

    def names(self, said: Said) -> bool:
        """Return whether something said names a documented fault."""
        answers = answers_to(self.tags)
        return said.symptom in answers.symptoms or (said.source == "preflight" and said.name in answers.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Outcome:
        """Return the outcome that `as_dict` stored."""
        return cls(**stored | {"said": [Said(**each) for each in stored["said"]]})


def in_order(checks: list[Said], findings: list[Said]) -> list[Said]:
    """Return failed checks and the verdict, likeliest causes first, then checks that warn, then the rest.

    `findings` come in the monitor's own order. Checks that prove what is wrong with the program (`EXACT`) come first.
    """
    placed, reached = [], 0
    for finding in findings:
        reached = max(reached, SYMPTOMS.index(finding.name))
        placed.append(((0 if finding.claims_fault else 2, reached), finding))
    for check in checks:
        place = -1 if check.name in EXACT or check.symptom is None else SYMPTOMS.index(check.symptom)
        placed.append(((1 if check.level == "warn" else 0, place), check))
    return [said for _, said in sorted(placed, key=lambda each: each[0])]


def figures(outcomes: Iterable[Outcome]) -> dict[str, Figure]:
    """Return the shares of a table's column."""
    outcomes = list(outcomes)
    faulty = [each for each in outcomes if not each.healthy]
    harmed = [each for each in faulty if each.harmed]
    harmless = [each for each in faulty if not each.harmed]
    healthy = [each for each in outcomes if each.healthy]
    shares = {"": harmed, " (harmless ones too)": faulty}
    rows = {}
    for which, some in shares.items():
        rows[f"detected{which}"] = share(sum(each.detected for each in some), len(some))
        rows[f"cause named{which}"] = share(sum(each.named for each in some), len(some))
        rows[f"cause named first{which}"] = share(sum(each.named_first for each in some), len(some))
    rows["harmless faults: another fault claimed"] = share(
        sum(any(not each.names(said) for said in each.claims) for each in harmless), len(harmless)
    )
    failed = [each for each in healthy if any(said.level == "fail" for said in each.said)]
    warned = [each for each in healthy if any(said.level == "warn" for said in each.said)]
    claimed = [each for each in healthy if any(said.source == "monitor" for said in each.claims)]
    rows["healthy: a check failed"] = share(len(failed), len(healthy))
    rows["healthy: a check warned"] = share(len(warned), len(healthy))
    rows["healthy: the monitor claims a fault"] = share(len(claimed), len(healthy))
    return rows
