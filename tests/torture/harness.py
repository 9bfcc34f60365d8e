"""Runs one torture in a process of its own, with a deadline and a dump of all stacks when it hangs."""

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

#: How many times the counts of a run in CI; 60 makes about an hour.
SCALE = int(os.environ.get("PYNN_TORTURE", "1"))
SEED = int(os.environ.get("PYNN_TORTURE_SEED", "0"))
#: Seconds after which a torture hangs. Generous: the machine may be busy with others.
DEADLINE = 240 + 60 * SCALE
#: Seconds that processes have to notice that the one they belong to is gone.
GRACE = 30

TESTS = Path(__file__).resolve().parent.parent
CHILD = "from torture.harness import child; child()"


def survive(function, folder, environment=None, **arguments):
    """Run a function of a torture module in a new process, in `folder`, and return the counts that it returns.

    Raises AssertionError if the process fails, hangs, or leaves processes behind.
    """
    variables = os.environ | {
        "PYTHONPATH": str(TESTS),
        "OPENBLAS_NUM_THREADS": "1",  # its threads are not ours to torture
        **(environment or {}),
    }
    told = json.dumps({"seed": SEED, **arguments})
    command = [sys.executable, "-X", "faulthandler", "-c", CHILD]
    command += [Path(function.__code__.co_filename).stem, function.__name__, told]
    process = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=DEADLINE + GRACE)
    except subprocess.TimeoutExpired:
        end_session(process.pid)
        out, err = process.communicate()
        raise AssertionError(
            f"{function.__name__}({told}) hangs, or a process that it left does: {err[-6000:]}"
        ) from None
    left = wait_for_session(process.pid)
    end_session(process.pid)
    assert process.returncode == 0, f"{function.__name__}({told}) ended with {process.returncode}: {err[-6000:]}"
    assert not left, f"{function.__name__}({told}) left processes behind: {left}"
    return json.loads(out.splitlines()[-1])


def child():
    """Run what the command line names and print what it returns; end with a dump of all stacks if it hangs."""
    # What a shell starts in the background is told to ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.dump_traceback_later(DEADLINE, exit=True)
    module, name, told = sys.argv[1:]
    counts = getattr(importlib.import_module(f"torture.{module}"), name)(**json.loads(told))
    sys.stdout.write(json.dumps(counts))


def watch_fork_for_hangs():
    """Do the same in a forked child, where faulthandler's thread is missing: the system's alarm ends it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.alarm(DEADLINE // 2)


def session(leader):
    """Return the command lines of the living processes of a session, by number; Linux alone can tell."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name may hold blanks and brackets: what counts comes behind the last one.
            state, _, _, owner = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(owner) == leader and state not in "ZX":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
    return found


def wait_for_session(leader):
    """Return what is left of a session once it had time to end."""
    until = time.monotonic() + GRACE
    while (left := session(leader)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def end_session(leader):
    for process in session(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def scaled(count):
    """Return how often to do what is done `count` times in CI."""
    return count * SCALE
