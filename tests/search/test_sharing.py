"""A search that several drivers share through a database: the same result on all, and no trial without a need twice."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import search_builds
from search_builds import find, same

from pynn.search import Stage

pytestmark = pytest.mark.filterwarnings("ignore::pynn.search.SearchWarning")
TESTS = Path(search_builds.__file__).parent
SEARCH = {"stages": [Stage(8, 1), Stage(2, 3, survivors=2)], "seed": 4}

DRIVER = """
import pickle, sys, warnings
sys.path.insert(0, {tests!r})
warnings.simplefilter("ignore")
from pathlib import Path
from search_builds import build_slowly, find
from search.test_sharing import SEARCH
if __name__ == "__main__":
    result = find(build_slowly, store=sys.argv[1], shared=True, **SEARCH)
    Path(sys.argv[2]).write_bytes(pickle.dumps(result.trials))
"""


def postgres(folder):
    """Start a server of Debian's package for this test; yield its URL."""
    pytest.importorskip("psycopg")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not places or os.getuid() or shutil.which("runuser") is None:
        pytest.skip("needs PostgreSQL of Debian's package, and root, who may become its user")
    data = Path("/tmp") / f"pynn-postgres-{os.getpid()}"
    data.mkdir()
    shutil.chown(data, "postgres")

    def of_server(name, *arguments):
        command = ["runuser", "-u", "postgres", "--", str(places[-1].parent / name), "-D", str(data / "db"), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=120)

    try:
        of_server("initdb", "--auth=trust")
        options = f"-c listen_addresses='' -k {data}"
        of_server("pg_ctl", "-w", "-l", str(data / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={data}"
        finally:
            of_server("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(data)


def sqlite(folder):
    """Yield the URL of a database in a file."""
    yield f"sqlite:///{folder}/shared.db"


@pytest.fixture(params=[sqlite, postgres], ids=["sqlite", "postgres"])
def url(request, tmp_path):
    """Return the URL of an empty database."""
    yield from request.param(tmp_path)


def drivers(url, folder, count):
    """Start drivers that share a search; each notes the trials that it begins in the file "note"."""
    script = folder / "driver.py"
    script.write_text(DRIVER.format(tests=str(TESTS)))
    variables = os.environ | {"PYNN_TEST_NOTE": str(folder / "note")}
    commands = [[sys.executable, str(script), url, str(folder / f"found{index}")] for index in range(count)]
    return [subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) for command in commands]


def noted(folder):
    note = folder / "note"
    return [line.split()[0] for line in note.read_text().splitlines()] if note.exists() else []


class Found:
    """The trials that a driver has written."""

    def __init__(self, file):
        self.trials = pickle.loads(file.read_bytes())


def test_drivers_share_the_trials_and_return_the_same_result(url, tmp_path):
    running = drivers(url, tmp_path, 2)
    for process in running:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err[-3000:]
    expected = find(**SEARCH)
    assert all(same(Found(tmp_path / f"found{index}"), expected) for index in range(2))
    # `build` is called twice for the first trial of a driver; a driver without work may run a trial of the other.
    assert len(noted(tmp_path)) <= 12 + 2 + 4


def test_a_driver_finishes_what_a_killed_one_has_claimed(url, tmp_path):
    first = drivers(url, tmp_path, 1)[0]
    while len(noted(tmp_path)) < 4:
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert same(find(search_builds.build_slowly, store=url, shared=True, **SEARCH), find(**SEARCH))


def test_what_cannot_be_shared_is_refused(tmp_path):
    for settings in ({"folder": tmp_path}, {"store": f"sqlite:///{tmp_path}/s.db", "sampler": "tpe"}):
        with pytest.raises(ValueError, match="shared=True needs store=, a database, and one of the samplers random"):
            find(shared=True, **settings)
