"""Searches whose driver or workers are killed: nobody is left behind, and the folder goes on to the same trials."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import search_builds
from torture.harness import GRACE, SEED, end_session, scaled, session, wait_for_session

from pynn import search

pytest.importorskip("optuna")

TRIALS, EPOCHS = 12, 3
#: How long a driver is let live, at most: from its start to some trials.
LONGEST = 3.0


def searched(folder, workers=2):
    """Run the search, or what is left of it in the folder, and return what its trials came to."""
    result = search.run(
        search_builds.build, search_builds.SPACE, *search_builds.data(), trials=TRIALS, epochs=EPOCHS, seed=5,
        workers=workers, folder=folder,
    )  # fmt: skip
    return [(trial.number, trial.params, trial.ended, trial.score) for trial in sorted(result.trials, key=number_of)]


def number_of(trial):
    return trial.number


DRIVER = """
from torture.test_search import searched
if __name__ == "__main__":
    searched({folder!r})
"""


def driver(folder):
    """Start a driver in a session of its own."""
    script = folder.with_suffix(".py")
    script.write_text(DRIVER.format(folder=str(folder)))
    variables = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.Popen(
        [sys.executable, str(script)], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def ended(process):
    """Wait for a driver that was told to end; fail if it hangs or leaves processes behind."""
    try:
        _, err = process.communicate(timeout=10 * GRACE)
        left = wait_for_session(process.pid)
        assert not left, f"processes are left behind: {left}"
    except subprocess.TimeoutExpired:
        raise AssertionError(f"the driver or what it started still runs: {session(process.pid)}") from None
    finally:
        end_session(process.pid)
    return err.decode()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("search") / "whole", workers=1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=["kill", "ctrl-c", "term"])
def test_a_driver_that_is_ended(tmp_path, record_property, expected, number):
    moments, count = random.Random(SEED), scaled(3)
    for turn in range(count):
        folder = tmp_path / f"search{turn}"
        process = driver(folder)
        time.sleep(moments.uniform(0.1, LONGEST))
        process.send_signal(number)
        err = ended(process)
        if number == signal.SIGINT and folder.exists():
            assert "Traceback" not in err, err
        assert searched(folder) == expected
    record_property("kills" if number == signal.SIGKILL else "signals", count)


def test_workers_that_are_killed(tmp_path, record_property, expected):
    moments, kills = random.Random(SEED), 0
    for turn in range(scaled(2)):
        folder = tmp_path / f"search{turn}"
        process = driver(folder)
        time.sleep(moments.uniform(0.5, LONGEST))
        victims = [number for number in workers_of(process.pid) if number != process.pid]
        if victims:
            os.kill(moments.choice(victims), signal.SIGKILL)
            kills += 1
        err = ended(process)
        assert process.returncode == 0, err
        assert searched(folder) == expected
    record_property("kills", kills)


def workers_of(leader):
    """Return the processes that run trials: those whose parent is a child of the driver, the fork server."""
    return [process for process in session(leader) if parent_of(parent_of(process)) == leader]


def parent_of(process):
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
