"""Watching a training run, before it begins and step by step, and saying what is wrong with it."""

from .findings import SYMPTOMS, Finding
from .monitor.monitor import BabysitterWarning, Monitor
from .preflight import Check, Report, preflight
from .thresholds import Thresholds

__all__ = ["SYMPTOMS", "BabysitterWarning", "Check", "Finding", "Monitor", "Report", "Thresholds", "preflight"]
