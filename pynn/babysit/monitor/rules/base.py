"""The result of a rule, and what several rules say."""

from __future__ import annotations

from typing import NamedTuple

from ...findings import Severity
from ..run_state import RunState

#: A score this far below that of a simple learner, beyond sampling error, is a fault.
SHORT = 0.1
#: Weight decay so strong that it may prevent fitting.
STRONG_DECAY = 0.1
#: Batch sizes too small for batch norm to estimate mean and variance.
FEW_PER_NORM = 3


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


def has_noisy_norms(state: RunState) -> bool:
    """Return whether batch norm estimates mean and variance from too few examples."""
    return state.network.batch_norms > 0 and state.data.batch_size <= FEW_PER_NORM


def changed(ratio: float) -> str:
    """Return an update ratio in words."""
    return f"a step changes weights by {ratio:.2g} of their norm (about 0.001 is usual)"


def outdone(state: RunState) -> str:
    """Return in words that a simple learner scores better in validation."""
    data, scores = state.data, state.scores
    reached, attainable = data.as_score(scores.reached), data.as_score(scores.attainable)
    return f"{data.measure} is {reached} where a simple learner has {attainable}"


def raise_rate(rate: float, factors: str = "10 to 100") -> str:
    """Return the advice to raise the rate."""
    return f"multiply the learning rate ({rate:g}) by {factors}"
