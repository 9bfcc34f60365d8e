"""Memory that is refused at any moment: MemoryError, the model as before, and the next call works."""

import ctypes
import random
import resource
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from torture.forking import in_child
from torture.harness import scaled
from torture.interruptions import chosen
from torture.subjects import batch, data, differences, new, state

import pynn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the GNU C library's allocator, and fork")

BACKENDS = pynn.available_backends()
ALWAYS = 1 << 60
#: NumPy's ufuncs crash where memory for their buffers is refused, of 8192 elements at most.
BUFFERS = 8192 * 8 + 1
#: Arrays take no freed memory, nor what a thread's own arena has reserved: glibc turns to it when the system refuses.
NO_SPARE_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_ARENA_MAX": "1"}


# What is tried. Each gets a trainer that has taken a few steps, changes `places` where it writes, and returns something
# that can be compared.


def step(trainer):
    """Take a step with a batch shape that was not there before: buffers grow, and the step is recorded."""
    x, y = batch(trainer.kind, 1)
    trainer.step(np.repeat(x, 20, axis=0), np.repeat(y, 20))


def step_on_threads(trainer):
    """Take a recorded step whose workspaces are missing, because several threads need one each."""
    trainer.step(*trainer.large)


def predict(trainer):
    return trainer.model.predict(data(trainer.kind, 500)[0]).tobytes()


def evaluate(trainer):
    return trainer.evaluate(*data(trainer.kind, 500))


def save(trainer):
    trainer.save("new.ckpt")


def load(trainer):
    return state(pynn.Trainer.resume("old.ckpt", loss=trainer.loss))


def fit(trainer):
    trainer.fit(*data(trainer.kind), epochs=1, batch_size=70)


CALLS = {function.__name__: function for function in (step, step_on_threads, predict, evaluate, save, load, fit)}


def prepared(kind, call):
    """Return a trainer on which `call` can be tried."""
    trainer = new(kind)
    trainer.kind = kind
    for number in range(2):
        trainer.step(*batch(kind, number))
    if call == "step_on_threads":
        x, y = batch(kind, 1)
        trainer.large = np.repeat(x, 100, axis=0), np.repeat(y, 100)
        pynn.set_num_threads(1)
        trainer.step(*trainer.large)
        trainer.step(*trainer.large)
        pynn.set_num_threads(4)
    if call in ("save", "load"):
        trainer.save("old.ckpt")
        trainer.save("new.ckpt")
        trainer.step(*batch(kind, 2))
    return trainer


def outcome(kind, call):
    """Return what the call gives, undisturbed, and the trainer's state after it and after one more step."""
    trainer = prepared(kind, call)
    result = CALLS[call](trainer)
    after = state(trainer)
    trainer.step(*batch(kind, 0))
    return result, after, state(trainer)


def undisturbed(kind, call):
    """Return the outcome with the kernels of this process still without the workspaces that they keep between calls."""
    if pynn.get_backend() == "numba":
        outcome(kind, call)  # compiles, for which LLVM must have memory; Numba keeps no workspaces
    return in_child(outcome, kind, call)


def survives(kind, call, expected, refusing):
    """Try the call while memory is refused, try it again, and compare; return whether the first one failed."""
    trainer = prepared(kind, call)
    before, steps, failed = state(trainer), trainer.steps, False
    found = files()
    try:
        with refusing:
            result = CALLS[call](trainer)
    except (MemoryError, SystemError) as error:
        # NumPy forgets to set an exception for some small requests of its own, or uses what it did not get.
        numpys_own = any(words in str(error) for words in ("exception", "NULL object passed to Py_BuildValue"))
        assert isinstance(error, MemoryError) or numpys_own, repr(error)
        failed = True
        assert trainer.steps == steps, "a step that failed was counted"
        different = differences(before, state(trainer))
        assert not different, f"these differ after MemoryError: {different}"
        if call == "save":
            assert files().keys() == found.keys(), f"left behind: {files().keys() - found.keys()}"
            saved = state(pynn.Trainer.resume("new.ckpt", loss=trainer.loss))  # whole, and the old or the new one
            assert files() == found or not differences(expected[1], saved), "the checkpoint is another"
        result = CALLS[call](trainer)
    assert repr(result) == repr(expected[0])
    different = differences(expected[1], state(trainer))
    assert not different, (
        f"these differ after {'the second attempt' if failed else 'a call that did not fail'}: {different}"
    )
    if call == "save":
        assert not differences(expected[1], state(pynn.Trainer.resume("new.ckpt", loss=trainer.loss)))
    trainer.step(*batch(kind, 0))
    different = differences(expected[2], state(trainer))
    assert not different, f"these differ after one more step: {different}"
    return failed


