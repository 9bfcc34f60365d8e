"""The rules: each looks at a run so far and yields the symptoms that it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..run_state import RunState
from . import curve, evaluation, rates, signal, start, units
from .base import Detection

#: Looked at whenever a window of steps is complete.
STEP_RULES: tuple[Callable[[RunState], Iterator[Detection]], ...] = (
    *start.RULES,
    *signal.RULES,
    *units.RULES,
    *rates.RULES,
    *curve.RULES,
)
#: Looked at after every epoch.
EVALUATION_RULES: tuple[Callable[[RunState], Iterator[Detection]], ...] = (
    *evaluation.RULES,
    *rates.EVALUATION_RULES,
)

__all__ = ["EVALUATION_RULES", "STEP_RULES", "Detection"]
