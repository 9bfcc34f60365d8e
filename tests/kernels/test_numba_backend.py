"""What is particular to the Numba backend: the same functions as the specification, and safe from any thread."""

import importlib
import inspect
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from numba.core.typing.context import BaseContext
from pynn.kernels import MODULES
from pynn.kernels import numba as numba_kernels
from pynn.kernels import numpy as numpy_kernels
from pynn.kernels.codes import ActivationCode

import pynn

#: Kernels are serial, keep NaN and infinity, and are compiled by `compiled.njit`, which needs no cache.
FORBIDDEN = ("cache=", "numba import njit", "parallel=", "prange", "fastmath=True", "nnan", "ninf", "nsz", '"fast"')


def public_functions(module):
    return {
        name: f
        for name, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__ and not name.startswith("_")
    }


@pytest.mark.parametrize("family", MODULES)
def test_signatures_and_docstrings_are_those_of_the_specification(family):
    served = vars(importlib.import_module(f"{numba_kernels.__name__}.{family}"))
    for name, specified in public_functions(importlib.import_module(f"{numpy_kernels.__name__}.{family}")).items():
        assert inspect.signature(served[name]) == inspect.signature(specified), name
        assert inspect.getdoc(served[name]) == inspect.getdoc(specified), name


def test_no_kernel_is_parallel_or_assumes_finite_numbers():
    for path in pathlib.Path(numba_kernels.__file__).parent.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        for forbidden in FORBIDDEN:
            assert forbidden not in source, f"{path.name}: {forbidden}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_threads_get_what_one_gets(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((70, 90)).astype(dtype), rng.standard_normal((90, 50)).astype(dtype)

    def product():
        out = np.empty((70, 50), dtype)
        numba_kernels.matmul.matmul(a, b, False, False, None, ActivationCode.TANH, 0.0, out, None)
        return out

    results = {}
    start = threading.Barrier(2)

    def work(name):
        start.wait()  # both may meet the functions uncompiled
        results[name] = [product() for _ in range(50)]

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = product()
    assert len(results) == 2
    assert all(np.array_equal(result, expected) for each in results.values() for result in each)


def test_read_only_arrays_share_the_code_for_writeable_ones():
    add = numba_kernels.compiled.njit()(_add)
    for flags in itertools.product([False, True], repeat=2):
        a, b, out = np.full(3, 2.0), np.arange(3.0), np.zeros(3)
        a.flags.writeable, b.flags.writeable = flags
        for _ in range(2):  # by the compiler's way, then by the dispatcher's
            add(a, b, out)
            np.testing.assert_array_equal(out, [2, 3, 4])
            out[...] = 0
    add(np.ones(6, np.float32)[::2], np.ones(3, np.float32), out)
    np.testing.assert_array_equal(out, 2)
    assert [[x.mutable for x in signature] for signature in add.signatures] == [[True] * 3] * 2


def _add(a, b, out):
    for i in range(out.size):
        out[i] = a[i] + b[i]


def cached(folder, code, **environment):
    """Run the code with Numba's cache in a folder."""
    start = "import numpy as np, pynn; pynn.use_backend('numba'); f = pynn.ops.count_correct\n"
    where = os.environ | {"NUMBA_CACHE_DIR": str(folder)} | environment
    done = subprocess.run([sys.executable, "-c", start + code], env=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


CALL = "print(f(np.eye(3), np.arange(3)))"


def test_damaged_files_of_the_cache_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def add():
        out = np.zeros(3)
        numba_kernels.compiled.njit()(_add)(np.ones(3), np.arange(3.0), out)  # which has compiled nothing yet
        return list(out)

    add()
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*.nb?")}
    assert {path.suffix for path in whole} == {".nbi", ".nbc"}
    for damaged in whole:
        for content in (b"", whole[damaged][:-9]):
            for path, kept in whole.items():
                path.write_bytes(kept)
            damaged.write_bytes(content)
            assert add() == [1, 2, 3]
            assert damaged.read_bytes() != content


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no device that is always full")
def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path):
    full = "from numba.core.caching import IndexDataCacheFile as file\n"
    full += "file._open_for_write = lambda self, path: open('/dev/full', 'wb', buffering=0)\n"
    assert cached(tmp_path, full + CALL) == "3\n"


def test_without_a_folder_for_the_cache_kernels_compile(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_text("a cache folder cannot be made in a file")
    assert cached(nowhere / "below", CALL) == "3\n"
    nobody = "from numba.core import caching\ncaching.CacheImpl._locator_classes = []\n"
    code = f"{nobody}import numpy as np, pynn; pynn.use_backend('numba')\nf = pynn.ops.count_correct\n{CALL}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no timers that interrupt")
def test_an_interrupt_while_a_function_compiles_comes_when_it_is_compiled(monkeypatch):
    refresh, left = BaseContext.refresh, ["signal"]

    def interrupted(context):
        if left:
            left.pop()
            signal.raise_signal(signal.SIGALRM)
        refresh(context)

    def twice(x):
        return 2 * x

    monkeypatch.setattr(BaseContext, "refresh", interrupted)
    compiled = numba_kernels.compiled.njit()(twice)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pynn.use_backend("numba"), pytest.raises(KeyboardInterrupt):
            compiled(1.5)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(compiled.signatures) == 1
    assert compiled(1.5) == 3
