"""The result of a rule."""

from __future__ import annotations

from typing import NamedTuple

from ...findings import Severity


class Detection(NamedTuple):
    """A currently detected symptom; its episode continues as long as it is detected."""

    symptom: str
    severity: Severity
    evidence: str
    advice: str
    layer: str | None = None