def files():
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


class Malloc:
    """The preloaded allocator; within the block, it fails `count` requests from number `first` on."""

    def __init__(self, first=ALWAYS, count=1, minimum=0):
        self.library = ctypes.CDLL(None)
        self.library.fail_requests.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_size_t]
        self.library.stop_failing.restype = ctypes.c_long
        self.told = first, first + count, minimum
        self.requests = 0

    def __enter__(self):
        self.library.fail_requests(*self.told)
        return self

    def __exit__(self, *_):
        self.requests = self.library.stop_failing()


def requests_of(kind, call, minimum):
    trainer = prepared(kind, call)
    with Malloc(minimum=minimum) as malloc:
        CALLS[call](trainer)
    return malloc.requests


def refused_requests(seed, backend, kind, calls, minimum, count):
    """Fail each request for memory of a call in turn, by itself and with all that follow."""
    faults, survived = {}, 0
    with pynn.use_backend(backend):
        for call in calls:
            expected = undisturbed(kind, call)
            requests = in_child(requests_of, kind, call, minimum)
            for number in chosen(seed, requests, count):
                for many in (1, ALWAYS):
                    refusing = Malloc(number, many, max(minimum, 600 if many > 1 else 0))  # small ones: Python lives on
                    try:
                        survived += in_child(survives, kind, call, expected, refusing)
                    except AssertionError as error:
                        faults.setdefault(f"{call}: {error}", []).append(number if many == 1 else f"{number} and on")
    assert not faults, "\n".join(f"{fault}\n    requests {numbers[:9]}" for fault, numbers in faults.items())
    return {"allocation failures": survived}


class AddressSpace:
    """Within the block, so many more bytes of address space may be taken than are now."""

    def __init__(self, room):
        self.room = room

    def __enter__(self):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        self.before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + self.room, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_AS, self.before)


def limited_address_space(seed, backend, kind, calls, count):
    """Let a call have less address space than it needs, more or less."""
    faults, survived = {}, 0
    rooms = random.Random(seed)
    with pynn.use_backend(backend):
        for call in calls:
            expected = undisturbed(kind, call)
            for room in (4096, *(int(2 ** rooms.uniform(12, 24)) for _ in range(count - 1))):
                try:
                    survived += in_child(survives, kind, call, expected, AddressSpace(room))
                except AssertionError as error:
                    faults.setdefault(f"{call}: {error}", []).append(room)
    assert survived, "the address space was never too small"
    assert not faults, "\n".join(f"{fault}\n    with room for {rooms[:9]}" for fault, rooms in faults.items())
    return {"allocation failures": survived}


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory):
    """Return the environment in which the C library's allocator fails when told to."""
    compiler = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) or shutil.which("cc")
    if compiler is None:
        pytest.skip("failing allocations needs a C compiler")
    library = tmp_path_factory.mktemp("library") / "failing_malloc.so"
    source = Path(__file__).with_name("failing_malloc.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_refused_arrays(torture, preloaded, backend):
    """Only large requests, which come from NumPy's arrays and the kernels."""
    minimum = 4000 if backend != "numpy" else BUFFERS
    torture(
        refused_requests, environment=preloaded, backend=backend, kind="wide", calls=list(CALLS), minimum=minimum,
        count=scaled(4),
    )  # fmt: skip


def test_refused_objects(torture, preloaded):
    """Every request, Python's own included."""
    torture(
        refused_requests, environment=preloaded | {"PYTHONMALLOC": "malloc"}, backend=BACKENDS[0], kind="everything",
        calls=list(CALLS), minimum=0, count=scaled(4),
    )  # fmt: skip


@pytest.mark.skipif("cython" not in BACKENDS, reason="NumPy's buffers would be refused (see BUFFERS)")
def test_a_limited_address_space(torture):
    torture(
        limited_address_space, environment=NO_SPARE_MEMORY, backend="cython", kind="wide",
        calls=["step", "predict", "save", "load"], count=scaled(8),
    )  # fmt: skip
