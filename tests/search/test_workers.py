"""Trials in other processes: the same trials, nothing lost with a process that dies, any executor."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import search_builds
from search_builds import SPACE, build, build_and_die, build_and_die_once, build_own, find, same
from seen import in_group, stored, wait_for

import pynn
from pynn.search import Choice, LogUniform, Stage

pytestmark = pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning")
TESTS = Path(search_builds.__file__).parent


def test_several_processes_run_the_same_trials_as_this_one():
    stages = [Stage(6, 1), Stage(3, 3, survivors=2)]
    assert same(find(stages=stages), find(stages=stages, workers=3))


def test_threads_run_the_same_trials_too_and_the_user_s_threads_stay():
    before = pynn.get_num_threads()
    with ThreadPoolExecutor(3) as executor:
        assert same(find(), find(executor=executor, workers=3))
        executor.submit(int).result()  # it is the user's, and still open
    assert pynn.get_num_threads() == before


def test_a_process_of_ours_uses_one_thread_and_the_driver_s_backend():
    with pynn.use_backend("numpy"):
        result = find(search_builds.build_telling, {"lr": LogUniform(0.01, 0.1)}, workers=2, trials=2)
    assert {trial.reason for trial in result.trials} == {"RuntimeError: numpy with 1 threads"}


def test_a_process_that_dies_once_costs_no_trial(tmp_path):
    space = {"kind": Choice(str(tmp_path / "deadly"), "harmless")}
    result = find(build_and_die_once, space, trials=6, workers=2, seed=1)
    assert (tmp_path / "deadly").exists()
    assert [trial.ended for trial in result.trials] == ["finished"] * 6


def test_a_trial_that_kills_its_process_every_time_is_lost_and_no_other():
    space = {"kind": Choice("deadly", "harmless")}
    result = find(build_and_die, space, trials=4, workers=2, seed=2)
    for trial in result.trials:
        deadly = trial.params["kind"] == "deadly"
        assert trial.ended == ("lost" if deadly else "finished")
        assert not deadly or trial.reason.startswith("its process crashed in 3 attempts")
    assert {trial.ended for trial in result.trials} == {"lost", "finished"}


UNGUARDED = """
import sys
sys.path.insert(0, {tests!r})
from search_builds import find
print(find(workers=2, trials=2))
"""


def test_a_script_that_searches_wherever_it_is_imported_is_told_what_to_do(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED.format(tests=str(TESTS)))
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1
    # Python's own remark on the workers' semaphores comes before or behind, as chance has it.
    lines = [line for line in run.stderr.splitlines() if "resource_tracker" not in line]
    assert 'must call search.run below if __name__ == "__main__":' in lines[-1]


def test_what_cannot_be_sent_is_refused_before_anything_runs():
    with pytest.raises(TypeError, match=r"build, .*<lambda>, cannot be sent .*: define it with def at the top"):
        find(lambda params: build(params), workers=2)


class Refusing:
    """An executor that fails by itself."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_exception(ConnectionError("the scheduler is gone"))
        return future


def test_a_trial_that_an_executor_fails_to_run_is_tried_again_and_then_lost():
    result = find(executor=Refusing(), workers=2, trials=2)
    assert [trial.ended for trial in result.trials] == ["lost", "lost"]
    assert "the scheduler is gone" in result.trials[0].reason


def test_a_dask_cluster_of_several_processes_runs_the_same_trials():
    distributed = pytest.importorskip("distributed")
    stages = [Stage(6, 1), Stage(2, 3, survivors=2)]
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        found = find(stages=stages, executor=client.get_executor(pure=False), workers=4)
        who = client.run(os.getpid)
    assert len(set(who.values())) == 2
    assert same(found, find(stages=stages))
    assert [trial.ended for trial in found.trials] == ["finished"] * 10


# The driver killed.

DRIVER = """
import sys
sys.path.insert(0, {tests!r})
import warnings
warnings.simplefilter("ignore")
from search_builds import search_slowly
if __name__ == "__main__":
    search_slowly({folder!r})
"""


def start(folder, tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(tests=str(TESTS), folder=str(folder)))
    return subprocess.Popen([sys.executable, str(script)], start_new_session=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_driver_loses_only_what_was_running(tmp_path, monkeypatch):
    note, folder = tmp_path / "note", tmp_path / "run"
    monkeypatch.setenv("PYNN_TEST_NOTE", str(note))
    ended = []
    for entries in (2, 6):  # killed after so many trials
        process = start(folder, tmp_path)
        wait_for(lambda entries=entries: len(stored(folder)) >= entries)
        process.kill()
        process.wait()
        ended.append(stored(folder))
    begun = note.read_text().splitlines()
    assert set(map(json.dumps, ended[0])) <= set(map(json.dumps, ended[1]))
    note.unlink()
    driver = start(folder, tmp_path)
    assert driver.wait() == 0
    # The driver itself builds the network of the best trial.
    notes = [line.split() for line in note.read_text().splitlines()]
    again = {float(lr) for pid, lr in notes if int(pid) != driver.pid}
    finished = {record["params"]["lr"] for record in ended[1]}
    assert not again & finished  # what had finished is not run again
    assert len(begun) <= len(finished) + 4  # and at each kill, two were running
    monkeypatch.setenv("PYNN_TEST_NOTE", os.devnull)
    result = search_builds.search_slowly(folder)
    assert len(result.trials) == 12
    assert same(result, search_builds.search_slowly(None))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_its_processes_end_with_a_killed_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PYNN_TEST_NOTE", str(tmp_path / "note"))
    folder = tmp_path / "run"
    process = start(folder, tmp_path)
    wait_for(lambda: len(stored(folder)) >= 1)
    group = os.getpgid(process.pid)
    process.kill()
    process.wait()
    wait_for(lambda: not in_group(group), 20)


def test_ctrl_c_ends_driver_and_processes_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PYNN_TEST_NOTE", str(tmp_path / "note"))
    folder = tmp_path / "run"
    process = start(folder, tmp_path)
    wait_for(lambda: len(stored(folder)) >= 1)
    group = os.getpgid(process.pid)
    os.killpg(group, signal.SIGINT)  # as a terminal does: to all of them
    assert process.wait(timeout=20) == 0
    wait_for(lambda: not in_group(group), 20)
    assert 0 < len(stored(folder)) < 12
    assert len(search_builds.search_slowly(folder).trials) == 12


def test_own_layers_travel_too():
    stages = [Stage(3, 1), Stage(0, 3, survivors=2)]
    found = find(build_own, SPACE, stages=stages, metric="val_loss", workers=2)
    assert [trial.ended for trial in found.trials] == ["finished"] * 5
