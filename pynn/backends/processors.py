"""The processors available to this process."""

from __future__ import annotations

import os
from pathlib import Path

#: The file in which Linux gives a container's CPU quota (cgroups v2): quota and period in microseconds.
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def processor_numbers() -> set[int]:
    """Return the numbers of the processors that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def usable_processors(quota: Path = CPU_QUOTA) -> int:
    """Return the number of processors that the process may run on, or fewer if a container's CPU quota is lower."""
    count = len(processor_numbers())
    try:
        share, period = quota.read_text().split()
        return max(1, min(count, round(int(share) / int(period))))
    except (OSError, ValueError):  # file missing, or "max" instead of a number: no limit
        return count
