"""The result of a rule, and what several rules say."""

from __future__ import annotations

from typing import NamedTuple

from ...findings import Severity


class Detection(NamedTuple):
    """A currently detected symptom; its episode continues as long as it is detected.

    Rules yield detections, your own among them: see ``docs/rules.md``.

    Attributes
    ----------
    symptom : str
        One of `SYMPTOMS`, or a name of your own.
    severity : {"info", "warning", "error"}
        Only "warning" and "error" claim a fault.
    evidence, advice : str
        The measured figures, and what to do.
    layer : str or None
        The affected layer; None for the whole network.

    Examples
    --------
    >>> import pynn
    >>> from pynn.babysit import Detection
    >>> def loss_goal(state):
    ...     if state.age >= 100 and state.recent_loss() > 0.2:
    ...         yield Detection("goal_missed", "warning", f"loss {state.recent_loss():.2g}", "raise the learning rate")
    >>> monitor = pynn.Monitor(rules=[loss_goal])
    """

    symptom: str
    severity: Severity
    evidence: str
    advice: str
    layer: str | None = None


def changed(ratio: float) -> str:
    """Return an update ratio in words."""
    return f"a step changes weights by {ratio:.2g} of their norm (about 0.001 is usual)"
