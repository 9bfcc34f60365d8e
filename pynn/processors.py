"""How many processors this process may use."""

from __future__ import annotations

import os
from pathlib import Path

#: Where Linux tells a container its share of processor time (control groups, version 2): microseconds and period.
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_processors(quota: Path = CPU_QUOTA) -> int:
    """Return the number of processors that the process may run on, or fewer where a container has less time."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
        return max(1, min(count, round(int(share) / int(period))))
    except (OSError, ValueError):  # no such file, or "max" instead of a number: no limit
        return count
