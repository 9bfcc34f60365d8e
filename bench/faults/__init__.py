"""Test corpus of the monitor: training runs with known faults, and healthy runs that look odd."""
