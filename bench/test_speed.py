"""Benchmarks of pynn per op, shape, dtype and backend; ``pytest bench`` prints and can store them.

They show the effect of a change (``--benchmark-autosave``, then ``--benchmark-compare``). Comparisons with other
libraries need separate processes: use ``pynn bench``.
"""

import pytest

import pynn
from pynn.bench import cases
from pynn.bench.contestants import own


@pytest.fixture(autouse=True)
def one_thread():
    """Measure on one thread, and restore backend and threads."""
    before = pynn.get_num_threads()
    pynn.set_num_threads(1)
    with pynn.use_backend(pynn.get_backend()):
        yield
    pynn.set_num_threads(before)


@pytest.mark.parametrize("backend", pynn.available_backends())
@pytest.mark.parametrize("case", cases.select(full=False), ids=lambda case: f"{case.group}-{case.title}")
def test_speed(benchmark, case, backend):
    """Time a case on a backend."""
    benchmark.group = " | ".join((case.op, "x".join(map(str, case.shape)) or "step", case.dtype))
    benchmark(own.prepare(case, backend))
