"""The user's own rules, and how a monitor calls rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import get_args

from ...utils.validation import several
from ...utils.warning import warn_user
from ..findings import Severity
from .rules import Detection
from .run_state import RunState

#: A rule: yields the symptoms that it detects in a run so far.
Rule = Callable[[RunState], Iterable[Detection]]


class BabysitterWarning(UserWarning):
    """A monitor has found a fault in a training run.

    Examples
    --------
    >>> import warnings
    >>> import pynn
    >>> x, y = pynn.datasets.blobs(seed=0)
    >>> trainer = pynn.Trainer(pynn.Sequential(pynn.Linear(2, 3)), pynn.CrossEntropyLoss(), pynn.SGD(1e-3))
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     history = trainer.fit(1000 * x, y, epochs=2, callbacks=[pynn.Monitor()])
    >>> issubclass(caught[0].category, pynn.BabysitterWarning)
    True
    """


def checked_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the user's rules, or raise TypeError for one that cannot be called."""
    if callable(rules):
        raise TypeError(f"rules is {rules!r}; expected a list of functions: rules=[{name_of(rules)}]")
    rules = several(rules, "rules")
    for rule in rules:
        if not callable(rule):
            raise TypeError(f"rules has {rule!r}; expected functions that take a RunState and yield Detections")
    return rules


def detections(rule: Rule, state: RunState, own: Sequence[Rule]) -> list[Detection]:
    """Return what a rule detects; warn if it fails, for a bug in a rule must not end a run of hours."""
    try:
        found = list(rule(state) or ())
        for detection in found:
            _check(detection)
    except Exception as error:
        place = "your rule" if rule in own else "the rule"
        advice = "" if rule in own else "; please report it"
        warn_user(f"{place} {name_of(rule)} failed ({error!r}){advice}", BabysitterWarning)
        return []
    return found


def name_of(rule: object) -> str:
    """Return the name of a function, or the class of another callable."""
    return str(getattr(rule, "__name__", type(rule).__name__))


def _check(detection: object) -> None:
    """Raise TypeError or ValueError for anything but a `Detection` with texts and a known severity."""
    if not isinstance(detection, Detection):
        raise TypeError(f"it yielded {detection!r}; expected a pynn.babysit.Detection")
    for name, value in zip(("symptom", "evidence", "advice"), (detection[0], *detection[2:4]), strict=True):
        if not isinstance(value, str) or not value:
            raise TypeError(f"its {name} is {value!r}; expected text")
    if detection.layer is not None and not isinstance(detection.layer, str):
        raise TypeError(f"its layer is {detection.layer!r}; expected the name of a layer, or None")
    if detection.severity not in get_args(Severity):
        raise ValueError(f"its severity is {detection.severity!r}; expected one of {', '.join(get_args(Severity))}")
