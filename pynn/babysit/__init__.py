"""Watching a training run, and saying what is wrong with it."""

from .findings import SYMPTOMS, Finding
from .monitor import BabysitterWarning, Monitor
from .thresholds import Thresholds

__all__ = ["SYMPTOMS", "BabysitterWarning", "Finding", "Monitor", "Thresholds"]
