"""A training step after the first allocates nothing: neither Python objects that stay, nor memory from the system."""

import shutil
import subprocess
import sys
import sysconfig
import tracemalloc

import numpy as np
import pytest

import pynn

#: Counts every call that takes memory from the C library.
COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <errno.h>

long memory_calls;

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static void count(void) { __atomic_fetch_add(&memory_calls, 1, __ATOMIC_RELAXED); }
void *malloc(size_t size) { count(); return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { count(); return __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { count(); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { count(); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
"""

#: Trains, and prints how often the C library was asked for memory in the last 300 steps.
STEPS = """
import ctypes, sys
import numpy as np, pynn
from pynn.backends import selection
selection.eager_threads = True  # a thread that sets in later takes its workspace later
calls = ctypes.c_long.in_dll(ctypes.CDLL(None), "memory_calls")
pynn.set_num_threads(int(sys.argv[1]))
rng = np.random.default_rng(0)
model = pynn.Sequential(
    pynn.Linear(64, 256), pynn.BatchNorm1d(256), pynn.ReLU(), pynn.Dropout(0.1),
    pynn.Linear(256, 256), pynn.GELU(), pynn.Concat(pynn.Linear(256, 10), pynn.Mish()), pynn.Linear(266, 90),
    pynn.Unflatten(1, (10, 3, 3)), pynn.ConvTranspose2d(10, 4, 3, stride=2), pynn.InstanceNorm2d(4), pynn.Hardtanh(),
    pynn.Upsample(scale_factor=1.5, mode="bilinear"), pynn.Softmax(1), pynn.Flatten(), pynn.Linear(400, 10),
)
trainer = pynn.Trainer(model, pynn.CrossEntropyLoss(), pynn.Adam())
x, y = rng.normal(size=(160, 64)).astype(np.float32), rng.integers(0, 10, 160)
whole, short = (x[:128], y[:128]), (x[128:], y[128:])
def steps(count):
    for index in range(count):
        trainer.step(*(short if index % 10 == 9 else whole))
steps(100)
before = calls.value  # the first look takes memory itself
before = calls.value
steps(300)
print(calls.value - before)
"""


def network():
    return pynn.Sequential(
        pynn.Linear(20, 64), pynn.BatchNorm1d(64), pynn.ReLU(), pynn.Dropout(0.2), pynn.Linear(64, 64), pynn.SiLU(),
        pynn.Linear(64, 5),
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", [pynn.SGD, pynn.Adam, pynn.RMSprop])
def test_hundreds_of_steps_leave_nothing_behind(backend, optimizer):
    rng = np.random.default_rng(0)
    trainer = pynn.Trainer(network(), pynn.CrossEntropyLoss(), optimizer(lr=1e-3))
    x, y = rng.normal(size=(40, 20)).astype(np.float32), rng.integers(0, 5, 40)
    whole, short = (x[:32], y[:32]), (x[32:], y[32:])  # made once: slices are objects too

    def steps(count):
        for index in range(count):
            trainer.step(*(short if index % 7 == 6 else whole))

    steps(50)
    tracemalloc.start()
    try:
        steps(50)
        held = [tracemalloc.get_traced_memory()[0]]
        for _ in range(3):
            steps(100)
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # A number that has outgrown Python's cached ones: the step count, the random offset, the loss. The least growth,
    # because threads that other tests have left behind (Dask's, for example) count, too.
    assert min(np.diff(held)) < 256


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts calls of the GNU C library")
@pytest.mark.skipif("cython" not in pynn.available_backends(), reason="NumPy and Numba make temporary arrays")
def test_hundreds_of_steps_ask_for_no_memory(tmp_path, threads):
    compiler = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) or shutil.which("cc")
    if compiler is None:
        pytest.skip("counting needs a C compiler")
    source, library = tmp_path / "counter.c", tmp_path / "counter.so"
    source.write_text(COUNTER)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    done = subprocess.run(
        [sys.executable, "-c", STEPS, str(threads)],
        env={"LD_PRELOAD": str(library), "PYNN_BACKEND": "cython", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) == 0
