"""What every test can ask for: the backend it runs on, a dtype, random numbers, numeric gradients."""

import functools
import os
import signal
from collections import Counter
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from browsers import CHROMIUM
from click.testing import CliRunner

import pynn
from pynn.backends import selection
from pynn.cli import main

# They need PyTorch, which the tests do not; and scripts that tests start on several ranks, which need mpi4py.
collect_ignore_glob = ["vectors/*.py", "ranks/[!t]*.py"]

hypothesis.settings.register_profile("local", deadline=None, max_examples=25, database=None)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("local"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

selection.eager_threads = True  # tests try what threads do, also where they do not pay

CHOICE = os.environ.get("PYNN_BACKEND", "auto")


def pytest_terminal_summary(terminalreporter):
    """Say how much the fuzz tests have tried."""
    tried = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                tried.update({name: value for name, value in report.user_properties if name.startswith("tried: ")})
    for name, number in sorted(tried.items()):
        terminalreporter.write_line(f"{name}: {number:,}")


def pytest_collection_modifyitems(items):
    """Mark the tests that ask for the fixture `backend`: without PYNN_BACKEND, they run on every backend."""
    for item in items:
        if "backend" in getattr(item, "fixturenames", ()):
            item.add_marker("each_backend")


@pytest.fixture(scope="session", autouse=True)
def heed_ctrl_c():
    """Take SIGINT as in a terminal: what a shell starts in the background is told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module", params=pynn.available_backends() if CHOICE == "auto" else [CHOICE])
def backend(request):
    """Run the test on this backend: every one that is available, or the one that PYNN_BACKEND names."""
    with pynn.use_backend(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def chosen_backend(request):
    """Run a test that does not ask for `backend` on the one of PYNN_BACKEND, not on one that its module has in use."""
    if "backend" in request.fixturenames:
        yield
    else:
        with pynn.use_backend(CHOICE):
            yield


@pytest.fixture(scope="module", params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(scope="module")
def tolerance(dtype):
    """Return what assert_allclose accepts after a handful of operations on numbers of order one."""
    value = 2e-5 if dtype == np.float32 else 1e-12
    return {"rtol": value, "atol": value}


@pytest.fixture
def rng():
    return np.random.default_rng(20150120)


@pytest.fixture(scope="session")
def numeric_gradient():
    """Return a function (f, x, step) -> the central differences of the scalar f at the float64 array x."""

    def gradient(f, x, step=1e-5):
        result = np.empty_like(x)
        for index in np.ndindex(x.shape):
            above, below = x.copy(), x.copy()
            above[index] += step
            below[index] -= step
            result[index] = (f(above) - f(below)) / (above[index] - below[index])
        return result

    return gradient


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs pynn in an empty folder and gives its result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYNN_DATA", raising=False)

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture(scope="session")
def torch_vectors():
    """Return a function that reads, read-only, the values that `vectors/make_torch_vectors.py` stored under a name."""

    @functools.cache  # many tests, or many cases of one, read the same file
    def load(name):
        with np.load(Path(__file__).parent / "vectors" / f"{name}.npz") as stored:
            values = dict(stored)
        for value in values.values():
            value.flags.writeable = False
        return values

    return load


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM)
        yield running
        running.close()
