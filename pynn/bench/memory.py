"""How much memory a process takes, as Linux counts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

#: Calls before memory is looked at: the first ones may compile or allocate; and calls during which it is.
WARM_UP_CALLS, CALLS = 5, 5
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_growth(prepare: Callable[[], Callable[[], object] | None]) -> int | None:
    """Return by how many bytes what `prepare` returns makes this process larger at most while it is called.

    None if it returns None. What only its preparation takes, a compiler for instance, does not count.
    """
    before = _resident("VmRSS")
    run = prepare()
    if run is None:
        return None
    for _ in range(WARM_UP_CALLS):
        run()
    _RESET.write_text("5")  # the peak begins anew
    for _ in range(CALLS):
        run()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"{_STATUS} has no {field}")
