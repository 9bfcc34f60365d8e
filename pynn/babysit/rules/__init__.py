"""The rules: each looks at a run so far and yields the symptoms that it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..course import Course
from . import curve, evaluation, rates, signal, start, units
from .base import Sign

#: Looked at whenever a window of steps is complete.
STEP_RULES: tuple[Callable[[Course], Iterator[Sign]], ...] = (
    *start.RULES,
    *signal.RULES,
    *units.RULES,
    *rates.RULES,
    *curve.RULES,
)
#: Looked at after every epoch.
EVALUATION_RULES: tuple[Callable[[Course], Iterator[Sign]], ...] = (
    *evaluation.RULES,
    *rates.EVALUATION_RULES,
)

__all__ = ["EVALUATION_RULES", "STEP_RULES", "Sign"]
