"""Processes of our own: calls, processes that die at any moment, and their end with the one that started them."""

import concurrent.futures
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from process_calls import (
    die,
    fail,
    give_much_and_die,
    hang_at_exit,
    nothing,
    sleep,
    square,
    start_within_a_pool,
    unreadable,
)
from seen import PATIENCE, wait_for

from pynn.utils.processes import NotStarted, ProcessEnded, Processes

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")


@pytest.fixture
def two():
    team = Processes(2, nothing)
    yield team
    team.close(kill=True)
    assert not multiprocessing.active_children()


def ends(team, *calls):
    """Wait for calls, and return their values and errors."""
    waiting, limit = set(calls), time.monotonic() + PATIENCE
    while waiting:
        assert time.monotonic() < limit
        waiting -= set(team.wait())
    return [call.value if call.error is None else call.error for call in calls]


def test_calls_are_made_in_processes_as_many_at_a_time():
    team = Processes(2, nothing)
    try:
        assert ends(team, *(team.submit(square, number) for number in range(20))) == [n * n for n in range(20)]
        assert len({*ends(team, *(team.submit(os.getpid) for _ in range(20))), os.getpid()}) <= 3
    finally:
        team.close()
    assert not multiprocessing.active_children()


def test_errors_come_back_as_text_and_the_process_goes_on(two):
    error, value = ends(two, two.submit(fail, "missing"), two.submit(square, 3))
    assert isinstance(error, RuntimeError)
    assert str(error) == "KeyError: 'missing'"
    assert value == 9
    (error,) = ends(two, two.submit(unreadable))
    assert "on arrival" in str(error)
    with pytest.raises(Exception, match="local object"):
        two.submit(lambda: None)
    assert ends(two, two.submit(square, 4)) == [16]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_process_that_dies_costs_its_own_call_alone(two, how):
    error, *values = ends(two, two.submit(die, how), *(two.submit(square, number) for number in range(6)))
    assert isinstance(error, ProcessEnded)
    assert str(error) == f"killed by {how.name}"
    assert values == [0, 1, 4, 9, 16, 25]
    assert str(ends(two, two.submit(os._exit, 7))[0]) == "exit code 7"


def test_a_process_that_dies_while_it_sends_a_result_hangs_nobody(two, tmp_path):
    call = two.submit(give_much_and_die, tmp_path / "begun")
    wait_for(lambda: two.wait(0) or (tmp_path / "begun").exists())
    time.sleep(4)  # it fills the pipe, nobody reads, and it dies
    error, value = ends(two, call, two.submit(square, 5))
    assert isinstance(error, ProcessEnded)
    assert value == 25


def test_a_process_that_dies_while_it_idles_costs_nothing(two):
    assert ends(two, two.submit(square, 1), two.submit(square, 2)) == [1, 4]
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
    assert ends(two, *(two.submit(square, number) for number in range(4))) == [0, 1, 4, 9]


def test_processes_that_end_before_their_first_call_are_no_endless_loop():
    for setup, match in ((functools.partial(fail, "no data"), "no data"), (die, "SIGKILL")):
        team = Processes(2, setup)
        team.submit(square, 1)
        with pytest.raises(NotStarted, match=match):
            ends(team, team.submit(square, 1))
        team.close()
        assert not multiprocessing.active_children()


@pytest.mark.parametrize("kill", [False, True])
def test_busy_stubborn_and_stopped_processes_are_ended_too(tmp_path, kill):
    team = Processes(3, nothing)
    ends(team, team.submit(hang_at_exit))
    notes = [tmp_path / "a", tmp_path / "b"]
    for note in notes:
        team.submit(sleep, note)
    wait_for(lambda: team.wait() or all(note.exists() and note.read_text() for note in notes))
    os.kill(int((tmp_path / "a").read_text()), signal.SIGSTOP)
    team.close(kill=kill)
    assert not multiprocessing.active_children()


def test_at_exit_a_thread_that_still_waits_finds_no_error_and_starts_no_process(tmp_path):
    """The interpreter kills the processes while a daemon thread is in `wait`."""
    team = Processes(2, nothing)
    notes = [tmp_path / "a", tmp_path / "b"]
    for note in notes:
        team.submit(sleep, note)
    team.submit(square, 3)  # no process is free for it
    wait_for(lambda: team.wait() or all(note.exists() for note in notes))
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        waits = thread.submit(team.wait, PATIENCE)
        time.sleep(0.2)
        team._finalizer()
        assert all(isinstance(call.error, ProcessEnded) for call in waits.result())
    assert team.wait(0) == []
    assert not multiprocessing.active_children()


def test_where_processes_may_not_be_started_it_is_said():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        text = pool.apply(start_within_a_pool)
    assert "run one at a time here (workers=1)" in text


STARTER = """
import sys, threading
sys.path.insert(0, {tests!r})
from pathlib import Path
from pynn.utils.processes import Processes
from process_calls import nothing, sleep
def work():
    team = Processes(2, nothing)
    team.submit(sleep, Path({folder!r}, "a")), team.submit(sleep, Path({folder!r}, "b"))
    while True:
        team.wait()
if __name__ == "__main__":
    if {thread}:
        threading.Thread(target=work, daemon=True).start()
        threading.Event().wait()
    else:
        work()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("thread", [False, True], ids=["on the main thread", "on a daemon thread"])
def test_processes_end_with_the_one_that_started_them_however_it_ends(tmp_path, how, thread):
    script = tmp_path / "starter.py"
    script.write_text(STARTER.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path), thread=thread))
    starter = subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c, start_new_session=True
    )
    notes = [tmp_path / "a", tmp_path / "b"]
    wait_for(lambda: all(note.exists() and note.read_text() for note in notes))
    pids = [int(note.read_text()) for note in notes]
    starter.send_signal(getattr(signal, how))
    _, err = starter.communicate(timeout=PATIENCE)
    assert err.count("Traceback") == (how == "SIGINT")  # its own
    wait_for(lambda: not any(map(lives, pids)))


def heed_ctrl_c():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
