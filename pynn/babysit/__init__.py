"""Supervision of training runs: checks before the start, a monitor for every step, and tried remedies."""

from .findings import SYMPTOMS, Finding
from .monitor.monitor import BabysitterWarning, Monitor
from .preflight import Check, Report, preflight
from .thresholds import Thresholds

__all__ = ["SYMPTOMS", "BabysitterWarning", "Check", "Finding", "Monitor", "Report", "Thresholds", "preflight"]
