"""Peak memory of a process on Linux."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

#: Warm-up calls, which may compile or allocate; and measured calls.
WARM_UP_CALLS, CALLS = 5, 5
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_growth(prepare: Callable[[], Callable[[], object] | None]) -> int | None:
    """Return the peak growth of this process, in bytes, during calls of the function that `prepare` returns.

    Returns None if `prepare` does. Memory of the preparation alone, such as a compiler's, does not count.
    """
    before = _resident("VmRSS")
    run = prepare()
    if run is None:
        return None
    for _ in range(WARM_UP_CALLS):
        run()
    _RESET.write_text("5")  # resets the peak
    for _ in range(CALLS):
        run()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"{_STATUS} has no {field}")
