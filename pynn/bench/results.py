"""Results of a benchmark run, stored as JSON."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..backends.precision import get_matmul_precision
from ..backends.selection import instruction_set
from ..utils.files import write_atomically
from .cases import Case
from .comparison import Row
from .limits import MachineLimits

_PACKAGES = ("numpy", "numba", "torch", "jax", "scikit-learn")


class Results(NamedTuple):
    """Rows for one number of threads, the machine's limits, and the setting."""

    threads: int
    limits: MachineLimits
    rows: list[Row]
    setting: dict[str, Any]


def setting() -> dict[str, Any]:
    """Return the machine and the versions of all contestants."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "instruction_set": instruction_set(),
        "matmul_precision": get_matmul_precision(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "pynn": __version__,
        **{name: _version(name) for name in _PACKAGES if _version(name)},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def save(results: Iterable[Results], path: Path) -> None:
    """Write results to a JSON file; figures have four digits, more than their precision."""
    document = [
        {
            "threads": result.threads,
            "setting": result.setting,
            "limits": {
                "operations": {name: float(f"{rate:.4g}") for name, rate in result.limits.operations.items()},
                "copies": [[size, float(f"{rate:.4g}")] for size, rate in result.limits.copies],
            },
            "rows": [
                row.case._asdict()
                | {"seconds": {name: [float(f"{s:.4g}") for s in figures] for name, figures in row.seconds.items()}}
                | ({"failures": row.failures} if row.failures else {})
                for row in result.rows
            ],
        }
        for result in results
    ]
    write_atomically(path, (_lines(document) + "\n").encode())


def _lines(document: list[dict[str, Any]]) -> str:
    """Return JSON with one line per row."""
    parts = []
    for result in document:
        rows = ",\n".join(json.dumps(row) for row in result["rows"])
        head = json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1)
        parts.append(f'{head[:-2]},\n "rows": [\n{rows}\n]}}')
    return "[" + ",\n".join(parts) + "]"


def load(path: Path) -> list[Results]:
    """Read what `save` wrote."""
    return [
        Results(
            result["threads"],
            MachineLimits(result["limits"]["operations"], [(size, rate) for size, rate in result["limits"]["copies"]]),
            [
                Row(
                    Case(row["group"], row["op"], tuple(row["shape"]), row["dtype"]),
                    row["seconds"],
                    row.get("failures", {}),
                )
                for row in result["rows"]
            ],
            result["setting"],
        )
        for result in json.loads(path.read_text())
    ]
