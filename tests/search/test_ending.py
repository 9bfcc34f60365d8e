"""Searches that are ended from outside, at any moment, once or twice: nothing hangs, and no process stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import search_builds
from seen import PATIENCE, in_group, stored, wait_for

import pynn
from pynn.search import StoreError

pytestmark = [
    pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
]
TESTS = Path(search_builds.__file__).parent
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is told to ignore it
from pynn.cli import main
try:
    print("imported", flush=True)
    main()
except KeyboardInterrupt:  # between the two
    sys.exit(print("interrupted", file=sys.stderr) or 130)
"""


@pytest.fixture
def command(tmp_path):
    """Start ``pynn search`` in a group of its own; it prints when it has imported what it needs."""
    started = []

    def start(*more):
        words = ["search", "--trials", 150, "--epochs", 27, "--processes", 2, "--width", "64:256", "-q"]
        words += ["--folder", tmp_path / "run", "--save", tmp_path / "m.st", *more]
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", COMMAND, *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        assert started[-1].stdout.readline() == "imported\n"
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process, group, quietly=True):
    """Return what a process wrote when it has ended, and all of its own with it."""
    out, err = process.communicate(timeout=PATIENCE)
    wait_for(lambda: not in_group(group))
    assert not quietly or "Traceback" not in err, err
    return out, err


# As the search begins, while processes start, at the first trials, later.
MOMENTS = {
    "at once": lambda folder: True,
    "as the folder is made": lambda folder: folder.exists(),
    "as processes start": lambda folder: (folder / "trials.journal").exists(),
    "at the first trial": lambda folder: len(stored(folder)) >= 1,
    "at the tenth": lambda folder: len(stored(folder)) >= 10,
}


@pytest.mark.parametrize("to_all", [False, True], ids=["to the driver", "to all"])
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_ctrl_c_ends_a_search_within_bounds_and_what_has_ended_is_kept(command, tmp_path, moment, to_all):
    folder = tmp_path / "run"
    process = command()
    wait_for(lambda: moment(folder))
    os.killpg(process.pid, signal.SIGINT) if to_all else process.send_signal(signal.SIGINT)
    out, err = ended(process, process.pid)
    assert process.returncode == 130
    kept = stored(folder)
    if any(trial["ended"] == "finished" for trial in kept):
        assert "interrupted: these are the results so far" in out
        pynn.load(tmp_path / "m.st")
    else:
        assert "interrupted" in err
        assert len(err.strip().splitlines()) == 1
    numbers = [trial["number"] for trial in kept]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.3])
def test_ctrl_c_again_while_the_search_ends_hangs_nothing(command, tmp_path, pause):
    process = command()
    wait_for(lambda: len(stored(tmp_path / "run")) >= 1)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
    process.communicate(timeout=PATIENCE)
    wait_for(lambda: not in_group(process.pid))
    assert process.returncode in (130, -signal.SIGINT)


def test_an_interrupted_search_goes_on(command, tmp_path):
    folder = tmp_path / "run"
    few = ("--trials", 6, "--epochs", 3, "--width", 16)
    process = command(*few)
    wait_for(lambda: len(stored(folder)) >= 1)
    process.send_signal(signal.SIGINT)
    ended(process, process.pid)
    before = stored(folder)
    process = command(*few)
    out, _ = ended(process, process.pid)
    assert process.returncode == 0
    assert "best" in out
    assert stored(folder)[: len(before)] == before


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_driver_that_is_killed_leaves_no_process_and_a_folder_that_goes_on(command, tmp_path, how):
    process = command()
    wait_for(lambda: len(stored(tmp_path / "run")) >= 1)
    process.send_signal(getattr(signal, how))
    ended(process, process.pid)
    assert process.returncode != 0
    assert stored(tmp_path / "run")


def test_killed_workers_cost_no_trial(tmp_path):
    """All processes but the driver are killed, the fork server among them, again and again."""
    script = tmp_path / "driver.py"
    folder = tmp_path / "run"
    script.write_text(DRIVER.format(tests=str(TESTS), run=f"search_slowly({str(folder)!r})"))
    driver = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.PIPE, text=True)
    for entries in (1, 3):
        wait_for(lambda entries=entries: len(stored(folder)) >= entries)
        for pid in in_group(driver.pid):
            if int(pid) != driver.pid:
                os.kill(int(pid), signal.SIGKILL)
    ended(driver, driver.pid)
    assert driver.returncode == 0
    kept = stored(folder)
    assert sorted(trial["number"] for trial in kept) == list(range(12))
    assert {trial["ended"] for trial in kept} == {"finished"}


DRIVER = """
import sys, threading, warnings
sys.path.insert(0, {tests!r})
warnings.simplefilter("ignore")
from search_builds import *
from concurrent.futures import ThreadPoolExecutor
if __name__ == "__main__":
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)
    {run}
"""

WAYS = {
    "on the main thread": "print(len(search_slowly({folder!r}).trials))",
    "here, a long trial": "print(len(find(trials=2, epochs=10**6, folder={folder!r}, end_early=False).trials))",
    "on threads": (
        "with ThreadPoolExecutor(2) as pool: "
        "print(len(find(trials=4, epochs=10**6, folder={folder!r}, executor=pool, workers=2).trials))"
    ),
    "on a thread": (
        "t = threading.Thread(target=search_slowly, args=({folder!r},), daemon=True); t.start()\n"
        "    try:\n        t.join()\n    except KeyboardInterrupt:\n        print('over')"
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ctrl_c_ends_searches_of_scripts_too(tmp_path, way):
    script, folder = tmp_path / "driver.py", tmp_path / "run"
    script.write_text(DRIVER.format(tests=str(TESTS), run=way.format(folder=str(folder))))
    driver = subprocess.Popen(
        [sys.executable, str(script)], start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: (folder / "trials.journal").exists())
    time.sleep(1)
    os.killpg(driver.pid, signal.SIGINT)
    # Python, as it ends, may stop a daemon thread anywhere: in the middle of a write to the journal, too.
    out, _ = ended(driver, driver.pid, quietly="daemon" not in way)
    assert driver.returncode == 0
    assert out.strip() == "over" or int(out) < 12


def test_a_second_driver_is_refused_while_the_first_one_runs(command, tmp_path):
    process = command()
    wait_for(lambda: len(stored(tmp_path / "run")) >= 1)
    with pytest.raises(StoreError, match="another search is running in"):
        search_builds.find(folder=tmp_path / "run")
    process.send_signal(signal.SIGINT)
    ended(process, process.pid)
