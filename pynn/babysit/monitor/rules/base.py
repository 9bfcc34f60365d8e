"""What a rule yields."""

from __future__ import annotations

from typing import NamedTuple

from ...findings import Severity


class Detection(NamedTuple):
    """A symptom that a rule sees now; an episode goes on while it is seen."""

    symptom: str
    severity: Severity
    evidence: str
    advice: str
    layer: str | None = None
