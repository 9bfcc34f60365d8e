"""The rules: each yields the symptoms that it detects in a run so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..run_state import RunState
from . import comparison, curve, ending, evaluation, rates, signal, start, units
from .base import Detection

#: Applied after each window of steps.
STEP_RULES: tuple[Callable[[RunState], Iterator[Detection]], ...] = (
    *start.RULES,
    *signal.RULES,
    *units.RULES,
    *rates.RULES,
    *curve.RULES,
)
#: Applied after each epoch.
EVALUATION_RULES: tuple[Callable[[RunState], Iterator[Detection]], ...] = (
    *comparison.RULES,
    *evaluation.RULES,
    *rates.EVALUATION_RULES,
)
#: Applied once, when a run has ended as planned.
END_RULES = ending.RULES

__all__ = ["END_RULES", "EVALUATION_RULES", "STEP_RULES", "Detection"]
