"""Supervision of training runs: checks before the start, a monitor for every step, and tried remedies."""

from .findings import SYMPTOMS, Finding
from .monitor.monitor import Monitor
from .monitor.rules import Detection
from .monitor.run_state import RunState
from .monitor.snapshots import Snapshot
from .monitor.users_rules import BabysitterWarning
from .preflight import Check, Report, preflight
from .remedies.trials import Remedy, RemedyTrial
from .thresholds import Thresholds

__all__ = [
    "SYMPTOMS",
    "BabysitterWarning",
    "Check",
    "Detection",
    "Finding",
    "Monitor",
    "Remedy",
    "RemedyTrial",
    "Report",
    "RunState",
    "Snapshot",
    "Thresholds",
    "preflight",
]
