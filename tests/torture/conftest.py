"""What a torture test asks for, and the figures at the end: how much of what was survived."""

import os
from collections import Counter

import pytest
from torture.harness import survive

collect_ignore_glob = [] if os.name == "posix" else ["test_*.py"]  # signals and forks are not for Windows

#: In what order the figures are told.
FIGURES = ("kills", "forks", "signals", "allocation failures")


@pytest.fixture
def torture(tmp_path, record_property):
    """Return a function that runs another one in a process of its own and keeps the counts that it returns."""

    def run(function, **arguments):
        counts = survive(function, tmp_path, **arguments)
        for name, count in counts.items():
            record_property(name, count)
        return counts

    return run


def pytest_terminal_summary(terminalreporter):
    total = Counter()
    for report in terminalreporter.getreports("passed"):
        if "/torture/" in report.nodeid:
            for name, count in report.user_properties:
                total[name] += count
    if total:
        names = [*FIGURES, *sorted(total.keys() - set(FIGURES))]
        told = ", ".join(f"{name} {total[name]}" for name in names if total[name])
        terminalreporter.write_line(f"torture survived: {told}")
