"""What tests see of other processes: who lives, and what a search has stored; and waiting for it."""

import json
import time
from pathlib import Path

#: Seconds after which a test that waits says that something hangs.
PATIENCE = 120


def wait_for(condition, seconds=PATIENCE):
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def in_group(group):
    """Return the processes of a group that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(folder.name)
    return found


def stored(folder):
    """Return the records of the trials in a search's folder."""
    journal = folder / "trials.journal"
    if not journal.exists():
        return []
    entries = [json.loads(line) for line in journal.read_text().split("\n")[:-1]]
    return [
        json.loads(entry["user_attrs"]["pynn.trial"])
        for entry in entries
        if "pynn.trial" in entry.get("user_attrs", {})
    ]
